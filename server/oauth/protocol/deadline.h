#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_DEADLINE_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_DEADLINE_H_

#include <algorithm>
#include <chrono>

#include "absl/time/time.h"

namespace keyferry::server {

// The end of an operation of several requests, by a clock that is never set.
class Deadline {
 public:
  explicit Deadline(absl::Duration timeout)
      : end_(std::chrono::steady_clock::now() +
             absl::ToChronoNanoseconds(std::min(std::max(timeout, absl::ZeroDuration()), absl::Hours(24)))) {}

  // Zero at the least.
  absl::Duration Remaining() const {
    return std::max(absl::FromChrono(std::chrono::nanoseconds(end_ - std::chrono::steady_clock::now())),
                    absl::ZeroDuration());
  }

 private:
  const std::chrono::steady_clock::time_point end_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_DEADLINE_H_
