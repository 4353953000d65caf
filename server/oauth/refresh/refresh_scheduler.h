#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_SCHEDULER_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_SCHEDULER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/log.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/protocol/token_client.h"
#include "server/oauth/refresh/refresh_context.h"
#include "server/oauth/refresh/refresh_run.h"
#include "server/oauth/refresh/schedule.h"
#include "storage/store.h"

namespace keyferry::server {

// Keeps the tokens of every connection of the store fresh: each is refreshed when it is due, and when somebody asks.
// One of them runs in each server. Thread-safe.
//
// What is due stands in the store; this holds when to look next. It reads all connections at the start, and then
// follows the changes of the store, those of other servers as well: connections, providers, tiers, users. A connection
// that it does not know makes it read all of them again. Due times are of the wall clock, which is looked at twice a
// minute, so that it may be set; everything else counts by the monotonic one. However many are due, no provider is sent
// more than its rate by one server, nor anything in a pause that it asked for, which stands in the record of the
// connection that was told and so reaches other servers and survives a restart.
class RefreshScheduler : public ConnectionRefresher {
 public:
  struct Clocks {
    std::function<absl::Time()> wall;
    // Null: the machine's.
    std::function<absl::Time()> monotonic;
    // Uniform in [0, 1), thread-safe. Null: the operating system's.
    std::function<double()> random;
  };

  // All pointers must outlive the scheduler. `client` may answer later than that.
  static absl::StatusOr<std::unique_ptr<RefreshScheduler>> Start(storage::Store* store, TokenClient* client,
                                                                 Clocks clocks, Logger* logger, RefreshOptions options);
  // Ends as a crash would, but tells those who wait: the store is left as it is. See Drain.
  ~RefreshScheduler() override;

  void Refresh(const ConnectionKey& key, bool force, std::function<void(absl::Status)> done) override
      ABSL_LOCKS_EXCLUDED(mutex_);
  void Changed(const ConnectionKey& key) override;

  // Begins nothing more from now on.
  void StopBeginning() ABSL_LOCKS_EXCLUDED(mutex_);
  // Tells those who wait for a refresh that the server ends, UNAVAILABLE. What was begun goes on.
  void LetAskersGo() ABSL_LOCKS_EXCLUDED(mutex_);
  // Begins nothing more, waits until what was begun is stored, and lets the askers go. For the server's orderly end.
  void Drain(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mutex_);

  RefreshStatus status() const ABSL_LOCKS_EXCLUDED(mutex_);

  // For tests without threads: runs what is due by the clocks until nothing is; waits until the commit was noticed.
  void RunDue() ABSL_LOCKS_EXCLUDED(mutex_);
  void AwaitRevision(storage::Revision revision) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  using Index = Schedule::Index;
  class Asker;
  // What is known of a connection that runs, waits for another server, or is waited for.
  struct Flight {
    std::vector<std::shared_ptr<Asker>> askers;
    RefreshReason reason = RefreshReason::kSchedule;
    std::optional<SeenLease> lease;
    // Of the newest commit that touched the connection meanwhile.
    storage::Revision touched = 0;
  };
  // A connection as a scan found it.
  struct Found;

  RefreshScheduler(RefreshContext context, storage::Revision since);

  void Ask(const ConnectionKey& key, std::shared_ptr<Asker> asker) ABSL_LOCKS_EXCLUDED(mutex_);
  // What is left of the provider's pause.
  absl::Duration PauseOf(const ConnectionKey& key) const ABSL_LOCKS_EXCLUDED(mutex_);
  // Lets begin what may, and sets the alarm for what comes next.
  void Turn() ABSL_LOCKS_EXCLUDED(mutex_);
  void Begin(Index index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetAlarm(absl::Time now, absl::Time monotonic_now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnAlarm(absl::Time set_for) ABSL_LOCKS_EXCLUDED(mutex_);
  // The wall clock was set back: what is known by it is read again.
  void NoticeClock(absl::Time now, absl::Time monotonic_now) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnRun(Index index, RunResult result) ABSL_LOCKS_EXCLUDED(mutex_);
  void Count(const RunResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // It has to wait for another server.
  void Hold(Index index, const RunResult& result) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Those who are answered now.
  std::vector<std::shared_ptr<Asker>> Settle(Index index, const RunResult& result)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Retry(const storage::WatchKey& key) ABSL_LOCKS_EXCLUDED(mutex_);
  bool Wake(Index index) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // refresh_follow.cc: what changes in the store.
  void OnChange(const storage::StoreChange& change) ABSL_LOCKS_EXCLUDED(mutex_);
  void OnConnection(const storage::WatchKey& key, storage::Revision revision) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void NoteGone(const storage::WatchKey& key, storage::Revision revision) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Later() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnLater() ABSL_LOCKS_EXCLUDED(mutex_);
  // Reads the connections that changed.
  void Relook() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status RelookAt(const storage::StoreView& view, const ConnectionKey& key) ABSL_LOCKS_EXCLUDED(mutex_);
  void ScanAll() ABSL_LOCKS_EXCLUDED(mutex_);
  void ScanOrg(const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_);
  static absl::StatusOr<Found> FoundOf(const storage::StoreView& view, const std::string& org,
                                       const storage::Record& stored);
  // Reads on after what cannot be read, and answers the first error.
  absl::Status ReadOrg(const storage::StoreView& view, const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_);
  // Forgets those that a scan of the view did not find.
  void Forget(storage::Revision revision, const std::string* org) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  absl::Status ReadProviderOf(const storage::StoreView& view, const std::string& org, const std::string& provider)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void RereadProvider(const std::string& org, const std::string& provider) ABSL_LOCKS_EXCLUDED(mutex_);
  // Lets those of the line that are idle be looked at: all, or those that fail.
  void MakeDue(uint32_t line, bool failing_only) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Merge(const Found& found, storage::Revision revision) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LookAtUsers(const absl::flat_hash_set<storage::WatchKey>& users) ABSL_LOCKS_EXCLUDED(mutex_);
  void LogError(absl::string_view message, const absl::Status& status) const;

  const RefreshContext context_;

  mutable absl::Mutex mutex_;
  Schedule schedule_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<Index, Flight> flights_ ABSL_GUARDED_BY(mutex_);
  RefreshStatus counted_ ABSL_GUARDED_BY(mutex_);
  absl::Time alarm_ ABSL_GUARDED_BY(mutex_) = absl::InfiniteFuture();
  absl::Time last_wall_ ABSL_GUARDED_BY(mutex_);
  absl::Time last_monotonic_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  // All connections were looked for once: until then nothing begins, since pauses are not known.
  bool scanned_ ABSL_GUARDED_BY(mutex_) = false;

  storage::Revision noticed_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<storage::WatchKey, std::string> orgs_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<storage::WatchKey, uint32_t> providers_ ABSL_GUARDED_BY(mutex_);
  // Of each line's provider.
  absl::flat_hash_map<uint32_t, int64_t> endpoint_epochs_ ABSL_GUARDED_BY(mutex_);
  // Connections that changed and are to be read.
  std::vector<storage::WatchKey> changed_ ABSL_GUARDED_BY(mutex_);
  // That changed and are not known, by the commit; and that were read, and are not there.
  absl::flat_hash_map<storage::WatchKey, storage::Revision> unknown_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<storage::WatchKey, storage::Revision> gone_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_set<storage::WatchKey> users_ ABSL_GUARDED_BY(mutex_);
  bool later_ ABSL_GUARDED_BY(mutex_) = false;

  std::unique_ptr<storage::EngineWatch> feed_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_SCHEDULER_H_
