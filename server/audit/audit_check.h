#ifndef KEYFERRY_SERVER_AUDIT_AUDIT_CHECK_H_
#define KEYFERRY_SERVER_AUDIT_AUDIT_CHECK_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/audit/audit_rules.h"
#include "server/log.h"
#include "storage/store.h"

namespace keyferry::server {

// Follows every audit log from its beginning to its end, the system's included, and tells AuditRules what was found. A
// few blocks at a time, with a pause between, so that calls do not notice and no view stands for long. RunOnce is for
// one thread at a time.
class AuditCheck {
 public:
  // Between two pieces; false ends the run.
  using Pause = std::function<bool()>;

  // Blocks that are followed between two pauses.
  static constexpr size_t kBlocksAtOnce = 64;

  // `store`, `rules` and `logger`, which may be null, must outlive this.
  AuditCheck(storage::Store* store, AuditRules* rules, std::function<absl::Time()> clock, Logger* logger)
      : store_(store), rules_(rules), clock_(std::move(clock)), logger_(logger) {}

  // CANCELLED if a pause said so. A log that cannot be read does not keep the others from being checked.
  absl::Status RunOnce(const Pause& pause);

  // When the last run ended that has checked every log; UnixEpoch if none has.
  absl::Time last_run() const { return absl::FromUnixNanos(last_run_); }

 private:
  absl::Status CheckLog(const std::string& org, const Pause& pause);

  storage::Store* const store_;
  AuditRules* const rules_;
  const std::function<absl::Time()> clock_;
  Logger* const logger_;
  std::atomic<int64_t> last_run_{0};
};

// Runs it every `interval`, for the first time after `delay`, on a thread of its own until destroyed.
class BackgroundAuditCheck {
 public:
  BackgroundAuditCheck(storage::Store* store, AuditRules* rules, std::function<absl::Time()> clock, Logger* logger,
                       absl::Duration delay = absl::Minutes(10), absl::Duration interval = absl::Hours(24));
  ~BackgroundAuditCheck();
  BackgroundAuditCheck(const BackgroundAuditCheck&) = delete;
  BackgroundAuditCheck& operator=(const BackgroundAuditCheck&) = delete;

  absl::Time last_run() const { return check_.last_run(); }

 private:
  void Run(absl::Duration delay) ABSL_LOCKS_EXCLUDED(mutex_);
  // False if it is to stop.
  bool Wait(absl::Duration time) ABSL_LOCKS_EXCLUDED(mutex_);

  AuditCheck check_;
  Logger* const logger_;
  const absl::Duration interval_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_AUDIT_AUDIT_CHECK_H_
