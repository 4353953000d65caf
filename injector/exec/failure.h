#ifndef KEYFERRY_INJECTOR_EXEC_FAILURE_H_
#define KEYFERRY_INJECTOR_EXEC_FAILURE_H_

#include <string>

#include "absl/status/status.h"
#include "client/api_error.h"
#include "injector/exec/exit_code.h"

namespace keyferry::injector {

// What a failed resolution of `mcp_server` means to the person who launches it. UNAUTHENTICATED, PERMISSION_DENIED and
// NOT_FOUND are "not permitted", since what an identity may not see looks absent to it; FAILED_PRECONDITION is
// "configuration" and names each missing variable, the scopes tried and what to do; INVALID_ARGUMENT is "usage"; all
// else is "unavailable".
Failure FailureOf(const client::ApiError& error, const std::string& mcp_server);

// Wrong flags, connection options or files.
Failure UsageFailure(const absl::Status& status);

// An environment that BuildEnvironment refused.
Failure RefusedEnvironment(const absl::Status& status, const std::string& mcp_server);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_FAILURE_H_
