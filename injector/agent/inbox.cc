#include "injector/agent/inbox.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cstdint>
#include <utility>

namespace keyferry::injector::agent {

Inbox::Inbox(EventLoop& loop) : loop_(loop), event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  watch_ = loop_.Watch(event_.get(), EPOLLIN, [this](uint32_t) { CallAll(); });
}

Inbox::~Inbox() { loop_.Forget(watch_); }

void Inbox::Post(std::function<void()> call) {
  {
    absl::MutexLock lock(&mutex_);
    calls_.push_back(std::move(call));
  }
  const uint64_t one = 1;
  // Fails only if the counter is full, and then it is readable anyway.
  if (write(event_.get(), &one, sizeof(one)) < 0) return;
}

void Inbox::CallAll() {
  uint64_t count;
  if (read(event_.get(), &count, sizeof(count)) < 0) count = 0;
  std::vector<std::function<void()>> calls;
  {
    absl::MutexLock lock(&mutex_);
    calls.swap(calls_);
  }
  for (const std::function<void()>& call : calls) call();
}

}  // namespace keyferry::injector::agent
