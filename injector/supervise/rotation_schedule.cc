#include "injector/supervise/rotation_schedule.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace keyferry::injector {
namespace {

constexpr int kLongestInDebounces = 10;

}  // namespace

RotationSchedule::RotationSchedule(EventLoop& loop, absl::Duration debounce, absl::Duration splay,
                                   std::function<void()> act)
    : loop_(loop), debounce_(debounce), splay_(splay), act_(std::move(act)) {}

RotationSchedule::~RotationSchedule() { Cancel(); }

void RotationSchedule::Cancel() {
  loop_.Cancel(timer_);
  timer_ = 0;
  splaying_ = false;
  first_change_ = absl::InfiniteFuture();
}

// A change during the splay is acted on when that ends.
void RotationSchedule::Changed() {
  if (splaying_) return;
  const absl::Time now = absl::Now();
  first_change_ = std::min(first_change_, now);
  const absl::Duration left = first_change_ + debounce_ * kLongestInDebounces - now;
  loop_.Cancel(timer_);
  timer_ = loop_.After(std::min(debounce_, left), [this] { Settled(); });
}

void RotationSchedule::Settled() {
  first_change_ = absl::InfiniteFuture();
  splaying_ = true;
  const double part = std::uniform_real_distribution<double>(0, 1)(random_);
  timer_ = loop_.After(splay_ * part, [this] {
    timer_ = 0;
    splaying_ = false;
    act_();
  });
}

}  // namespace keyferry::injector
