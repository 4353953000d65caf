#include "injector/webhook/server_questions.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <optional>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/retry.h"
#include "injector/exec/exec_options.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"

namespace keyferry::injector::webhook {
namespace {

constexpr absl::Duration kPatience = absl::Seconds(2);
constexpr absl::Duration kConnectionAge = absl::Minutes(1);
constexpr absl::Duration kDefinitionAge = absl::Seconds(10);
constexpr size_t kMostKept = 1000;

client::CallPolicy Policy() {
  client::CallPolicy policy;
  policy.timeout = kPatience;
  policy.retry_for = absl::ZeroDuration();
  policy.idempotent = true;
  return policy;
}

absl::StatusOr<ResolveTarget> Target(const std::string& mcp_server, const std::string& team, const std::string& org) {
  ExecOptions options;
  options.mcp_server = mcp_server;
  options.team = team;
  return TargetOf(options, org);
}

// Calls `ask` with each name in turn until one is found.
template <typename Ask>
absl::Status FirstFound(const ResolveTarget& target, const Ask& ask) {
  absl::Status last = absl::NotFoundError("there is no such MCP server");
  for (const std::string& name : target.mcp_servers) {
    const std::optional<client::ApiError> error = ask(name);
    if (!error.has_value()) return absl::OkStatus();
    last = absl::Status(error->code, error->message);
    if (error->code != absl::StatusCode::kNotFound) break;
  }
  return last;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ServerQuestions>> ServerQuestions::Open(const client::ConnectionOptions& options) {
  std::unique_ptr<ServerQuestions> questions(new ServerQuestions(options));
  const absl::StatusOr<std::shared_ptr<client::Connection>> connection = questions->Connect();
  if (!connection.ok()) return connection.status();
  return questions;
}

absl::StatusOr<std::shared_ptr<client::Connection>> ServerQuestions::Connect() {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = absl::Now();
  if (connection_ != nullptr && now - opened_ < kConnectionAge) return connection_;
  absl::StatusOr<std::unique_ptr<client::Connection>> opened = client::Connection::Open(options_);
  if (!opened.ok()) return opened.status();
  connection_ = *std::move(opened);
  opened_ = now;
  return connection_;
}

absl::StatusOr<LaunchDefinition> ServerQuestions::Define(const std::string& mcp_server, const std::string& team) {
  const std::pair<std::string, std::string> key(mcp_server, team);
  {
    absl::MutexLock lock(&mutex_);
    const auto found = kept_.find(key);
    if (found != kept_.end() && absl::Now() < found->second.until) return found->second.definition;
  }
  absl::StatusOr<LaunchDefinition> definition = Ask(mcp_server, team);
  if (!definition.ok()) return definition;
  absl::MutexLock lock(&mutex_);
  if (kept_.size() >= kMostKept) kept_.clear();
  kept_[key] = {*definition, absl::Now() + kDefinitionAge};
  return definition;
}

absl::StatusOr<LaunchDefinition> ServerQuestions::Ask(const std::string& mcp_server, const std::string& team) {
  const absl::StatusOr<std::shared_ptr<client::Connection>> connection = Connect();
  if (!connection.ok()) return connection.status();
  const absl::StatusOr<ResolveTarget> target = Target(mcp_server, team, options_.org);
  if (!target.ok()) return target.status();
  v1::McpServerService::Stub stub((*connection)->channel());
  v1::McpServer found;
  const absl::Status status = FirstFound(*target, [&](const std::string& name) {
    v1::GetMcpServerRequest request;
    request.set_name(name);
    return (*connection)->Call(Policy(), [&](grpc::ClientContext* context) {
      return stub.GetMcpServer(context, request, &found);
    });
  });
  if (!status.ok()) return status;
  return LaunchDefinition{found.command(), {found.args().begin(), found.args().end()}};
}

std::vector<std::string> ServerQuestions::Check(const std::vector<ChosenContainer>& containers) {
  std::vector<std::string> lines;
  const absl::Time deadline = absl::Now() + 2 * kPatience;
  for (const ChosenContainer& container : containers) {
    if (absl::Now() > deadline) {
      lines.push_back("not all bindings were checked; the server is slow");
      break;
    }
    for (std::string& line : CheckOne(container)) lines.push_back(std::move(line));
  }
  return lines;
}

std::vector<std::string> ServerQuestions::CheckOne(const ChosenContainer& container) {
  const std::string what = absl::StrCat("container ", container.name, ": ");
  const absl::StatusOr<std::shared_ptr<client::Connection>> connection = Connect();
  const absl::StatusOr<ResolveTarget> target = Target(container.mcp_server, container.team, options_.org);
  absl::Status status = !connection.ok() ? connection.status() : target.status();
  v1::ExplainResponse explained;
  if (status.ok()) {
    v1::ResolutionService::Stub stub((*connection)->channel());
    status = FirstFound(*target, [&](const std::string& name) {
      v1::ExplainRequest request;
      request.set_mcp_server(name);
      request.set_team(target->team);
      return (*connection)->Call(Policy(), [&](grpc::ClientContext* context) {
        return stub.Explain(context, request, &explained);
      });
    });
  }
  if (!status.ok()) return {absl::StrCat(what, "its bindings could not be checked: ", status.message())};
  std::vector<std::string> lines;
  for (const v1::VariableExplanation& variable : explained.variables()) {
    if (variable.resolved() || !variable.required()) continue;
    lines.push_back(absl::StrCat(what, variable.variable(), " would have no value: ", variable.summary()));
  }
  return lines;
}

}  // namespace keyferry::injector::webhook
