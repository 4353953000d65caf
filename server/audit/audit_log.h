#ifndef KEYFERRY_SERVER_AUDIT_AUDIT_LOG_H_
#define KEYFERRY_SERVER_AUDIT_AUDIT_LOG_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/audit/call_record.h"
#include "storage/store.h"

namespace keyferry::server {

// An entry of the audit log as it was written. Valid during the observer's call.
struct AuditedCall {
  absl::string_view org;
  int64_t sequence = 0;
  // The serialized v1::AuditEntry without sequence and hash.
  absl::string_view entry;
  // Null unless the call was a resolution.
  const ResolutionEvent* resolution = nullptr;
  absl::Time time;
};

// Stores the entries of calls that change nothing (those of changes are part of their commits, see CommitAudited), many
// at a time when many calls end together. Entries survive kill -9 once they are stored; power loss may take those of
// the last `sync_interval` that no change followed. Thread-safe.
class AuditLog {
 public:
  struct Options {
    absl::Duration sync_interval = absl::Milliseconds(40);
    // How long entries gather while calls end less than `close` after one another.
    absl::Duration window = absl::Microseconds(250);
    absl::Duration close = absl::Microseconds(120);
    // Entries that may wait; a call beyond is refused.
    size_t max_waiting = 8192;
    // False: nothing is gathered or synced in the background. For tests.
    bool background = true;
  };
  // Called for each entry once it is written, in order for each org; must not block and not call the store.
  using Observer = std::function<void(const AuditedCall&)>;

  // `store` must outlive the log, which takes its journal listener.
  AuditLog(storage::Store* store, Options options);
  // Stores what waits, and syncs.
  ~AuditLog();
  AuditLog(const AuditLog&) = delete;
  AuditLog& operator=(const AuditLog&) = delete;

  // Call before the first entry.
  void AddObserver(Observer observer);
  // From the return on no observer is called.
  void StopObserving();

  // Stores one entry. Errors: the store's. Then nothing may be given out.
  absl::Status Store(const CallRecord& record);

  // Stores it and calls `done` with the outcome: at once, or, where calls end one shortly after the other, together
  // with others' on another thread. `record` must live until then. UNAVAILABLE if too many wait.
  void StoreThen(const CallRecord* record, std::function<void(absl::Status)> done) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Waiting {
    const CallRecord* record;
    std::function<void(absl::Status)> done;
  };

  absl::Status Commit(const std::vector<Waiting>& group);
  void StoreGroup(std::vector<Waiting> group);
  void RunGather() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunSync() ABSL_LOCKS_EXCLUDED(mutex_);
  void Observe(const storage::JournaledEntry& entry);

  storage::Store* const store_;
  const Options options_;
  std::vector<Observer> observers_;

  // When the last call ended, in nanoseconds of the monotonic clock.
  std::atomic<int64_t> last_end_{0};
  absl::Mutex mutex_;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  // Entries were stored that may not have been synced.
  std::atomic<bool> dirty_{false};
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread gather_;
  std::thread sync_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_AUDIT_LOG_H_
