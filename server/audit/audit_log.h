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
#include "storage/counters.h"
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
  static constexpr int64_t kMinUngathered = 16;
  static constexpr int64_t kMaxUngathered = 16384;

  struct Options {
    absl::Duration sync_interval = absl::Milliseconds(40);
    // While calls end on average less than `close` after one another, entries gather until there are as many as end in
    // a `window`, or none has been stored for one. Where less than half of them came, since each caller waits for
    // their answer before they send more, the next calls do not gather: kMinUngathered at first, four times as many
    // each time after that, kMaxUngathered at most.
    absl::Duration window = absl::Microseconds(500);
    absl::Duration close = absl::Microseconds(150);
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
  // with others', mostly on the thread of the last of them: an answer that gRPC's own threads give costs half of one
  // that it has to be woken for. `record` must live until then.
  void StoreThen(const CallRecord* record, std::function<void(absl::Status)> done) ABSL_LOCKS_EXCLUDED(mutex_);

  // Entries that were written, those of changes included, and entries of reads and refusals that could not be stored.
  uint64_t entries() const { return entries_.Value(); }
  uint64_t failures() const { return failures_.Value(); }

 private:
  struct Waiting {
    const CallRecord* record;
    std::function<void(absl::Status)> done;
  };

  // Notes that a call ends; how many entries are to be stored together now.
  size_t NoteEnd();
  absl::Status Commit(const std::vector<Waiting>& group);
  // That one entry is stored or not.
  const absl::Status& Note(const absl::Status& stored);
  void StoreGroup(std::vector<Waiting> group);
  std::vector<Waiting> TakeGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Stores what waits for others that do not come.
  void RunGather() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunSync() ABSL_LOCKS_EXCLUDED(mutex_);
  void Observe(const storage::JournaledEntry& entry);

  storage::Store* const store_;
  const Options options_;
  std::vector<Observer> observers_;
  storage::Counter entries_;
  storage::Counter failures_;

  // When the last call ended, in nanoseconds of the monotonic clock, and how long after one another calls end: a moving
  // average, in nanoseconds, of which an update that is lost to another thread's does no harm.
  std::atomic<int64_t> last_end_{0};
  std::atomic<int64_t> distance_;
  // How many calls are still to end before entries gather again.
  std::atomic<int64_t> ungathered_{0};
  absl::Mutex mutex_;
  // What `ungathered_` was last set to since a group was complete.
  int64_t last_ungathered_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<Waiting> waiting_ ABSL_GUARDED_BY(mutex_);
  size_t waiting_bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  // How many were to be stored together when the last came.
  size_t expected_ ABSL_GUARDED_BY(mutex_) = 0;
  // Groups that were taken from it.
  uint64_t taken_ ABSL_GUARDED_BY(mutex_) = 0;
  // Entries were stored that may not have been synced.
  std::atomic<bool> dirty_{false};
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread gather_;
  std::thread sync_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_AUDIT_LOG_H_
