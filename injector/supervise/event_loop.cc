#include "injector/supervise/event_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

namespace keyferry::injector {
namespace {

constexpr int kEventsAtOnce = 32;
// The timer's own watch; no other has this number.
constexpr uint64_t kTimer = 0;

int64_t Now() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000000000 + now.tv_nsec;
}

}  // namespace

std::unique_ptr<EventLoop> EventLoop::Create() {
  Descriptor epoll(epoll_create1(EPOLL_CLOEXEC));
  Descriptor timer(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
  struct epoll_event event = {};
  event.events = EPOLLIN;
  event.data.u64 = kTimer;
  if (!epoll.valid() || !timer.valid() || epoll_ctl(epoll.get(), EPOLL_CTL_ADD, timer.get(), &event) != 0) {
    return nullptr;
  }
  return std::unique_ptr<EventLoop>(new EventLoop(std::move(epoll), std::move(timer)));
}

EventLoop::WatchId EventLoop::Watch(int descriptor, uint32_t events, std::function<void(uint32_t)> ready) {
  const WatchId id = next_watch_++;
  struct epoll_event event = {};
  event.events = events;
  event.data.u64 = id;
  const bool refused = epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, descriptor, &event) != 0;
  watched_.emplace(
      id, Watched{descriptor, events, refused, std::make_shared<std::function<void(uint32_t)>>(std::move(ready))});
  return id;
}

void EventLoop::Change(WatchId id, uint32_t events) {
  const auto found = watched_.find(id);
  if (found == watched_.end() || found->second.events == events) return;
  found->second.events = events;
  if (found->second.always_ready) return;
  struct epoll_event event = {};
  event.events = events;
  event.data.u64 = id;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, found->second.descriptor, &event);
}

void EventLoop::Forget(WatchId id) {
  const auto found = watched_.find(id);
  if (found == watched_.end()) return;
  if (!found->second.always_ready) epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, found->second.descriptor, nullptr);
  watched_.erase(found);
}

EventLoop::TimerId EventLoop::After(absl::Duration delay, std::function<void()> due) {
  const TimerId id = next_timer_++;
  const int64_t at = Now() + std::max<int64_t>(0, absl::ToInt64Nanoseconds(delay));
  timers_.emplace(Due(at, id), std::move(due));
  due_of_.emplace(id, at);
  return id;
}

void EventLoop::Cancel(TimerId id) {
  const auto found = due_of_.find(id);
  if (found == due_of_.end()) return;
  timers_.erase(Due(found->second, id));
  due_of_.erase(found);
}

void EventLoop::ArmTimer() {
  const int64_t first = timers_.empty() ? 0 : timers_.begin()->first.first;
  if (first == armed_for_) return;
  armed_for_ = first;
  struct itimerspec when = {};
  when.it_value.tv_sec = first / 1000000000;
  when.it_value.tv_nsec = first % 1000000000;
  timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &when, nullptr);
}

void EventLoop::CallDueTimers() {
  uint64_t expirations;
  if (read(timer_.get(), &expirations, sizeof(expirations)) > 0) armed_for_ = 0;
  const int64_t now = Now();
  while (!timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    due_of_.erase(node.key().second);
    node.mapped()();
  }
}

void EventLoop::Call(WatchId id, uint32_t events) {
  const auto found = watched_.find(id);
  if (found == watched_.end()) return;
  // The callback may forget its own watch.
  const auto ready = found->second.ready;
  (*ready)(events);
}

bool EventLoop::CallAlwaysReady() {
  std::vector<WatchId> ready;
  for (const auto& [id, watched] : watched_) {
    if (watched.always_ready && watched.events != 0) ready.push_back(id);
  }
  for (WatchId id : ready) {
    const auto found = watched_.find(id);
    if (found != watched_.end()) Call(id, found->second.events);
  }
  return !ready.empty();
}

void EventLoop::RunOnce() {
  const bool called = CallAlwaysReady();
  ArmTimer();
  struct epoll_event events[kEventsAtOnce];
  const int count = epoll_wait(epoll_.get(), events, kEventsAtOnce, called ? 0 : -1);
  for (int i = 0; i < count; ++i) {
    if (events[i].data.u64 == kTimer) {
      CallDueTimers();
    } else {
      Call(events[i].data.u64, events[i].events);
    }
  }
}

}  // namespace keyferry::injector
