#include "injector/webhook/grpc_server_calls.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/api_error.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"

namespace keyferry::injector::webhook {
namespace {

constexpr absl::Duration kConnectionAge = absl::Minutes(1);

LaunchDefinition Launch(const v1::McpServer& server) {
  return {server.command(), {server.args().begin(), server.args().end()}};
}

std::vector<std::string> WithoutValue(const v1::ExplainResponse& explained) {
  std::vector<std::string> lines;
  for (const v1::VariableExplanation& variable : explained.variables()) {
    if (variable.resolved() || !variable.required()) continue;
    lines.push_back(absl::StrCat(variable.variable(), " would have no value: ", variable.summary()));
  }
  return lines;
}

}  // namespace

// What gRPC refers to until the call is over.
template <typename Stub, typename Request, typename Response>
struct GrpcServerCalls::Call {
  explicit Call(std::shared_ptr<client::Connection> over) : connection(std::move(over)), stub(connection->channel()) {
    context.set_deadline(absl::ToChronoTime(absl::Now() + kPatience));
  }

  absl::Status StatusOf(const grpc::Status& status) const {
    if (status.ok()) return absl::OkStatus();
    const client::ApiError error = connection->ErrorOf(status);
    return absl::Status(error.code, error.message);
  }

  const std::shared_ptr<client::Connection> connection;
  Stub stub;
  grpc::ClientContext context;
  Request request;
  Response response;
};

absl::StatusOr<std::unique_ptr<GrpcServerCalls>> GrpcServerCalls::Open(const client::ConnectionOptions& options) {
  std::unique_ptr<GrpcServerCalls> calls(new GrpcServerCalls(options));
  const absl::StatusOr<std::shared_ptr<client::Connection>> connection = calls->Connect();
  if (!connection.ok()) return connection.status();
  return calls;
}

GrpcServerCalls::~GrpcServerCalls() {
  absl::MutexLock lock(&mutex_);
  for (grpc::ClientContext* const context : under_way_) context->TryCancel();
  const auto none = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return under_way_.empty(); };
  mutex_.Await(absl::Condition(&none));
}

absl::StatusOr<std::shared_ptr<client::Connection>> GrpcServerCalls::Connect() {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = absl::Now();
  if (connection_ != nullptr && now - opened_ < kConnectionAge) return connection_;
  absl::StatusOr<std::unique_ptr<client::Connection>> opened = client::Connection::Open(options_);
  if (!opened.ok()) return opened.status();
  connection_ = *std::move(opened);
  opened_ = now;
  return connection_;
}

void GrpcServerCalls::Began(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  under_way_.insert(context);
}

void GrpcServerCalls::Ended(grpc::ClientContext* context) {
  absl::MutexLock lock(&mutex_);
  under_way_.erase(context);
}

void GrpcServerCalls::Define(const std::string& mcp_server, DefinitionDone done) {
  absl::StatusOr<std::shared_ptr<client::Connection>> connection = Connect();
  if (!connection.ok()) return done(connection.status());
  const auto call = std::make_shared<Call<v1::McpServerService::Stub, v1::GetMcpServerRequest, v1::McpServer>>(
      *std::move(connection));
  call->request.set_name(mcp_server);
  Began(&call->context);
  call->stub.async()->GetMcpServer(
      &call->context, &call->request, &call->response,
      [this, call, done = std::move(done)](const grpc::Status& status) {
        const absl::Status failed = call->StatusOf(status);
        done(failed.ok() ? Launch(call->response) : absl::StatusOr<LaunchDefinition>(failed));
        Ended(&call->context);
      });
}

void GrpcServerCalls::Explain(const std::string& mcp_server, const std::string& team, ExplanationDone done) {
  absl::StatusOr<std::shared_ptr<client::Connection>> connection = Connect();
  if (!connection.ok()) return done(connection.status());
  const auto call = std::make_shared<Call<v1::ResolutionService::Stub, v1::ExplainRequest, v1::ExplainResponse>>(
      *std::move(connection));
  call->request.set_mcp_server(mcp_server);
  call->request.set_team(team);
  Began(&call->context);
  call->stub.async()->Explain(
      &call->context, &call->request, &call->response,
      [this, call, done = std::move(done)](const grpc::Status& status) {
        const absl::Status failed = call->StatusOf(status);
        done(failed.ok() ? WithoutValue(call->response) : absl::StatusOr<std::vector<std::string>>(failed));
        Ended(&call->context);
      });
}

}  // namespace keyferry::injector::webhook
