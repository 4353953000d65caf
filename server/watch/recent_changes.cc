#include "server/watch/recent_changes.h"

namespace keyferry::server {

using storage::Table;

bool IsWatched(Table table) {
  switch (table) {
    case Table::kCredential:
    case Table::kPreviousValue:
    case Table::kCredentialUsage:
    case Table::kUsageState:
    case Table::kJournalHead:
    case Table::kJournalBlock:
    case Table::kTeamMember:
    case Table::kSessionKey:
    case Table::kConnectionLease:
    case Table::kConnectionAttempt:
    case Table::kConnectionAttemptIndex:
    case Table::kRevocation:
      return false;
    default:
      return true;
  }
}

void RecentChanges::Add(const storage::StoreChange& change) {
  revision_ = change.revision;
  for (const storage::StoreChange::Touched& touched : change.records) {
    if (!IsWatched(touched.table)) continue;
    changes_.push_back({change.revision, touched.key});
    newest_[touched.key] = change.revision;
  }
  while (changes_.size() > capacity_) {
    const auto [revision, key] = changes_.front();
    changes_.pop_front();
    floor_ = revision;
    const auto newest = newest_.find(key);
    if (newest != newest_.end() && newest->second == revision) newest_.erase(newest);
  }
}

bool RecentChanges::MayHaveChanged(const storage::WatchKey& key, storage::Revision after) const {
  if (!Knows(after)) return true;
  const auto newest = newest_.find(key);
  return newest != newest_.end() && newest->second > after;
}

}  // namespace keyferry::server
