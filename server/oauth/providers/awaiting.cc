#include "server/oauth/providers/awaiting.h"

#include "keyferry/v1/errors.pb.h"
#include "server/errors.h"

namespace keyferry::server {

absl::StatusOr<std::unique_ptr<WaitingPlaces::Place>> WaitingPlaces::Take(const std::string& org) {
  {
    absl::MutexLock lock(&mutex_);
    int& of_org = by_org_[org];
    if (taken_ < total_ && of_org < per_org_) {
      ++taken_;
      ++of_org;
      return std::make_unique<Place>(this, org);
    }
    if (of_org == 0) by_org_.erase(org);
  }
  v1::ErrorDetail detail;
  detail.set_reason("SERVER_BUSY");
  detail.set_next_step("Repeat the call after the delay.");
  detail.set_retry_delay_ms(2000);
  return MakeError(absl::StatusCode::kResourceExhausted, "too many calls wait for OAuth providers; nothing was changed",
                   detail);
}

void WaitingPlaces::Leave(const std::string& org) {
  absl::MutexLock lock(&mutex_);
  --taken_;
  if (--by_org_[org] == 0) by_org_.erase(org);
}

}  // namespace keyferry::server
