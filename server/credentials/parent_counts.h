#ifndef KEYFERRY_SERVER_CREDENTIALS_PARENT_COUNTS_H_
#define KEYFERRY_SERVER_CREDENTIALS_PARENT_COUNTS_H_

#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "server/identity/caller.h"
#include "storage/store.h"

namespace keyferry::server {

// Keeps how many records of one table each parent holds from passing a limit, without counting them at every create.
// Thread-safe.
//
// A parent is counted when it is first asked about and again before it is refused, so that records which others deleted
// (with their team or user) do not count for long.
class ParentCounts {
 public:
  // `noun` names what is counted in messages, e.g. "credentials". `store` must outlive this.
  ParentCounts(storage::Store* store, storage::Table table, int limit, absl::string_view noun);

  // Takes more places, all or none. RESOURCE_EXHAUSTED, reason TOO_MANY, if there are not that many; `parent_name` is
  // for the message.
  absl::Status Take(const std::string& org, const std::string& parent, absl::string_view parent_name, int places = 1)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Gives places back: the create failed, or a record was deleted.
  void GiveBack(const std::string& org, const std::string& parent, int places = 1) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::StatusOr<int> Count(const std::string& org, const std::string& parent) const;

  storage::Store* const store_;
  const storage::Table table_;
  const int limit_;
  const std::string noun_;

  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, int> counts_ ABSL_GUARDED_BY(mutex_);
};

// Commits a mutation that adds one counted record below the organization `org`, if it may hold one more.
absl::Status CommitCounted(storage::Store* store, ParentCounts* counts, const Caller& caller, const std::string& org,
                           storage::Mutation mutation);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CREDENTIALS_PARENT_COUNTS_H_
