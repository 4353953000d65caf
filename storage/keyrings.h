#ifndef KEYFERRY_STORAGE_KEYRINGS_H_
#define KEYFERRY_STORAGE_KEYRINGS_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "storage/engine/engine.h"
#include "storage/keyring_cache.h"
#include "storage/org_keys.h"
#include "storage/root_keys.h"

namespace keyferry::storage {

// The keyrings of all orgs: loads, changes and destroys them. Thread-safe.
//
// Errors: NOT_FOUND (no such keyring), DATA_LOSS (it does not authenticate), else as Engine's.
class Keyrings {
 public:
  // `engine` and `root` must outlive it.
  Keyrings(Engine* engine, const RootKeys* root, size_t cache_capacity, uint64_t seal_block);

  // The org's keyring, from the cache or the store.
  absl::StatusOr<std::shared_ptr<const OrgKeys>> Get(absl::string_view org);
  // The newest one from the store.
  absl::StatusOr<std::shared_ptr<const OrgKeys>> Reload(absl::string_view org) ABSL_LOCKS_EXCLUDED(change_mutex_);
  // The one that a view from the past held; not cached.
  absl::StatusOr<std::shared_ptr<const OrgKeys>> LoadAt(const EngineSnapshot& snapshot, absl::string_view org) const;

  // Opens the keyring that `entry` of the keyring space holds.
  absl::StatusOr<std::shared_ptr<const OrgKeys>> Open(const EngineEntry& entry) const;

  // ALREADY_EXISTS if the org has one. `also` adds to the batch that writes it.
  absl::Status Create(absl::string_view org, const std::function<void(EngineBatch&)>& also)
      ABSL_LOCKS_EXCLUDED(change_mutex_);

  // Adds a data key, which seals from the return on. With `replaces`, only if that key is still the current one.
  absl::Status AddDataKey(absl::string_view org, std::optional<uint32_t> replaces) ABSL_LOCKS_EXCLUDED(change_mutex_);

  // Leaves only the current data key of `keys`; ABORTED if the keyring has changed since. `also` adds to the batch.
  absl::Status DropOldDataKeys(const OrgKeys& keys, const std::function<void(EngineBatch&)>& also)
      ABSL_LOCKS_EXCLUDED(change_mutex_);

  // Deletes keyring and seal count. `also` adds to the batch.
  absl::Status Destroy(absl::string_view org, const std::function<void(EngineBatch&)>& also)
      ABSL_LOCKS_EXCLUDED(change_mutex_);

  std::string KeyringKey(absl::string_view org) const;

 private:
  absl::StatusOr<std::shared_ptr<const OrgKeys>> LoadAndCache(absl::string_view org)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mutex_);
  // Writes `keyring` over what `expected` wrote and caches it.
  absl::Status Write(Keyring keyring, Revision expected, const std::function<void(EngineBatch&)>& also)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(change_mutex_);

  Engine* const engine_;
  const RootKeys* const root_;
  const uint64_t seal_block_;
  KeyringCache cache_;
  // Held from reading the store to filling the cache, so that an older keyring never replaces a newer one. Hits do not
  // take it.
  absl::Mutex change_mutex_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_KEYRINGS_H_
