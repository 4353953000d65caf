#ifndef KEYFERRY_STORAGE_REWRAPPER_H_
#define KEYFERRY_STORAGE_REWRAPPER_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/engine/engine.h"
#include "storage/keyrings.h"
#include "storage/purger.h"

namespace keyferry::storage {

// Moves an org's records to its current data key, in small batches beside all other work, and destroys the older keys
// when no record needs them. A thread of its own. What is unfinished shows in the keyring itself (more than one data
// key), so nothing is lost by a crash. Thread-safe.
class Rewrapper {
 public:
  // All must outlive it.
  Rewrapper(Engine* engine, Keyrings* keyrings, Purger* purger);
  ~Rewrapper() ABSL_LOCKS_EXCLUDED(mutex_);

  // Rewraps if the org has more than one data key.
  void RequestRewrap(absl::string_view org) ABSL_LOCKS_EXCLUDED(mutex_);
  // Adds a data key if `key_id` is still the current one, and rewraps.
  void RequestRotation(absl::string_view org, uint32_t key_id) ABSL_LOCKS_EXCLUDED(mutex_);

  // Waits until nothing is requested or under way. DEADLINE_EXCEEDED, with the last problem, if not.
  absl::Status Wait(absl::Time deadline) ABSL_LOCKS_EXCLUDED(mutex_);

  // Organizations that wait for it, with the one that it is at.
  size_t pending() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);
  bool stopping() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status RewrapOrg(const std::string& org);
  // Rewraps every record of another data key; whether there was none.
  absl::StatusOr<bool> Pass(const OrgKeys& keys);
  absl::Status Reseal(const OrgKeys& keys, const std::vector<EngineEntry>& entries);

  Engine* const engine_;
  Keyrings* const keyrings_;
  Purger* const purger_;
  absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  // With the key that is to be replaced.
  std::map<std::string, uint32_t> rotate_ ABSL_GUARDED_BY(mutex_);
  std::set<std::string> rewrap_ ABSL_GUARDED_BY(mutex_);
  std::string last_rewrapped_ ABSL_GUARDED_BY(mutex_);
  bool busy_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status last_error_ ABSL_GUARDED_BY(mutex_);
  std::thread thread_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_REWRAPPER_H_
