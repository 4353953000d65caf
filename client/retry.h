#ifndef KEYFERRY_CLIENT_RETRY_H_
#define KEYFERRY_CLIENT_RETRY_H_

#include <functional>
#include <optional>

#include "absl/functional/function_ref.h"
#include "absl/time/time.h"
#include "client/api_error.h"

namespace keyferry::client {

// How long one call may take and when it is tried again.
struct CallPolicy {
  // For the call as a whole, all attempts and waits included.
  absl::Duration timeout = absl::Seconds(30);
  // For how long a failed attempt may be followed by another; never beyond `timeout`.
  absl::Duration retry_for = absl::Seconds(5);
  // Whether a call that may have reached the server can be sent again without harm. Others are tried once.
  bool idempotent = false;
  // Wait after the first failed attempt; doubles up to `max_backoff`, each time scaled by a random factor in [0.5, 1).
  absl::Duration initial_backoff = absl::Milliseconds(100);
  absl::Duration max_backoff = absl::Seconds(3);
};

// What the retry loop needs of the world.
struct RetryEnvironment {
  std::function<absl::Time()> now;
  std::function<void(absl::Duration)> sleep;
  // Uniform in [0, 1).
  std::function<double()> random;

  static RetryEnvironment Real();
};

// Runs `attempt` (given the deadline of the whole call) until it answers no error, or one that another try would not
// change, or time is up; answers the last error. Tried again: UNAVAILABLE of an idempotent call, and
// RESOURCE_EXHAUSTED that carries a retry delay, since the server refused that one unseen.
std::optional<ApiError> RunWithRetry(const CallPolicy& policy, const RetryEnvironment& environment,
                                     absl::FunctionRef<std::optional<ApiError>(absl::Time deadline)> attempt);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_RETRY_H_
