#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_ONE_SHOT_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_ONE_SHOT_H_

#include <functional>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"

namespace keyferry::server {

// Something that happens once and that others wait for without a thread. Thread-safe.
class OneShot {
 public:
  // Calls `then` once it has happened: now, if it has.
  void WhenFired(std::function<void()> then) ABSL_LOCKS_EXCLUDED(mutex_) {
    {
      absl::MutexLock lock(&mutex_);
      if (!fired_) {
        waiting_.push_back(std::move(then));
        return;
      }
    }
    then();
  }

  void Fire() ABSL_LOCKS_EXCLUDED(mutex_) {
    std::vector<std::function<void()>> waiting;
    {
      absl::MutexLock lock(&mutex_);
      fired_ = true;
      waiting.swap(waiting_);
    }
    for (const auto& then : waiting) then();
  }

 private:
  absl::Mutex mutex_;
  bool fired_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::function<void()>> waiting_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_ONE_SHOT_H_
