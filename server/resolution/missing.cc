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

}  // namespace

std::string NextStepFor(const Binding& binding, const Session& session, const Plan& plan) {
  if (binding.source == SourceKind::kOauth) {
    return "OAuth connections are not available on this server: bind a credential instead.";
  }
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
  v1::MissingVariable missing;
  missing.set_variable(binding.variable);
  if (binding.source != SourceKind::kOauth) {
    for (const Step& step : plan) {
      if (step.state != StepState::kApplicable) continue;
      missing.add_tried(ChildName{ParentIn(session, step.scope), binding.credential}.Name("credentials"));
    }
  }
  missing.set_next_step(NextStepFor(binding, session, plan));
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

}  // namespace keyferry::server
