#include "client/cli/inject_bindings.h"

#include "absl/strings/match.h"
#include "client/cli/mcp_server_name.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"

namespace keyferry::client::cli {
namespace {

using injector::webhook::AskedServer;
using injector::webhook::ChosenContainer;
using injector::webhook::LaunchDefinition;

// The names that an injector would try in turn: with a team, the team's MCP server of that id and then the
// organization's.
Outcome NamesOf(Context& context, const std::string& mcp_server, const std::string& team,
                std::vector<std::string>* names) {
  if (!team.empty() && !absl::StartsWith(mcp_server, "orgs/")) {
    KEYFERRY_RETURN_IF_FAILED(McpServerName(context, mcp_server, team, &names->emplace_back()));
  }
  return McpServerName(context, mcp_server, /*team=*/"", &names->emplace_back());
}

// Calls `method` with the name of each in `set_name` until one is found.
template <typename Request, typename Method, typename Response, typename SetName>
Outcome FirstFound(Context& context, const std::vector<std::string>& names, Method method, Request request,
                   Response* response, const SetName& set_name) {
  Outcome outcome;
  for (const std::string& name : names) {
    set_name(request, name);
    outcome = context.Call(Idempotent::kYes, method, request, response);
    if (!outcome.has_value() || outcome->code != absl::StatusCode::kNotFound) return outcome;
  }
  return outcome;
}

bool OnlyPersonal(const v1::VariableExplanation& variable) {
  for (const v1::ResolutionStep& step : variable.steps()) {
    if (step.outcome() == v1::STEP_OUTCOME_CHOSEN) return step.scope() == v1::CREDENTIAL_SCOPE_USER;
  }
  return false;
}

// Whether a value of another scope would answer for somebody without a personal one.
bool HasWider(const v1::VariableExplanation& variable) {
  for (const v1::ResolutionStep& step : variable.steps()) {
    if (step.outcome() == v1::STEP_OUTCOME_OVERRIDDEN) return true;
  }
  return false;
}

Outcome ReportOne(Context& context, const ChosenContainer& container, std::vector<BindingReport>* reports) {
  std::vector<std::string> names;
  KEYFERRY_RETURN_IF_FAILED(NamesOf(context, container.mcp_server, container.team, &names));
  v1::ExplainRequest request;
  if (!container.team.empty()) {
    KEYFERRY_RETURN_IF_FAILED(context.ResourceName("teams", container.team, request.mutable_team()));
  }
  v1::ExplainResponse response;
  KEYFERRY_RETURN_IF_FAILED(
      FirstFound(context, names, &v1::ResolutionService::Stub::Explain, request, &response,
                 [](v1::ExplainRequest& ask, const std::string& name) { ask.set_mcp_server(name); }));
  for (const v1::VariableExplanation& variable : response.variables()) {
    BindingReport& report = reports->emplace_back();
    report.container = container.name;
    report.mcp_server = container.mcp_server;
    report.variable = variable.variable();
    report.summary = variable.summary();
    report.fails = variable.required() && !variable.resolved();
    if (container.session_volume.empty() && OnlyPersonal(variable) && !HasWider(variable)) {
      report.fails = variable.required();
      report.summary = "Set by you alone, which a pod without a session does not get.";
    }
  }
  return std::nullopt;
}

absl::StatusOr<LaunchDefinition> DefinitionOf(Context& context, const AskedServer& asked) {
  std::vector<std::string> names;
  v1::McpServer server;
  Outcome outcome = NamesOf(context, asked.mcp_server, asked.team, &names);
  if (!outcome.has_value()) {
    outcome = FirstFound(context, names, &v1::McpServerService::Stub::GetMcpServer, v1::GetMcpServerRequest(), &server,
                         [](v1::GetMcpServerRequest& ask, const std::string& name) { ask.set_name(name); });
  }
  if (outcome.has_value()) return absl::UnavailableError(outcome->line);
  return LaunchDefinition{server.command(), {server.args().begin(), server.args().end()}};
}

}  // namespace

Outcome ReportBindings(Context& context, const std::vector<ChosenContainer>& containers,
                       std::vector<BindingReport>* reports) {
  for (const ChosenContainer& container : containers) {
    KEYFERRY_RETURN_IF_FAILED(ReportOne(context, container, reports));
  }
  return std::nullopt;
}

injector::webhook::DefinitionSource DefinitionsOf(Context& context) {
  return [&context](const std::vector<AskedServer>& servers) {
    std::vector<absl::StatusOr<LaunchDefinition>> definitions;
    for (const AskedServer& server : servers) definitions.push_back(DefinitionOf(context, server));
    return definitions;
  };
}

}  // namespace keyferry::client::cli
