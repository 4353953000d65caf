#ifndef KEYFERRY_SERVER_USAGE_USAGE_RECORDER_H_
#define KEYFERRY_SERVER_USAGE_USAGE_RECORDER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/audit/audit_log.h"
#include "server/identity/caller.h"
#include "server/usage/resolution_event.h"
#include "storage/journal.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;
class Logger;

// Where the last use of `{parent}/connections/{provider}` stands; whoever deletes the connection deletes it too. That
// of a credential stands under its own id, which never has a slash.
storage::RecordKey ConnectionUsageKey(absl::string_view org, absl::string_view parent, absl::string_view provider);

struct LastUse {
  absl::Time time = absl::InfinitePast();
  // Resource name of the MCP server that it was last resolved for.
  std::string mcp_server;
  // Resolutions so far.
  int64_t count = 0;
};

// Keeps the last use of each credential and connection, from what the audit log tells of resolutions. Thread-safe.
//
// Uses are counted in memory as their entries are written, and folded into one record per credential in the background;
// until then they are overlaid. Which entry of the journal a record counts is stored with it, so that after a crash
// Start counts what follows it, and nothing twice.
class UsageRecorder {
 public:
  struct Options {
    absl::Duration fold_interval = absl::Seconds(30);
    // Folds earlier once uses of so many credentials wait.
    size_t fold_credentials = 16384;
    // Distinct credentials that may wait in memory.
    size_t max_pending_credentials = 262144;
    // False: nothing is folded but by FoldNow and Start. For tests.
    bool background = true;
  };

  // Counts what an earlier process left uncounted, then starts, as an observer of `audit`. All pointers must outlive
  // the recorder.
  static absl::StatusOr<std::unique_ptr<UsageRecorder>> Start(storage::Store* store, AuditLog* audit, Clock clock,
                                                              Logger* logger, Options options);
  // Folds what is pending, if the store still takes it, and stops.
  ~UsageRecorder();
  UsageRecorder(const UsageRecorder&) = delete;
  UsageRecorder& operator=(const UsageRecorder&) = delete;

  // Records one resolution, before its values leave the server: puts it into the record of the caller's call, which the
  // dispatcher stores before it answers; for a caller without a record, stores an entry of its own. An error means that
  // nothing may be given out: the store's, or UNAVAILABLE while too many uses wait.
  absl::Status Record(const Caller& caller, ResolutionEvent event) ABSL_LOCKS_EXCLUDED(mutex_);
  // Stores an entry of its own for a call of `method` from `peer`.
  absl::Status RecordNow(ResolutionEvent event, absl::string_view method, const std::string& peer = "")
      ABSL_LOCKS_EXCLUDED(mutex_);

  // The last use of one credential since `created`, stored or pending; `count` 0 if none. `view` is read for the stored
  // part. Uses before `created` were those of a deleted credential of the same name.
  absl::StatusOr<LastUse> Find(const storage::StoreView& view, absl::string_view org, absl::string_view parent,
                               absl::string_view id, absl::Time created) const ABSL_LOCKS_EXCLUDED(mutex_);
  // The same of `{parent}/connections/{provider}`.
  absl::StatusOr<LastUse> FindOfConnection(const storage::StoreView& view, absl::string_view org,
                                           absl::string_view parent, absl::string_view provider,
                                           absl::Time created) const ABSL_LOCKS_EXCLUDED(mutex_);

  // Folds everything that was recorded before the call, durably. What the store refuses stays pending.
  absl::Status FoldNow() ABSL_LOCKS_EXCLUDED(mutex_, fold_mutex_);

 private:
  // By parent and id of their records in kCredentialUsage, joined by a newline, which neither can hold.
  using Uses = absl::flat_hash_map<std::string, LastUse>;
  struct OrgPending {
    Uses uses;
    // The newest entry of the org's journal that was seen.
    int64_t sequence = 0;
  };
  using Pending = absl::flat_hash_map<std::string, OrgPending>;

  UsageRecorder(storage::Store* store, AuditLog* audit, Clock clock, Logger* logger, Options options);
  void Observe(const AuditedCall& call) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Replay() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status ReplayOrg(const storage::StoreView& view, const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status ReplayEntry(const storage::StoreView& view, const std::string& org, const storage::JournalEntry& entry)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Add(const std::string& key, const LastUse& use, OrgPending& pending) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void MergeBack(const std::string& org, const OrgPending& refused) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Takes what is folded out of `pending`.
  absl::Status FoldOrg(const std::string& org, OrgPending* pending);
  // Adds the records of the first few uses.
  absl::Status FoldStep(const storage::StoreView& view, const std::string& org, const OrgPending& pending,
                        storage::Mutation* mutation) const;
  bool IsFull() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return pending_credentials_ >= options_.max_pending_credentials;
  }
  bool ShouldFold() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) {
    return stopping_ || pending_credentials_ >= options_.fold_credentials;
  }
  void RunBackground() ABSL_LOCKS_EXCLUDED(mutex_);

  storage::Store* const store_;
  AuditLog* const audit_;
  const Clock clock_;
  Logger* const logger_;
  const Options options_;

  // Held for one fold. Taken before mutex_.
  absl::Mutex fold_mutex_;
  mutable absl::Mutex mutex_;
  Pending pending_ ABSL_GUARDED_BY(mutex_);
  // What the running fold is writing; still overlaid.
  Pending folding_ ABSL_GUARDED_BY(mutex_);
  size_t pending_credentials_ ABSL_GUARDED_BY(mutex_) = 0;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread background_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_USAGE_USAGE_RECORDER_H_
