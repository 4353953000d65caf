#include "injector/exec/exec_command.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "client/connection.h"
#include "grpcpp/channel.h"
#include "grpcpp/client_context.h"
#include "injector/exec/environment.h"
#include "injector/exec/expiry_notice.h"
#include "injector/exec/launch_failure.h"
#include "injector/exec/process_description.h"
#include "injector/source/conversion.h"
#include "injector/source/server_access.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "keyferry/v1/resolution.pb.h"

namespace keyferry::injector {
namespace {

// Nobody renews it: nothing of the injector is left once the command runs.
constexpr absl::Duration kLease = absl::Hours(24);

client::CallPolicy PolicyOf(const ExecOptions& options) {
  client::CallPolicy policy;
  policy.timeout = options.startup_timeout;
  policy.retry_for = options.startup_timeout;
  policy.idempotent = true;
  return policy;
}

// Asks for the MCP servers in turn; answers the failure of the last.
std::optional<Failure> Resolve(const ServerAccess& access, const ServerAccess::Opened& opened,
                               const ExecOptions& options, ResolvedEnvironment* resolved) {
  const client::Connection& connection = *opened.connection;
  const std::unique_ptr<v1::ResolutionService::Stub> stub = v1::ResolutionService::NewStub(connection.channel());
  std::optional<client::ApiError> error;
  const v1::ProcessInfo process = DescribeProcess(::getenv, kLease);
  for (const std::string& mcp_server : access.mcp_servers()) {
    ScopedResolveRequest request;
    access.Fill(mcp_server, opened.session, &*request);
    if (!process.process_id().empty()) *request->mutable_process() = process;
    v1::ResolveResponse response;
    error = connection.Call(PolicyOf(options), [&](grpc::ClientContext* context) {
      WipeValues(&response);
      return stub->Resolve(context, *request, &response);
    });
    if (!error.has_value()) {
      *resolved = TakeEnvironment(&response);
      return std::nullopt;
    }
    WipeValues(&response);
    if (error->code != absl::StatusCode::kNotFound) return FailureOf(*error, mcp_server);
  }
  return FailureOf(*error, access.mcp_servers().back());
}

}  // namespace

Failure RunExec(const ExecOptions& options, const InheritedState& state) {
  const absl::StatusOr<ServerAccess> access = ServerAccess::Load(options, ::getenv);
  if (!access.ok()) return UsageFailure(access.status());
  // Open until the command takes this process over: closing a channel takes gRPC longer than the call.
  const absl::StatusOr<ServerAccess::Opened> opened = access->Open();
  if (!opened.ok()) return UsageFailure(opened.status());
  absl::StatusOr<Environment> environment;
  std::string notice;
  {
    ResolvedEnvironment resolved;
    if (std::optional<Failure> failure = Resolve(*access, *opened, options, &resolved)) return *std::move(failure);
    environment = EnvironmentFor(environ, options.inherit, resolved);
    notice = ExpiryNotice(resolved);
  }
  if (!environment.ok()) return RefusedEnvironment(environment.status(), access->mcp_servers().back());
  if (!notice.empty()) fprintf(stderr, "keyferry-injector: %s\n", notice.c_str());
  return LaunchFailure(options.command[0], ReplaceProcess(options.command, *std::move(environment), state));
}

}  // namespace keyferry::injector
