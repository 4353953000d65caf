#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_ENTRY_CACHE_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_ENTRY_CACHE_H_

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "storage/engine/engine.h"

namespace keyferry::storage {

// Remembers what keys hold, absence included, for views of many revisions at once: a key that no commit has touched
// since revision R holds at every later revision what it held at R. A launch asks for the same few keys as the one
// before it. Values are as the engine stores them (sealed). Bounded; an entry is forgotten when another one needs its
// slot. Thread-safe.
class EntryCache {
 public:
  EntryCache();

  // The commit `revision` made `key` hold `value`, or nothing. Must be called for each key of a commit before any view
  // can show it. Where the key was known it stays known.
  void Update(absl::string_view key, Revision revision, const std::optional<std::string>& value);

  // What `key` holds in a view of `view`: nullopt if it is not known here, else the entry or its absence.
  std::optional<std::optional<EngineEntry>> Find(absl::string_view key, Revision view) const;

  // The revision of what `key` holds in a view of `view`, 0 for its absence; nullopt if it is not known here.
  std::optional<Revision> FindRevision(absl::string_view key, Revision view) const;

  // `entry` is what a view of revision `view` showed for `key`. Large values are not kept.
  void Insert(absl::string_view key, Revision view, const std::optional<EngineEntry>& entry);

 private:
  static constexpr size_t kSlots = 65536;
  static constexpr size_t kStripes = 64;
  static constexpr size_t kMaxValueBytes = 1024;

  struct Slot {
    // Empty: nothing is known.
    std::string key;
    // Absent if there is no such key.
    std::optional<std::string> value;
    Revision revision = 0;
    // The view that showed it.
    Revision read_at = 0;
    // The newest commit that touched any key that this slot could hold.
    Revision changed = 0;
  };
  struct alignas(64) Stripe {
    mutable absl::Mutex mutex;
    std::vector<Slot> slots ABSL_GUARDED_BY(mutex);
  };

  std::array<Stripe, kStripes> stripes_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_ENTRY_CACHE_H_
