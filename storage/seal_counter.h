#ifndef KEYFERRY_STORAGE_SEAL_COUNTER_H_
#define KEYFERRY_STORAGE_SEAL_COUNTER_H_

#include <cstdint>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "storage/crypto/prf.h"
#include "storage/engine/engine.h"
#include "storage/root_keys.h"

namespace keyferry::storage {

// Counts the seals made with one data key, so that the count is never below the truth: a block of seals is written down
// before the first of them is used. What a crash leaves unused of a block counts as used. Thread-safe.
//
// The write is buffered: the log keeps it before every later commit, so that no sealed record can outlive its count.
class SealCounter {
 public:
  // `engine` and `root` must outlive the counter.
  SealCounter(Engine* engine, const RootKeys* root, const Prf::Tag& org_tag, uint32_t key_id, uint64_t block);

  // Counts `seals` more. Errors as Engine::Commit; then nothing may be sealed.
  absl::Status Take(uint64_t seals) ABSL_LOCKS_EXCLUDED(mutex_);

  // What the store holds for this key: at least the seals ever made with it.
  absl::StatusOr<uint64_t> Persisted() const;

  // The largest count that this object has written or read.
  uint64_t known() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Stored {
    uint64_t count = 0;
    Revision revision = 0;
  };
  absl::StatusOr<Stored> Load() const;
  absl::Status Reserve(uint64_t seals) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  Engine* const engine_;
  const RootKeys* const root_;
  const std::string engine_key_;
  const uint32_t key_id_;
  const uint64_t block_;
  mutable absl::Mutex mutex_;
  uint64_t left_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t known_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_SEAL_COUNTER_H_
