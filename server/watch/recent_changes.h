#ifndef KEYFERRY_SERVER_WATCH_RECENT_CHANGES_H_
#define KEYFERRY_SERVER_WATCH_RECENT_CHANGES_H_

#include <cstddef>
#include <deque>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "storage/store.h"

namespace keyferry::server {

// Whether resolutions depend on records of the table. Last uses and usage events, which every resolution writes, what
// is kept for rollback, and who is just refreshing a connection or making one, are none of their business.
bool IsWatched(storage::Table table);

// Which watched records the newest commits touched, as far as memory is given to it. Not thread-safe.
class RecentChanges {
 public:
  // Knows every change after `since`, and keeps the newest `capacity`.
  RecentChanges(storage::Revision since, size_t capacity) : revision_(since), floor_(since), capacity_(capacity) {}

  // Changes come in order of revision.
  void Add(const storage::StoreChange& change);

  // The newest commit that was added.
  storage::Revision revision() const { return revision_; }

  // Whether a commit after `after` touched the record; true also if that is not known any more.
  bool MayHaveChanged(const storage::WatchKey& key, storage::Revision after) const;
  // Whether all changes after `after` are known.
  bool Knows(storage::Revision after) const { return after >= floor_; }

 private:
  storage::Revision revision_;
  // Every change after it is kept.
  storage::Revision floor_;
  const size_t capacity_;
  std::deque<std::pair<storage::Revision, storage::WatchKey>> changes_;
  absl::flat_hash_map<storage::WatchKey, storage::Revision> newest_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_WATCH_RECENT_CHANGES_H_
