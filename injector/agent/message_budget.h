#ifndef KEYFERRY_INJECTOR_AGENT_MESSAGE_BUDGET_H_
#define KEYFERRY_INJECTOR_AGENT_MESSAGE_BUDGET_H_

#include <algorithm>

#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace keyferry::injector::agent {

// How much may come within a time: so many, then none until the window in which the first came is over. Not
// thread-safe.
class MessageBudget {
 public:
  MessageBudget(int most, absl::Duration window) : most_(most), window_(window) {}

  // Whether one more may come.
  bool Take() {
    const absl::Time now = absl::Now();
    if (now - start_ >= window_ || now < start_) {
      start_ = now;
      taken_ = 0;
    }
    if (taken_ == most_) return false;
    ++taken_;
    return true;
  }
  // Whether no more may come, and for how long at most.
  bool empty() const { return taken_ == most_ && left() > absl::ZeroDuration(); }
  absl::Duration left() const { return std::clamp(start_ + window_ - absl::Now(), absl::ZeroDuration(), window_); }

 private:
  const int most_;
  const absl::Duration window_;
  absl::Time start_ = absl::InfinitePast();
  int taken_ = 0;
};

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_MESSAGE_BUDGET_H_
