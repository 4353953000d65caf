#ifndef KEYFERRY_SERVER_RPC_STATUS_H_
#define KEYFERRY_SERVER_RPC_STATUS_H_

#include "absl/status/status.h"
#include "grpcpp/support/status.h"

namespace keyferry::server {

// The status as gRPC sends it: same code, same message, and the ErrorDetail packed into a google.rpc.Status for the
// `grpc-status-details-bin` trailer. Codes without a detail get one, so that every error carries a reason; the message
// of INTERNAL and UNKNOWN is replaced, since it may hold inner facts.
grpc::Status ToGrpcStatus(const absl::Status& status);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_STATUS_H_
