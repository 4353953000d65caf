#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_WAITS_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_WAITS_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace keyferry::server {

// Bounds how many calls wait for a provider at a time, of all and of one organization, so that slow providers take the
// threads that they wait on from nobody else. Thread-safe.
class NetworkWaits {
 public:
  NetworkWaits(int max, int max_per_org) : max_(max), max_per_org_(max_per_org) {}

  // Given back with its end. Must not outlive the waits.
  class Place {
   public:
    Place(NetworkWaits* waits, std::string org) : waits_(waits), org_(std::move(org)) {}
    Place(Place&& other) noexcept : waits_(std::exchange(other.waits_, nullptr)), org_(std::move(other.org_)) {}
    Place& operator=(Place&&) = delete;
    ~Place() {
      if (waits_ != nullptr) waits_->GiveBack(org_);
    }

   private:
    NetworkWaits* waits_;
    std::string org_;
  };

  // RESOURCE_EXHAUSTED, reason SERVER_BUSY, if there is none.
  absl::StatusOr<Place> Take(const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  void GiveBack(const std::string& org) ABSL_LOCKS_EXCLUDED(mutex_);

  const int max_;
  const int max_per_org_;
  absl::Mutex mutex_;
  int all_ ABSL_GUARDED_BY(mutex_) = 0;
  absl::flat_hash_map<std::string, int> by_org_ ABSL_GUARDED_BY(mutex_);
};

// Starts something that answers later, and waits for the answer on this thread: nullopt if none came within `timeout`.
// A later answer is dropped.
template <typename T>
std::optional<T> WaitFor(absl::Duration timeout, const std::function<void(std::function<void(T)> done)>& start) {
  struct State {
    absl::Mutex mutex;
    std::optional<T> answer ABSL_GUARDED_BY(mutex);

    bool HasAnswer() const ABSL_SHARED_LOCKS_REQUIRED(mutex) { return answer.has_value(); }
  };
  const auto state = std::make_shared<State>();
  start([state](T answer) {
    absl::MutexLock lock(&state->mutex);
    if (!state->answer.has_value()) state->answer.emplace(std::move(answer));
  });
  absl::MutexLock lock(&state->mutex);
  if (!state->mutex.AwaitWithTimeout(absl::Condition(state.get(), &State::HasAnswer), timeout)) return std::nullopt;
  return std::move(state->answer);
}

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_WAITS_H_
