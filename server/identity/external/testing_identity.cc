#include "server/identity/external/testing_identity.h"

#include <cstdlib>

#include "absl/synchronization/notification.h"

namespace keyferry::server {

class FakeKeys::Reader : public KeyReader {
 public:
  explicit Reader(FakeKeys* keys) : keys_(keys) {}

  absl::StatusOr<std::string> Read() override {
    absl::MutexLock lock(&keys_->mutex_);
    ++keys_->reads_;
    const auto may_end = [this]() ABSL_NO_THREAD_SAFETY_ANALYSIS { return !keys_->blocked_ || keys_->stopped_; };
    keys_->mutex_.Await(absl::Condition(&may_end));
    if (keys_->stopped_) return absl::CancelledError("stopped");
    return keys_->text_;
  }
  void Stop() override {
    absl::MutexLock lock(&keys_->mutex_);
    keys_->stopped_ = true;
  }

 private:
  FakeKeys* const keys_;
};

std::unique_ptr<KeyReader> FakeKeys::MakeReader() { return std::make_unique<Reader>(this); }

void AwaitRead(KeySource* source) {
  const std::shared_ptr<OneShot> reading = source->TryRead();
  if (reading == nullptr) std::abort();
  absl::Notification read;
  reading->WhenFired([&read] { read.Notify(); });
  read.WaitForNotification();
}

}  // namespace keyferry::server
