#include "client/retry.h"

#include <algorithm>
#include <random>

#include "absl/time/clock.h"

namespace keyferry::client {
namespace {

bool WorthRetrying(const CallPolicy& policy, const ApiError& error) {
  if (error.code == absl::StatusCode::kResourceExhausted) return error.retry_delay > absl::ZeroDuration();
  return error.code == absl::StatusCode::kUnavailable && policy.idempotent;
}

}  // namespace

RetryEnvironment RetryEnvironment::Real() {
  return {
      [] { return absl::Now(); },
      [](absl::Duration duration) { absl::SleepFor(duration); },
      [] {
        // The system's generator: this must differ between clients that were started together, and is rarely needed.
        std::random_device device;
        return std::uniform_real_distribution<double>(0, 1)(device);
      },
  };
}

std::optional<ApiError> RunWithRetry(const CallPolicy& policy, const RetryEnvironment& environment,
                                     absl::FunctionRef<std::optional<ApiError>(absl::Time deadline)> attempt) {
  const absl::Time start = environment.now();
  const absl::Time deadline = start + policy.timeout;
  const absl::Time last_try = std::min(deadline, start + policy.retry_for);
  absl::Duration backoff = policy.initial_backoff;
  for (;;) {
    std::optional<ApiError> error = attempt(deadline);
    if (!error.has_value() || !WorthRetrying(policy, *error)) return error;
    const absl::Duration wait = std::max(backoff * (0.5 + environment.random() / 2), error->retry_delay);
    if (environment.now() + wait >= last_try) return error;
    environment.sleep(wait);
    backoff = std::min(backoff * 2, policy.max_backoff);
  }
}

}  // namespace keyferry::client
