#include "server/oauth/refresh/work_queue.h"

#include <pthread.h>

#include <utility>

namespace keyferry::server {

WorkQueue::WorkQueue(const char* name, size_t threads, std::function<absl::Time()> monotonic_clock)
    : monotonic_clock_(std::move(monotonic_clock)) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { RunWorker(); });
  if (threads > 0) threads_.emplace_back([this] { RunTimers(); });
  for (std::thread& thread : threads_) pthread_setname_np(thread.native_handle(), name);
}

WorkQueue::~WorkQueue() { Stop(); }

void WorkQueue::Post(Work work) {
  absl::MutexLock lock(&mutex_);
  if (!stopping_) ready_.push_back(std::move(work));
}

void WorkQueue::PostAt(absl::Time monotonic_time, Work work) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  const auto added = timers_.emplace(monotonic_time, std::move(work));
  if (added == timers_.begin()) timers_changed_.Signal();
}

void WorkQueue::Stop() {
  // Work may hold the last reference to what posts again when it goes, so nothing is dropped under the lock.
  std::deque<Work> ready;
  std::multimap<absl::Time, Work> timers;
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    ready.swap(ready_);
    timers.swap(timers_);
    timers_changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void WorkQueue::FireTimers() {
  const absl::Time now = monotonic_clock_();
  while (!timers_.empty() && timers_.begin()->first <= now) {
    ready_.push_back(std::move(timers_.begin()->second));
    timers_.erase(timers_.begin());
  }
}

bool WorkQueue::RunDue() {
  bool ran = false;
  while (true) {
    Work work;
    {
      absl::MutexLock lock(&mutex_);
      FireTimers();
      if (ready_.empty()) return ran;
      work = std::move(ready_.front());
      ready_.pop_front();
    }
    work();
    ran = true;
  }
}

void WorkQueue::RunWorker() {
  while (true) {
    Work work;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &WorkQueue::HasWork));
      if (stopping_) return;
      work = std::move(ready_.front());
      ready_.pop_front();
    }
    work();
  }
}

void WorkQueue::RunTimers() {
  absl::MutexLock lock(&mutex_);
  while (!stopping_) {
    FireTimers();
    if (timers_.empty()) {
      timers_changed_.Wait(&mutex_);
      continue;
    }
    timers_changed_.WaitWithTimeout(&mutex_, timers_.begin()->first - monotonic_clock_());
  }
}

}  // namespace keyferry::server
