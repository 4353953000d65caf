#include "server/resolution/missing.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

std::string CreateCommand(const Binding& binding, const Session& session, ParentName::Kind scope) {
  std::string flags;
  if (scope == ParentName::kTeam) flags = absl::StrCat(" --team ", session.team);
  if (scope == ParentName::kUser) flags = " --me";
  return absl::StrCat("Set it with `keyferry credential create ", binding.credential, flags, " < VALUE`.");
}

// The variable and the names that were looked for.
v1::MissingVariable Tried(const Binding& binding, const Session& session, const Plan& plan,
                          absl::string_view collection) {
  v1::MissingVariable missing;
  missing.set_variable(binding.variable);
  for (const Step& step : plan) {
    if (step.state != StepState::kApplicable) continue;
    missing.add_tried(ChildName{ParentIn(session, step.scope), binding.credential}.Name(collection));
  }
  return missing;
}

}  // namespace

std::string NextStepFor(const Binding& binding, const Session& session, const Plan& plan) {
  for (auto step = plan.rbegin(); step != plan.rend(); ++step) {
    if (step->state == StepState::kApplicable) return CreateCommand(binding, session, step->scope);
  }
  if (plan.empty()) return "Apply the MCP server again with a static value for it.";
  if (plan.back().state == StepState::kSuspended) {
    return "The organization's tier does not include the team: raise the tier, or bind an org_secret.";
  }
  if (plan.back().scope == ParentName::kTeam) {
    return "A team's credential answers: name a team of yours in the request.";
  }
  return "A personal credential answers: launch with the user's own token.";
}

v1::MissingVariable DescribeMissing(const Binding& binding, const Session& session, const Plan& plan) {
  v1::MissingVariable missing = Tried(binding, session, plan, "credentials");
  missing.set_next_step(NextStepFor(binding, session, plan));
  return missing;
}

std::string NextStepForConnection(const Binding& binding, const Session& session, const Plan& plan,
                                  bool provider_exists) {
  if (!provider_exists) {
    return absl::StrCat("The organization has no OAuth provider `", binding.credential,
                        "`: an ADMIN adds it with `keyferry oauth-provider create`, or bind another.");
  }
  for (const Step& step : plan) {
    if (step.state != StepState::kApplicable) continue;
    if (step.scope == ParentName::kUser) {
      return absl::StrCat("Connect with `keyferry connect ", binding.credential, "`.");
    }
    if (step.scope == ParentName::kTeam) {
      return absl::StrCat("An OWNER or ADMIN of the team connects it with `keyferry connect ", binding.credential,
                          " --team ", session.team, "`, or launch in a user's session.");
    }
  }
  return absl::StrCat("An ADMIN connects the organization with `keyferry connect ", binding.credential, " --org-wide`",
                      binding.pinned ? "; the binding takes no other connection." : ", or launch in a user's session.");
}

v1::MissingVariable DescribeMissingConnection(const Binding& binding, const Session& session, const Plan& plan,
                                              const ConnectHelp& help) {
  v1::MissingVariable missing = Tried(binding, session, plan, "connections");
  missing.set_next_step(NextStepForConnection(binding, session, plan, help.provider_exists));
  // The page connects the person who opens it, whose connection answers in their own sessions alone.
  const bool personal = !plan.empty() && plan.front().state == StepState::kApplicable;
  if (personal && help.provider_exists && !help.public_url.empty()) {
    missing.set_connect_url(
        absl::StrCat(help.public_url, "/oauth/connect?org=", session.org, "&provider=", binding.credential));
  }
  return missing;
}

absl::Status MissingVariables(const std::string& mcp_server, const std::vector<v1::MissingVariable>& missing) {
  v1::ErrorDetail detail;
  detail.set_reason("MISSING_VARIABLES");
  detail.set_resource(mcp_server);
  detail.set_next_step("Set each missing variable as its own entry says, or launch without them if you may.");
  for (const v1::MissingVariable& one : missing) *detail.add_missing_variables() = one;
  const std::string names = absl::StrJoin(
      missing, ", ", [](std::string* out, const v1::MissingVariable& one) { absl::StrAppend(out, one.variable()); });
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat(mcp_server, ": required variables have no value: ", names), detail);
}

absl::Status ProviderUnavailable(const std::string& connection, absl::Duration retry_delay) {
  v1::ErrorDetail detail;
  detail.set_reason("PROVIDER_UNAVAILABLE");
  detail.set_resource(connection);
  detail.set_next_step("Repeat the call after the delay; the connection itself says what its provider answered.");
  detail.set_retry_delay_ms(absl::ToInt64Milliseconds(retry_delay));
  return MakeError(absl::StatusCode::kUnavailable,
                   absl::StrCat(connection, ": its access token has expired, and the provider gives no new one now"),
                   detail);
}

}  // namespace keyferry::server
