#ifndef KEYFERRY_INJECTOR_SUPERVISE_EVENT_LOOP_H_
#define KEYFERRY_INJECTOR_SUPERVISE_EVENT_LOOP_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <unordered_map>
#include <utility>

#include "absl/time/time.h"
#include "injector/supervise/descriptor.h"

namespace keyferry::injector {

// Waits for descriptors and timers with epoll and calls what belongs to them, one call at a time. For one thread.
class EventLoop {
 public:
  using WatchId = uint64_t;
  using TimerId = uint64_t;

  // nullptr if the system has no descriptors left.
  static std::unique_ptr<EventLoop> Create();

  // Calls `ready` with the epoll events whenever one of `events` (EPOLLIN, EPOLLOUT, or 0 for errors alone) is there,
  // level-triggered. A descriptor that epoll does not take (a regular file) counts as always ready. Each descriptor can
  // be watched once.
  WatchId Watch(int descriptor, uint32_t events, std::function<void(uint32_t)> ready);
  // Changes what is waited for. EPOLLHUP and EPOLLERR are reported in any case; to hear nothing at all, Forget.
  void Change(WatchId id, uint32_t events);
  // May be called from any callback, also the watch's own, and before the descriptor is closed. 0 is ignored.
  void Forget(WatchId id);

  // Calls `due` once after `delay`.
  TimerId After(absl::Duration delay, std::function<void()> due);
  // No effect if it has been called already; 0 is ignored.
  void Cancel(TimerId id);

  // Waits for something to happen, calls what belongs to it, and returns.
  void RunOnce();

 private:
  struct Watched {
    int descriptor;
    uint32_t events;
    bool always_ready;
    std::shared_ptr<std::function<void(uint32_t)>> ready;
  };
  // Monotonic nanoseconds, and the id so that timers of one time keep their order.
  using Due = std::pair<int64_t, TimerId>;

  EventLoop(Descriptor epoll, Descriptor timer) : epoll_(std::move(epoll)), timer_(std::move(timer)) {}
  void ArmTimer();
  void CallDueTimers();
  bool CallAlwaysReady();
  void Call(WatchId id, uint32_t events);

  const Descriptor epoll_;
  const Descriptor timer_;
  WatchId next_watch_ = 1;
  TimerId next_timer_ = 1;
  std::unordered_map<WatchId, Watched> watched_;
  std::map<Due, std::function<void()>> timers_;
  std::unordered_map<TimerId, int64_t> due_of_;
  int64_t armed_for_ = 0;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_EVENT_LOOP_H_
