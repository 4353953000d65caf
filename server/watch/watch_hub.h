#ifndef KEYFERRY_SERVER_WATCH_WATCH_HUB_H_
#define KEYFERRY_SERVER_WATCH_WATCH_HUB_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "keyferry/v1/resolution.pb.h"
#include "server/identity/caller.h"
#include "server/oauth/connection_refresher.h"
#include "server/processes/process_table.h"
#include "server/resolution/resolver.h"
#include "server/watch/fair_queue.h"
#include "server/watch/fingerprint.h"
#include "server/watch/recent_changes.h"
#include "server/watch/watch_sink.h"
#include "storage/store.h"

namespace keyferry::server {

struct WatchOptions {
  // Open streams.
  size_t max_per_principal = 1'000;
  size_t max_per_org = 5'000;
  size_t max_total = 20'000;
  absl::Duration default_debounce = absl::Milliseconds(100);
  absl::Duration heartbeat = absl::Seconds(20);
  // Changes of records that are kept for streams that resume.
  size_t recent_changes = 65'536;
  // Threads that resolve. 0: nothing runs but by RunDue, for tests.
  size_t threads = 2;
  // Time that only grows, for delays; tests replace it.
  std::function<absl::Time()> monotonic_clock;
};

using WatchId = uint64_t;

// The rules of ResolutionService.Watch (keyferry/v1/resolution.proto). Thread-safe.
//
// Each watcher is registered under the records that its answer was computed from, so that a commit wakes those alone
// that it concerns. A woken one is resolved again once its debounce is over, and sent the answer if that differs from
// what it was last sent. It has at most one message in flight: what changes meanwhile is resolved once that has been
// written, so that a slow receiver gets fewer messages and never a queue of them. A change of who the caller is (token,
// principal, tier, membership, session) is looked into at once. Every answer is resolved from a view that is at least
// as new as the change that caused it, so no older state follows a newer one. No thread is bound to a watcher.
//
// The revision of an environment is that of the change feed when it was resolved: everything up to it is in the
// environment, and it survives power loss, so that a client may resume from it.
//
// An answer that needs a fresh access token is awaited before anything is sent, 20 seconds at most: the commit of the
// token wakes the watcher, or the refusal of the provider becomes a problem. Its end by the clock wakes it too.
class WatchHub {
 public:
  // Who the holder of a token is now (Authenticator::AuthenticateAgain).
  using CallerSource =
      std::function<absl::StatusOr<std::shared_ptr<const Caller>>(const std::string& token_hash, bool external)>;

  // All pointers must outlive the hub, but for `refresher`, which must until every watcher has ended and may call back
  // later; without one nothing is awaited. `clock` is the one that tokens expire by.
  static absl::StatusOr<std::unique_ptr<WatchHub>> Start(storage::Store* store, Resolver* resolver,
                                                         ProcessTable* processes, CallerSource callers,
                                                         std::function<absl::Time()> clock, WatchOptions options,
                                                         ConnectionRefresher* refresher = nullptr);
  // Every watcher must have ended.
  ~WatchHub();
  WatchHub(const WatchHub&) = delete;
  WatchHub& operator=(const WatchHub&) = delete;

  // Begins a watch, which `sink` gets the messages and, in any case, the end of. An error means that there is none, and
  // leaves `sink` alone: INVALID_ARGUMENT, RESOURCE_EXHAUSTED with reason TOO_MANY_WATCHERS, UNAVAILABLE with reason
  // SERVER_DRAINING, or why the caller may not resolve.
  absl::StatusOr<WatchId> Open(const Caller& caller, const v1::WatchRequest& request, WatchSink* sink)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // The message that the sink was given is written, or cannot be.
  void OnWritten(WatchId id, bool written) ABSL_LOCKS_EXCLUDED(mutex_);
  // The receiver has gone.
  void Cancel(WatchId id) ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends every watch with UNAVAILABLE, each after the message that it is writing, and lets no new one begin.
  void Drain() ABSL_LOCKS_EXCLUDED(mutex_);

  // Looks at once whether the caller of each watch still is who they were; those who are nobody any more are ended.
  void CheckCallers() ABSL_LOCKS_EXCLUDED(mutex_);

  size_t open() const ABSL_LOCKS_EXCLUDED(mutex_);

  // For tests without threads: runs what is due by the clocks until nothing is; waits until the commit was noticed.
  void RunDue() ABSL_LOCKS_EXCLUDED(mutex_);
  void AwaitRevision(storage::Revision revision) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Watcher;
  struct Outcome;
  using Timers = absl::btree_set<std::pair<absl::Time, Watcher*>>;
  using Index = absl::flat_hash_map<storage::WatchKey, absl::flat_hash_set<Watcher*>>;

