#ifndef KEYFERRY_CLIENT_CONNECTION_H_
#define KEYFERRY_CLIENT_CONNECTION_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/statusor.h"
#include "client/api_error.h"
#include "client/connection_options.h"
#include "client/retry.h"
#include "client/version.h"

namespace grpc {
class Channel;
class ClientContext;
class Status;
}  // namespace grpc

namespace keyferry::client {

// One keyferryd, reached over TLS with the caller's identity on every call. Thread-safe.
//
// Nothing is sent before the first call. The server's certificate must chain to the given CA and name the address's
// host. The token travels as call credentials, which gRPC refuses to send over anything but TLS. No proxy is used for a
// loopback address.
class Connection {
 public:
  // Reads the CA, certificate, key and token files. Fails with INVALID_ARGUMENT ("what: where; what to do") if one
  // cannot be read or is not what it should be; the token and the key file must be regular files (or links to one) that
  // other users cannot read.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const ConnectionOptions& options);

  ~Connection();

  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const ConnectionOptions& options() const { return options_; }

  // Runs one unary call under `policy`; no error means success. `attempt` makes the call on a stub of channel() with
  // the context that it is given, a fresh one for each try:
  //
  //   auto error = connection->Call(policy, [&](grpc::ClientContext* context) {
  //     return stub->Resolve(context, request, &response);
  //   });
  //
  // UNAVAILABLE, DEADLINE_EXCEEDED and UNIMPLEMENTED without a next step of the server's own get one that fits what
  // went wrong (nothing listens, certificate not trusted, ...).
  std::optional<ApiError> Call(const CallPolicy& policy,
                               absl::FunctionRef<grpc::Status(grpc::ClientContext*)> attempt) const;

  // What the failed status of a call that was made on channel() means, in the words that Call would answer.
  ApiError ErrorOf(const grpc::Status& status) const;

 private:
  Connection(ConnectionOptions options, std::shared_ptr<grpc::Channel> channel);

  const ConnectionOptions options_;
  const std::shared_ptr<grpc::Channel> channel_;
  const RetryEnvironment retry_environment_;
};

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_CONNECTION_H_
