#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_AWAITING_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_AWAITING_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/time.h"

namespace keyferry::server {

// Calls `start` with a function that takes the answer, and waits for it. `start`'s own timeout ends the wait; if no
// answer has come at twice `timeout` all the same, DEADLINE_EXCEEDED: a thread is not given away for good.
template <typename T>
absl::StatusOr<T> Await(absl::Duration timeout,
                        const std::function<void(std::function<void(absl::StatusOr<T>)>)>& start) {
  struct State {
    absl::Notification answered;
    absl::StatusOr<T> answer = absl::DeadlineExceededError("no answer in time");
  };
  const auto state = std::make_shared<State>();
  start([state](absl::StatusOr<T> answer) {
    state->answer = std::move(answer);
    state->answered.Notify();
  });
  if (!state->answered.WaitForNotificationWithTimeout(2 * timeout)) {
    return absl::DeadlineExceededError("no answer in time");
  }
  return std::move(state->answer);
}

// How many threads may wait for other servers at a time: few, so that those who do not wait always find one.
// Thread-safe.
class WaitingPlaces {
 public:
  WaitingPlaces(int total, int per_org) : total_(total), per_org_(per_org) {}

  // A place, until it is destroyed.
  class Place {
   public:
    Place(WaitingPlaces* places, std::string org) : places_(places), org_(std::move(org)) {}
    ~Place() { places_->Leave(org_); }
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

   private:
    WaitingPlaces* const places_;
    const std::string org_;
  };

  // RESOURCE_EXHAUSTED, reason SERVER_BUSY, if none is free.
  absl::StatusOr<std::unique_ptr<Place>> Take(const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void Leave(const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_);

  const int total_;
  const int per_org_;
  absl::Mutex mutex_;
  int taken_ ABSL_GUARDED_BY(mutex_) = 0;
  std::map<std::string, int> by_org_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_AWAITING_H_
