#include "server/oauth/connect/waits.h"

#include "server/errors.h"

namespace keyferry::server {

absl::StatusOr<NetworkWaits::Place> NetworkWaits::Take(const std::string& org) {
  absl::MutexLock lock(&mutex_);
  const auto own = by_org_.find(org);
  if (all_ < max_ && (own == by_org_.end() || own->second < max_per_org_)) {
    ++all_;
    ++by_org_[org];
    return Place(this, org);
  }
  v1::ErrorDetail detail;
  detail.set_reason("SERVER_BUSY");
  detail.set_next_step("Repeat the call after the delay.");
  detail.set_retry_delay_ms(2000);
  return MakeError(absl::StatusCode::kResourceExhausted, "too many calls wait for OAuth providers", detail);
}

void NetworkWaits::GiveBack(const std::string& org) {
  absl::MutexLock lock(&mutex_);
  --all_;
  const auto own = by_org_.find(org);
  if (own != by_org_.end() && --own->second == 0) by_org_.erase(own);
}

}  // namespace keyferry::server
