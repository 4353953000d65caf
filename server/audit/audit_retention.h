#ifndef KEYFERRY_SERVER_AUDIT_AUDIT_RETENTION_H_
#define KEYFERRY_SERVER_AUDIT_AUDIT_RETENTION_H_

#include <cstdint>
#include <functional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/log.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;

// Takes entries that are older than the retention away from the beginning of every journal, the system's included,
// whole blocks at a time. What is kept stays a verifiable chain: the head keeps the hash before it, and every commit
// that prunes leaves an entry "keyferryd/PruneAudit". Entries whose uses have not been counted stay. RunOnce is for one
// thread at a time.
class AuditRetention {
 public:
  // `store` must outlive this. `keep` must be positive.
  AuditRetention(storage::Store* store, Clock clock, absl::Duration keep)
      : store_(store), clock_(std::move(clock)), keep_(keep) {}

  // Prunes all that is due and returns how many entries that were. What fails is left for the next run.
  absl::StatusOr<uint64_t> RunOnce();

 private:
  // At most so many blocks as one commit takes; `more` says whether that was the limit.
  absl::StatusOr<uint64_t> PruneSome(const std::string& org, absl::Time now, bool* more);

  storage::Store* const store_;
  const Clock clock_;
  const absl::Duration keep_;
};

// Runs it every `interval` on a thread of its own until destroyed.
class BackgroundAuditRetention {
 public:
  // Does nothing if `keep` is infinite. `store` and `logger` must outlive this.
  BackgroundAuditRetention(storage::Store* store, Clock clock, absl::Duration keep, Logger* logger,
                           absl::Duration interval = absl::Hours(1));
  ~BackgroundAuditRetention();
  BackgroundAuditRetention(const BackgroundAuditRetention&) = delete;
  BackgroundAuditRetention& operator=(const BackgroundAuditRetention&) = delete;

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  AuditRetention retention_;
  Logger* const logger_;
  const absl::Duration interval_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_AUDIT_RETENTION_H_
