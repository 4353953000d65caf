#ifndef KEYFERRY_CLIENT_KEYFERRY_CLIENT_H_
#define KEYFERRY_CLIENT_KEYFERRY_CLIENT_H_

// The C++ client of Keyferry: the header to start from. docs/clients.md shows it at work, client/examples/ is a whole
// program.

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "client/api_error.h"
#include "client/connection.h"
#include "client/connection_options.h"
#include "client/retry.h"
#include "client/secret_text.h"
#include "google/protobuf/repeated_field.h"
#include "keyferry/v1/connections.grpc.pb.h"
#include "keyferry/v1/credentials.grpc.pb.h"
#include "keyferry/v1/directory.grpc.pb.h"
#include "keyferry/v1/mcp_servers.grpc.pb.h"
#include "keyferry/v1/oauth_providers.grpc.pb.h"
#include "keyferry/v1/resolution.grpc.pb.h"
#include "keyferry/v1/tokens.grpc.pb.h"

namespace keyferry::client {

// What a call answered, or why it failed. Look at ok() before the one or the other.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : outcome_(std::move(value)) {}
  Result(ApiError error) : outcome_(std::move(error)) {}

  bool ok() const { return std::holds_alternative<T>(outcome_); }
  const T& value() const& { return std::get<T>(outcome_); }
  T&& value() && { return std::get<T>(std::move(outcome_)); }
  const ApiError& error() const { return std::get<ApiError>(outcome_); }

  const T& operator*() const& { return value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, ApiError> outcome_;
};

// For calls that only read: sent again, within `timeout`, while the server cannot be reached.
inline CallPolicy ReadPolicy(absl::Duration timeout = absl::Seconds(30)) {
  CallPolicy policy;
  policy.timeout = timeout;
  policy.retry_for = timeout;
  policy.idempotent = true;
  return policy;
}

// For calls that change something: once the request may have reached the server it is not sent again, since nobody
// knows whether it was carried out. What the server refused unseen (RESOURCE_EXHAUSTED with a delay) is.
inline CallPolicy ChangePolicy(absl::Duration timeout = absl::Seconds(30)) {
  CallPolicy policy;
  policy.timeout = timeout;
  policy.retry_for = timeout;
  return policy;
}

// One keyferryd and one identity, for the life of a program. Thread-safe: share one among all threads; calls run at the
// same time over one connection.
//
//   auto client = keyferry::client::Client::FromEnvironment();
//   v1::GetCredentialRequest request;
//   request.set_name("orgs/acme/credentials/GITHUB_TOKEN");
//   auto credential = (*client)->Call(&v1::CredentialService::Stub::GetCredential, request, ReadPolicy());
//   if (!credential.ok()) return Report(credential.error());
//
// Requests and answers that hold values are the caller's to keep short and to wipe (WipeString); this library keeps no
// copy, but protobuf and gRPC do not wipe theirs.
class Client {
 public:
  // As Connection::Open, whose errors it passes on: files are read now, nothing is sent yet.
  static absl::StatusOr<std::unique_ptr<Client>> Open(const ConnectionOptions& options) {
    auto connection = Connection::Open(options);
    if (!connection.ok()) return connection.status();
    return std::unique_ptr<Client>(new Client(*std::move(connection)));
  }

  // Settings from KEYFERRY_ADDRESS, KEYFERRY_CA_FILE, KEYFERRY_TOKEN_FILE, KEYFERRY_ORG and the caller's profile file,
  // as the `keyferry` command takes them (LoadConnectionOptions).
  static absl::StatusOr<std::unique_ptr<Client>> FromEnvironment();

  // One unary call of any service: a method of its generated stub, e.g. &v1::TokenService::Stub::GetCaller.
  template <typename Stub, typename Request, typename Response>
  Result<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                        const Request& request, const CallPolicy& policy) const {
    Stub stub(connection_->channel());
    Response response;
    auto error = connection_->Call(
        policy, [&](grpc::ClientContext* context) { return (stub.*method)(context, request, &response); });
    if (error.has_value()) return *std::move(error);
    return response;
  }

  // Every page of a list, e.g. through &v1::ListUsersResponse::users. `policy` holds for each page. The pages are not
  // one snapshot: what is created or deleted meanwhile may or may not be among them.
  template <typename Stub, typename Request, typename Response, typename Item>
  Result<std::vector<Item>> List(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
                                 Request request,
                                 const google::protobuf::RepeatedPtrField<Item>& (Response::*items)() const,
                                 const CallPolicy& policy = ReadPolicy()) const {
    std::vector<Item> all;
    while (true) {
      Result<Response> page = Call(method, request, policy);
      if (!page.ok()) return page.error();
      const auto& found = (page.value().*items)();
      all.insert(all.end(), found.begin(), found.end());
      if (page->next_page_token().empty()) return all;
      request.set_page_token(page->next_page_token());
    }
  }

  // For what this class does not wrap, e.g. streams: stubs of its channel carry the identity as well.
  const Connection& connection() const { return *connection_; }

 private:
  explicit Client(std::unique_ptr<Connection> connection) : connection_(std::move(connection)) {}

  const std::unique_ptr<Connection> connection_;
};

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_KEYFERRY_CLIENT_H_
