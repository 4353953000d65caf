#ifndef KEYFERRY_SERVER_RESOLUTION_MISSING_H_
#define KEYFERRY_SERVER_RESOLUTION_MISSING_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/errors.pb.h"
#include "server/resolution/scope_plan.h"

namespace keyferry::server {

// What there is to say about a missing connection besides its binding.
struct ConnectHelp {
  // Whether the organization has a provider of that id.
  bool provider_exists = false;
  // Where the server's own pages are, without a slash at the end; "" if it has none.
  absl::string_view public_url;
};

// What to do about a variable that no scope answers: the command that sets its credential at the widest scope which may
// answer in this session, or why there is none. One sentence or two.
std::string NextStepFor(const Binding& binding, const Session& session, const Plan& plan);
// The same of a binding to an OAuth provider: how to connect at the narrowest scope which may answer.
std::string NextStepForConnection(const Binding& binding, const Session& session, const Plan& plan,
                                  bool provider_exists);

// The variable, the credentials that were tried, and what to do.
v1::MissingVariable DescribeMissing(const Binding& binding, const Session& session, const Plan& plan);
// The same of a binding to an OAuth provider, with the page on which the session's user connects, if that helps.
v1::MissingVariable DescribeMissingConnection(const Binding& binding, const Session& session, const Plan& plan,
                                              const ConnectHelp& help);

// FAILED_PRECONDITION, reason MISSING_VARIABLES, naming every one of them.
absl::Status MissingVariables(const std::string& mcp_server, const std::vector<v1::MissingVariable>& missing);

// UNAVAILABLE, reason PROVIDER_UNAVAILABLE: the connection's access token has ended and its provider gives no other one
// for `retry_delay`.
absl::Status ProviderUnavailable(const std::string& connection, absl::Duration retry_delay);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_MISSING_H_
