#include "server/oauth/refresh/believed_clock.h"

#include <algorithm>
#include <utility>

namespace keyferry::server {

BelievedClock::BelievedClock(std::function<absl::Time()> wall, std::function<absl::Time()> monotonic)
    : wall_(std::move(wall)), monotonic_(std::move(monotonic)) {
  believed_.monotonic = monotonic_();
  doubted_ = {wall_(), believed_.monotonic};
}

absl::Time BelievedClock::Now() {
  absl::MutexLock lock(&mutex_);
  const absl::Time wall = wall_();
  const absl::Time monotonic = monotonic_();
  const absl::Time believed = believed_.At(monotonic);
  if (wall > believed + kSlack) {
    const absl::Duration moved = wall - doubted_.At(monotonic);
    // It jumped, or jumped once more.
    if (moved > kSlack || moved < -kSlack) doubted_ = {wall, monotonic};
    if (monotonic - doubted_.monotonic < kStanding) return believed;
  }
  believed_ = {wall, monotonic};
  doubted_ = Mark();
  return wall;
}

}  // namespace keyferry::server
