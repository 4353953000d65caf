#ifndef KEYFERRY_SERVER_DELAYED_ACTION_H_
#define KEYFERRY_SERVER_DELAYED_ACTION_H_

#include <functional>
#include <thread>
#include <utility>

#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace keyferry::server {

// Does something once, on a thread of its own, when a time has passed; nothing if it ends before. Its end waits for an
// action that has begun.
class DelayedAction {
 public:
  DelayedAction(absl::Duration after, std::function<void()> action)
      : thread_([this, after, action = std::move(action)] {
          if (!ended_.WaitForNotificationWithTimeout(after)) action();
        }) {}
  ~DelayedAction() {
    ended_.Notify();
    thread_.join();
  }
  DelayedAction(const DelayedAction&) = delete;
  DelayedAction& operator=(const DelayedAction&) = delete;

 private:
  absl::Notification ended_;
  std::thread thread_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DELAYED_ACTION_H_
