#ifndef KEYFERRY_SERVER_SESSIONS_SESSION_SWEEPER_H_
#define KEYFERRY_SERVER_SESSIONS_SESSION_SWEEPER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;
class Logger;

// Removes the records of sessions that have ended. They open nothing from then on, swept or not. RunOnce is for one
// thread at a time.
class SessionSweeper {
 public:
  // `store` must outlive this.
  SessionSweeper(storage::Store* store, Clock clock);

  // Removes every session that has ended and returns how many those were. Does nothing while no session was made or
  // deleted since the last run and none has ended.
  absl::StatusOr<int> RunOnce();

  // Sessions that the last run found and that had not ended.
  int64_t live() const { return live_; }

 private:
  absl::StatusOr<int> SweepOrg(const storage::StoreView& view, const std::string& org, int64_t now);

  storage::Store* const store_;
  const Clock clock_;
  // Of kSession before the last run; nullopt before the first.
  std::optional<uint64_t> swept_generation_;
  int64_t next_due_ = 0;
  int64_t found_ = 0;
  std::atomic<int64_t> live_{0};
};

// Runs a sweeper every `interval` on a thread of its own until destroyed.
class BackgroundSessionSweeper {
 public:
  // `store` and `logger` must outlive this.
  BackgroundSessionSweeper(storage::Store* store, Clock clock, Logger* logger,
                           absl::Duration interval = absl::Minutes(1));
  ~BackgroundSessionSweeper();
  BackgroundSessionSweeper(const BackgroundSessionSweeper&) = delete;
  BackgroundSessionSweeper& operator=(const BackgroundSessionSweeper&) = delete;

  int64_t live() const { return sweeper_.live(); }

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  SessionSweeper sweeper_;
  Logger* const logger_;
  const absl::Duration interval_;
  absl::Mutex mutex_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SESSIONS_SESSION_SWEEPER_H_
