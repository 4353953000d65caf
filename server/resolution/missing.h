#ifndef KEYFERRY_SERVER_RESOLUTION_MISSING_H_
#define KEYFERRY_SERVER_RESOLUTION_MISSING_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "keyferry/v1/errors.pb.h"
#include "server/resolution/scope_plan.h"

namespace keyferry::server {

// What to do about a variable that no scope answers: the command that sets its credential at the widest scope which may
// answer in this session, or why there is none. One sentence or two.
std::string NextStepFor(const Binding& binding, const Session& session, const Plan& plan);

// The variable, the credentials that were tried, and what to do.
v1::MissingVariable DescribeMissing(const Binding& binding, const Session& session, const Plan& plan);

// FAILED_PRECONDITION, reason MISSING_VARIABLES, naming every one of them.
absl::Status MissingVariables(const std::string& mcp_server, const std::vector<v1::MissingVariable>& missing);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_MISSING_H_
