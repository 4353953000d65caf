#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_WORK_QUEUE_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_WORK_QUEUE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace keyferry::server {

// Runs work that waits for the disk, now or later, on a few threads of its own. Not bounded: whoever posts bounds what
// they post. Thread-safe.
class WorkQueue {
 public:
  using Work = std::function<void()>;

  // `name`: of its threads, at most 15 bytes (pthread_setname_np). `monotonic_clock` counts delays. 0 threads: nothing
  // runs but by RunDue, for tests.
  WorkQueue(const char* name, size_t threads, std::function<absl::Time()> monotonic_clock);
  ~WorkQueue();
  WorkQueue(const WorkQueue&) = delete;
  WorkQueue& operator=(const WorkQueue&) = delete;

  // Dropped, unrun, after Stop.
  void Post(Work work) ABSL_LOCKS_EXCLUDED(mutex_);
  void PostAt(absl::Time monotonic_time, Work work) ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends what runs, drops what waits. Not to be called by work.
  void Stop() ABSL_LOCKS_EXCLUDED(mutex_);

  // Without threads: runs what is due by the clock, and what that posts; whether there was anything.
  bool RunDue() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // Moves what is due to `ready_`.
  void FireTimers() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void RunWorker() ABSL_LOCKS_EXCLUDED(mutex_);
  void RunTimers() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasWork() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return stopping_ || !ready_.empty(); }

  const std::function<absl::Time()> monotonic_clock_;
  absl::Mutex mutex_;
  absl::CondVar timers_changed_;
  std::deque<Work> ready_ ABSL_GUARDED_BY(mutex_);
  std::multimap<absl::Time, Work> timers_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_WORK_QUEUE_H_
