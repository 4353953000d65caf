#include "server/oauth/connect/connect_context.h"

#include "server/errors.h"

namespace keyferry::server {

absl::Status CommitRepeatedly(const std::string& resource, const std::function<absl::Status()>& attempt) {
  absl::Status status;
  for (int i = 0; i < kMaxCommitAttempts; ++i) {
    status = attempt();
    v1::ErrorDetail detail;
    if (!absl::IsAborted(status) || GetDetail(status, &detail)) break;
  }
  return FromStore(status, resource);
}

}  // namespace keyferry::server
