#ifndef KEYFERRY_SERVER_RPC_PRESENTED_H_
#define KEYFERRY_SERVER_RPC_PRESENTED_H_

#include <string>

#include "grpcpp/server_context.h"
#include "server/identity/authenticator.h"

namespace keyferry::server {

// What a call brings to say who makes it, as gRPC has it. Must not outlive the context.
class Presented {
 public:
  explicit Presented(const grpc::CallbackServerContext& context);

  CallCredentials all() const { return CallCredentials{authorization_, certificates_}; }

 private:
  absl::string_view authorization_;
  std::string certificates_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_PRESENTED_H_
