#include "server/rpc/held_answers.h"

#include <chrono>
#include <memory>
#include <utility>

#include "absl/random/random.h"
#include "grpcpp/alarm.h"

namespace keyferry::server {

HeldAnswers::~HeldAnswers() {
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &HeldAnswers::IsEmpty));
}

bool HeldAnswers::TakePlace() {
  absl::MutexLock lock(&mutex_);
  if (held_ >= max_held_) return false;
  ++held_;
  return true;
}

void HeldAnswers::Give(std::function<void()> answer) {
  if (!TakePlace()) return answer();
  thread_local absl::InsecureBitGen random;
  const absl::Duration delay = delay_ * absl::Uniform(random, 0.5, 1.5);
  auto* const alarm = new grpc::Alarm();
  alarm->Set(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(delay),
             [this, alarm, answer = std::move(answer)](bool) {
               answer();
               delete alarm;
               absl::MutexLock lock(&mutex_);
               --held_;
             });
}

}  // namespace keyferry::server
