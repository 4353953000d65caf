#ifndef KEYFERRY_SERVER_RPC_EXECUTOR_H_
#define KEYFERRY_SERVER_RPC_EXECUTOR_H_

#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace keyferry::server {

// Runs work that waits (for a synced commit) on threads of its own, so that no gRPC thread does. The queue is bounded:
// work that does not fit is refused, never piled up. Thread-safe.
class Executor {
 public:
  Executor(size_t threads, size_t max_queued);
  // Runs what was accepted to its end.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // False, without running `work`, if the queue is full.
  [[nodiscard]] bool TryRun(std::function<void()> work) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void RunWorker() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasWorkOrEnds() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return ending_ || !queue_.empty(); }

  const size_t max_queued_;
  absl::Mutex mutex_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_EXECUTOR_H_
