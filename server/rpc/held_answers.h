#ifndef KEYFERRY_SERVER_RPC_HELD_ANSWERS_H_
#define KEYFERRY_SERVER_RPC_HELD_ANSWERS_H_

#include <cstddef>
#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace keyferry::server {

// Gives refusals a little later than it could, so that a caller who repeats a refused call at once is slowed down by
// the answer instead of slowing down everybody else: each of its connections costs a few calls a second and no more.
// Each waits a time of its own, since calls that were refused together would otherwise come back together. No thread
// waits meanwhile. Thread-safe.
class HeldAnswers {
 public:
  // At most `max_held` are held at a time; each is a call that stays open for `delay` on average, between half and one
  // and a half of it.
  HeldAnswers(absl::Duration delay, size_t max_held) : delay_(delay), max_held_(max_held) {}
  // Waits until every answer was given.
  ~HeldAnswers();
  HeldAnswers(const HeldAnswers&) = delete;
  HeldAnswers& operator=(const HeldAnswers&) = delete;

  // Runs `answer` after a delay, or now if too many are held.
  void Give(std::function<void()> answer) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  bool TakePlace() ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsEmpty() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return held_ == 0; }

  const absl::Duration delay_;
  const size_t max_held_;
  absl::Mutex mutex_;
  size_t held_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_HELD_ANSWERS_H_
