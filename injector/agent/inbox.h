#ifndef KEYFERRY_INJECTOR_AGENT_INBOX_H_
#define KEYFERRY_INJECTOR_AGENT_INBOX_H_

#include <functional>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "injector/supervise/descriptor.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::injector::agent {

// Has other threads' calls made by the loop's thread, in order. Post is thread-safe; the rest is for the loop's thread.
// Calls that were not made when this is destroyed are dropped.
class Inbox {
 public:
  explicit Inbox(EventLoop& loop);
  ~Inbox();
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  void Post(std::function<void()> call) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void CallAll() ABSL_LOCKS_EXCLUDED(mutex_);

  EventLoop& loop_;
  const Descriptor event_;
  EventLoop::WatchId watch_ = 0;
  absl::Mutex mutex_;
  std::vector<std::function<void()>> calls_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_INBOX_H_