  // What refreshes hold of the hub.
  struct Bridge {
    absl::Mutex mutex;
    // Null once it has gone.
    WatchHub* hub ABSL_GUARDED_BY(mutex) = nullptr;
  };

  WatchHub(storage::Store* store, Resolver* resolver, ProcessTable* processes, CallerSource callers,
           std::function<absl::Time()> clock, WatchOptions options, ConnectionRefresher* refresher,
           storage::Revision since);

  absl::Status TakePlace(const std::string& principal, const std::string& org) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void OnChange(const storage::StoreChange& change) ABSL_LOCKS_EXCLUDED(mutex_);
  void Touch(Watcher* watcher, bool urgent) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Enqueue(Watcher* watcher) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetTimer(Watcher* watcher, absl::Time time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetExpiry(Watcher* watcher, absl::Time time) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void SetKeys(Index* index, Watcher* watcher, std::vector<storage::WatchKey>* held,
               std::vector<storage::WatchKey> keys) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Moves what is due to the queue.
  void FireTimers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  // One turn of a watcher that was taken from the queue; no other thread touches it meanwhile.
  void Run(Watcher* watcher) ABSL_LOCKS_EXCLUDED(mutex_);
  Outcome Resolve(Watcher* watcher, const Caller& caller, storage::Revision since) ABSL_LOCKS_EXCLUDED(mutex_);
  // Asks for fresh tokens that the watcher has not asked for; false if there is none to wait for.
  bool AwaitTokens(Watcher* watcher, const std::vector<ConnectionKey>& connections) ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether what was asked for was answered, or took too long.
  bool HasWaited(const Watcher* watcher) const ABSL_LOCKS_EXCLUDED(mutex_);
  void OnRefreshed(WatchId id) ABSL_LOCKS_EXCLUDED(mutex_);
  // When something happens to a watcher that has nothing to do.
  absl::Time NextTimer(const Watcher& watcher) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  absl::Status Register(Watcher* watcher, const Caller& caller, Dependencies dependencies, storage::Revision since)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Whether nothing that the answer depends on has changed since `resume`.
  bool StillStands(const Watcher& watcher, storage::Revision resume) const ABSL_SHARED_LOCKS_REQUIRED(mutex_);
  void TrackProcess(Watcher* watcher, const std::string& process);
  void Send(Watcher* watcher, storage::Wiped<v1::WatchResponse> message) ABSL_LOCKS_EXCLUDED(mutex_);
  // After a turn or a write: what comes next.
  void Settle(Watcher* watcher) ABSL_LOCKS_EXCLUDED(mutex_);
  // Forgets the watcher; the caller then lets it Finish without the lock.
  std::unique_ptr<Watcher> Remove(Watcher* watcher) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Finish(std::unique_ptr<Watcher> watcher, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);
  void End(Watcher* watcher, const absl::Status& status) ABSL_LOCKS_EXCLUDED(mutex_);

  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || !ready_.empty(); }
  void RunWorker() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunTimers() ABSL_LOCKS_EXCLUDED(mutex_);

  storage::Store* const store_;
  Resolver* const resolver_;
  ProcessTable* const processes_;
  const CallerSource callers_;
  const std::function<absl::Time()> clock_;
  const WatchOptions options_;
  const Fingerprinter fingerprinter_;
  ConnectionRefresher* const refresher_;
  const std::shared_ptr<Bridge> bridge_ = std::make_shared<Bridge>();

  mutable absl::Mutex mutex_;
  absl::CondVar work_;
  absl::CondVar timers_changed_;
  RecentChanges recent_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<WatchId, std::unique_ptr<Watcher>> watchers_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, size_t> by_principal_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, size_t> by_org_ ABSL_GUARDED_BY(mutex_);
  Index caller_index_ ABSL_GUARDED_BY(mutex_);
  Index answer_index_ ABSL_GUARDED_BY(mutex_);
  // By the monotonic clock: debounces and heartbeats. By `clock_`: when the right to watch ends.
  Timers timers_ ABSL_GUARDED_BY(mutex_);
  Timers expiries_ ABSL_GUARDED_BY(mutex_);
  FairQueue<Watcher*> ready_ ABSL_GUARDED_BY(mutex_);
  WatchId next_id_ ABSL_GUARDED_BY(mutex_) = 1;
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;

  std::vector<std::thread> threads_;
  std::unique_ptr<storage::EngineWatch> feed_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_WATCH_WATCH_HUB_H_
