#ifndef KEYFERRY_SERVER_RPC_EXECUTOR_H_
#define KEYFERRY_SERVER_RPC_EXECUTOR_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/node_hash_map.h"
#include "absl/synchronization/mutex.h"

namespace keyferry::server {

// Runs work that waits (for a synced commit) on threads of its own, so that no gRPC thread does. The queue is bounded:
// work that does not fit is refused, never piled up. Thread-safe.
//
// Work belongs to a group, the organization that it is for, and groups are served in turn. No group holds more than its
// share of the threads or of the queue, so that however much one of them sends, another finds a free thread after at
// most one piece of work of each group that waits. Within a group, work starts in the order in which it came.
class Executor {
 public:
  struct Options {
    size_t threads = 64;
    size_t max_queued = 1024;
    // Of one group: how much may run at a time, and how much may wait. 0: three quarters of the threads, half of the
    // queue; never less than 1.
    size_t max_running_per_group = 0;
    size_t max_queued_per_group = 0;
  };

  explicit Executor(const Options& options);
  // Runs what was accepted to its end.
  ~Executor();
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // False, without running `work`, if the queue or the group's part of it is full.
  [[nodiscard]] bool TryRun(const std::string& group, std::function<void()> work) ABSL_LOCKS_EXCLUDED(mutex_);

  // Work that waits, and how often work was refused.
  size_t queued() const ABSL_LOCKS_EXCLUDED(mutex_);
  uint64_t refused() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A group with work that waits or runs.
  struct Group {
    std::string name;
    std::deque<std::function<void()>> waiting;
    size_t running = 0;
    // Whether it stands in `turns_`.
    bool has_turn = false;
  };

  void RunWorker() ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasWorkOrEnds() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !turns_.empty() || (ending_ && queued_ == 0); }
  // Gives the group a turn if it has work that may start now and none yet; forgets it if it has nothing left.
  void Settle(Group* group) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_queued_;
  const size_t max_running_per_group_;
  const size_t max_queued_per_group_;
  mutable absl::Mutex mutex_;
  absl::node_hash_map<std::string, Group> groups_ ABSL_GUARDED_BY(mutex_);
  // Groups whose next work may start, each once, in the order in which they are served.
  std::deque<Group*> turns_ ABSL_GUARDED_BY(mutex_);
  size_t queued_ ABSL_GUARDED_BY(mutex_) = 0;
  uint64_t refused_ ABSL_GUARDED_BY(mutex_) = 0;
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_EXECUTOR_H_
