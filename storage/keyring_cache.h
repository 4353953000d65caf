#ifndef KEYFERRY_STORAGE_KEYRING_CACHE_H_
#define KEYFERRY_STORAGE_KEYRING_CACHE_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "storage/org_keys.h"

namespace keyferry::storage {

// The keyrings in use, by org: bounded, with the least recently used making room (second chance). A hit takes a shared
// lock of one shard and allocates nothing. Thread-safe.
class KeyringCache {
 public:
  // Holds at most about `capacity` keyrings.
  explicit KeyringCache(size_t capacity);

  // Null if the org's keyring is not held.
  std::shared_ptr<const OrgKeys> Find(absl::string_view org) const;
  // Adds or replaces.
  void Put(std::shared_ptr<const OrgKeys> keys);
  void Erase(absl::string_view org);

 private:
  static constexpr size_t kShards = 16;

  struct Slot {
    explicit Slot(std::shared_ptr<const OrgKeys> k) : keys(std::move(k)) {}
    std::shared_ptr<const OrgKeys> keys;
    // Set by every hit, cleared when the hand passes.
    mutable std::atomic<bool> used{true};
  };
  struct Shard {
    mutable absl::Mutex mutex;
    absl::flat_hash_map<std::string, size_t> index ABSL_GUARDED_BY(mutex);
    std::vector<std::unique_ptr<Slot>> slots ABSL_GUARDED_BY(mutex);
    size_t hand ABSL_GUARDED_BY(mutex) = 0;
  };

  Shard& ShardOf(absl::string_view org) const;
  static size_t MakeRoom(Shard& shard) ABSL_EXCLUSIVE_LOCKS_REQUIRED(shard.mutex);

  const size_t shard_capacity_;
  mutable std::array<Shard, kShards> shards_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_KEYRING_CACHE_H_
