#include "server/rpc/held_calls.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "grpcpp/alarm.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

absl::Status Busy() {
  v1::ErrorDetail detail;
  detail.set_reason("SERVER_BUSY");
  detail.set_next_step("Repeat the call after the delay.");
  detail.set_retry_delay_ms(1000);
  return MakeError(absl::StatusCode::kResourceExhausted,
                   "too many calls wait for OAuth providers; nothing was given out", detail);
}

absl::Status Draining() {
  v1::ErrorDetail detail;
  detail.set_reason("SERVER_DRAINING");
  detail.set_next_step("Repeat the call.");
  return MakeError(absl::StatusCode::kUnavailable, "the server is stopping", detail);
}

}  // namespace

// Lives as long as anybody can end it, which may be longer than the server.
struct HeldCalls::Held {
  std::string org;
  absl::Time deadline;
  std::function<bool()> cancelled;
  std::function<void(const absl::Status&)> again;

  void End() ABSL_LOCKS_EXCLUDED(mutex) {
    std::shared_ptr<grpc::Alarm> waiting;
    {
      absl::MutexLock lock(&mutex);
      ended = true;
      waiting = alarm;
    }
    if (waiting != nullptr) waiting->Cancel();
  }

  absl::Mutex mutex;
  bool ended ABSL_GUARDED_BY(mutex) = false;
  std::shared_ptr<grpc::Alarm> alarm ABSL_GUARDED_BY(mutex);
};

HeldCalls::~HeldCalls() {
  Drain();
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(this, &HeldCalls::IsEmpty));
}

absl::Status HeldCalls::TryHold(const std::string& org, absl::Time deadline, std::function<bool()> cancelled,
                                const std::function<void(std::function<void()> end)>& until,
                                std::function<void(const absl::Status&)> again) {
  auto held = std::make_shared<Held>();
  held->org = org;
  held->deadline = std::min(deadline, absl::Now() + limits_.longest);
  held->cancelled = std::move(cancelled);
  held->again = std::move(again);
  {
    absl::MutexLock lock(&mutex_);
    if (draining_) return Draining();
    const auto of_org = by_org_.find(org);
    if (held_.size() >= limits_.total || (of_org != by_org_.end() && of_org->second >= limits_.per_org)) return Busy();
    ++by_org_[org];
    held_.insert(held);
  }
  Arm(held);
  // The call may have been run again, and be gone, before this returns.
  until([held] { held->End(); });
  return absl::OkStatus();
}

void HeldCalls::Arm(const std::shared_ptr<Held>& held) {
  const auto alarm = std::make_shared<grpc::Alarm>();
  std::shared_ptr<grpc::Alarm> before = alarm;
  {
    absl::MutexLock lock(&held->mutex);
    before.swap(held->alarm);
  }
  const absl::Duration left = std::max(absl::ZeroDuration(), held->deadline - absl::Now());
  const absl::Duration wait = std::min(left, limits_.look) + absl::Milliseconds(1);
  alarm->Set(std::chrono::system_clock::now() + absl::ToChronoMilliseconds(wait), [this, held](bool) { Look(held); });
  // What ended it before that cancelled nothing.
  bool ended = false;
  {
    absl::MutexLock lock(&held->mutex);
    ended = held->ended;
  }
  if (ended) alarm->Cancel();
}

void HeldCalls::Look(const std::shared_ptr<Held>& held) {
  bool over = false;
  {
    absl::MutexLock lock(&held->mutex);
    over = held->ended;
  }
  over = over || absl::Now() >= held->deadline || held->cancelled();
  absl::Status status;
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (draining_) status = Draining();
  }
  if (!over && status.ok()) return Arm(held);
  std::exchange(held->again, nullptr)(status);
  // It holds the call, and the call it.
  std::shared_ptr<grpc::Alarm> alarm;
  {
    absl::MutexLock lock(&held->mutex);
    alarm.swap(held->alarm);
  }
  absl::MutexLock lock(&mutex_);
  const auto of_org = by_org_.find(held->org);
  if (--of_org->second == 0) by_org_.erase(of_org);
  held_.erase(held);
}

void HeldCalls::Drain() {
  std::vector<std::shared_ptr<Held>> all;
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    all.assign(held_.begin(), held_.end());
  }
  for (const std::shared_ptr<Held>& held : all) held->End();
}

size_t HeldCalls::held() const {
  absl::MutexLock lock(&mutex_);
  return held_.size();
}

}  // namespace keyferry::server
