#ifndef KEYFERRY_INJECTOR_SUPERVISE_ROTATION_SCHEDULE_H_
#define KEYFERRY_INJECTOR_SUPERVISE_ROTATION_SCHEDULE_H_

#include <functional>
#include <random>
#include <utility>

#include "absl/time/time.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::injector {

// Says when to act on changes: after nothing has changed for `debounce` (but no later than ten times that after the
// first), and a random time up to `splay` after that. One act for any number of changes. For the loop's thread.
class RotationSchedule {
 public:
  RotationSchedule(EventLoop& loop, absl::Duration debounce, absl::Duration splay, std::function<void()> act);
  ~RotationSchedule();
  RotationSchedule(const RotationSchedule&) = delete;
  RotationSchedule& operator=(const RotationSchedule&) = delete;

  void Changed();
  // Forgets changes that were not acted on yet.
  void Cancel();

 private:
  void Settled();

  EventLoop& loop_;
  const absl::Duration debounce_;
  const absl::Duration splay_;
  const std::function<void()> act_;
  std::mt19937_64 random_{std::random_device()()};
  EventLoop::TimerId timer_ = 0;
  bool splaying_ = false;
  absl::Time first_change_ = absl::InfiniteFuture();
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_ROTATION_SCHEDULE_H_
