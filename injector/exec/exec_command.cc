#include "injector/exec/exec_command.h"

#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "client/connection_options.h"
#include "client/files.h"
#include "client/secret_text.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "injector/exec/environment.h"
#include "injector/exec/launch_failure.h"
#include "injector/exec/process_description.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "keyferry/v1/resolution.pb.h"

namespace keyferry::injector {
namespace {

// Nobody renews it: nothing of the injector is left once the command runs.
constexpr absl::Duration kLease = absl::Hours(24);

// Overwrites the values of a response as soon as they have been used, or are not going to be.
class ScopedResponse {
 public:
  ScopedResponse() = default;
  ScopedResponse(const ScopedResponse&) = delete;
  ScopedResponse& operator=(const ScopedResponse&) = delete;
  ~ScopedResponse() { Wipe(); }

  void Wipe() {
    for (v1::ResolvedVariable& variable : *response_.mutable_variables()) client::WipeString(*variable.mutable_value());
    response_.Clear();
  }
  v1::ResolveResponse* get() { return &response_; }

 private:
  v1::ResolveResponse response_;
};

// As above, for a request that holds a session's token.
class ScopedRequest {
 public:
  ScopedRequest() = default;
  ScopedRequest(const ScopedRequest&) = delete;
  ScopedRequest& operator=(const ScopedRequest&) = delete;
  ~ScopedRequest() { client::WipeString(*request_.mutable_session_token()); }

  v1::ResolveRequest* operator->() { return &request_; }
  const v1::ResolveRequest& operator*() const { return request_; }

 private:
  v1::ResolveRequest request_;
};

// The token of the session to act in; empty if neither the flag nor the environment names a file.
absl::StatusOr<client::SecretText> ReadSession(const ExecOptions& options) {
  std::string file = options.session_file;
  const char* const variable = ::getenv("KEYFERRY_SESSION_FILE");
  if (file.empty() && variable != nullptr) file = variable;
  if (file.empty()) return client::SecretText();
  return client::ReadTokenFile(file, "session file");
}

client::CallPolicy PolicyOf(const ExecOptions& options) {
  client::CallPolicy policy;
  policy.timeout = options.startup_timeout;
  policy.retry_for = options.startup_timeout;
  policy.idempotent = true;
  return policy;
}

// Tries the target's MCP servers in turn; answers the failure of the last.
std::optional<Failure> Resolve(const client::Connection& connection, const ExecOptions& options,
                               const ResolveTarget& target, const client::SecretText& session,
                               ScopedResponse& response) {
  const std::unique_ptr<v1::ResolutionService::Stub> stub = v1::ResolutionService::NewStub(connection.channel());
  std::optional<client::ApiError> error;
  const v1::ProcessInfo process = DescribeProcess(::getenv, kLease);
  for (const std::string& mcp_server : target.mcp_servers) {
    ScopedRequest request;
    request->set_mcp_server(mcp_server);
    request->set_team(target.team);
    request->set_allow_partial(options.allow_partial);
    if (!session.empty()) request->set_session_token(session.Expose().data(), session.size());
    if (!process.process_id().empty()) *request->mutable_process() = process;
    error = connection.Call(PolicyOf(options), [&](grpc::ClientContext* context) {
      response.Wipe();
      return stub->Resolve(context, *request, response.get());
    });
    if (!error.has_value()) return std::nullopt;
    if (error->code != absl::StatusCode::kNotFound) return FailureOf(*error, mcp_server);
  }
  return FailureOf(*error, target.mcp_servers.back());
}

absl::StatusOr<Environment> EnvironmentOf(const ExecOptions& options, ScopedResponse& response) {
  std::vector<BoundVariable> bindings;
  bindings.reserve(response.get()->variables_size());
  for (const v1::ResolvedVariable& variable : response.get()->variables()) {
    bindings.push_back({variable.variable(), variable.value(), variable.allowed_by_org()});
  }
  absl::StatusOr<Environment> environment = BuildEnvironment(environ, options.inherit, bindings);
  response.Wipe();
  return environment;
}

}  // namespace

Failure RunExec(const ExecOptions& options, const InheritedState& state) {
  absl::StatusOr<client::ConnectionOptions> settings = client::LoadConnectionOptions(options.connection, ::getenv);
  if (!settings.ok()) return UsageFailure(settings.status());
  const absl::StatusOr<ResolveTarget> target = TargetOf(options, settings->org);
  if (!target.ok()) return UsageFailure(target.status());
  absl::StatusOr<client::SecretText> session = ReadSession(options);
  if (!session.ok()) return UsageFailure(session.status());
  const absl::StatusOr<std::unique_ptr<client::Connection>> connection = client::Connection::Open(*settings);
  if (!connection.ok()) return UsageFailure(connection.status());

  ScopedResponse response;
  if (std::optional<Failure> failure = Resolve(**connection, options, *target, *session, response))
    return *std::move(failure);
  absl::StatusOr<Environment> environment = EnvironmentOf(options, response);
  if (!environment.ok()) return RefusedEnvironment(environment.status(), target->mcp_servers.back());
  return LaunchFailure(options.command[0], ReplaceProcess(options.command, *std::move(environment), state));
}

}  // namespace keyferry::injector
