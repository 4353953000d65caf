#ifndef KEYFERRY_INJECTOR_SOURCE_BACKOFF_H_
#define KEYFERRY_INJECTOR_SOURCE_BACKOFF_H_

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/time/time.h"

namespace keyferry::injector {

// Waits between attempts that fail: each twice as long as the one before up to a limit, scaled by a random factor in
// [0.5, 1), so that clients that lost the same server do not come back together. Not thread-safe.
class Backoff {
 public:
  struct Limits {
    absl::Duration first;
    absl::Duration longest;
  };
  // `random` is uniform in [0, 1).
  Backoff(Limits limits, std::function<double()> random)
      : limits_(limits), random_(std::move(random)), next_(limits.first) {}

  absl::Duration Next() {
    const absl::Duration wait = next_ * (0.5 + random_() / 2);
    next_ = std::min(next_ * 2, limits_.longest);
    return wait;
  }
  // It worked: the next wait is the first again.
  void Reset() { next_ = limits_.first; }

 private:
  const Limits limits_;
  const std::function<double()> random_;
  absl::Duration next_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SOURCE_BACKOFF_H_
