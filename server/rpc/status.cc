#include "server/rpc/status.h"

#include <string>

#include "server/errors.h"
#include "server/rpc/rpc_status.pb.h"

namespace keyferry::server {

grpc::Status ToGrpcStatus(const absl::Status& status) {
  if (status.ok()) return grpc::Status::OK;
  v1::ErrorDetail detail;
  std::string message(status.message());
  if (!GetDetail(status, &detail)) {
    detail.set_reason(absl::StatusCodeToString(status.code()));
    if (status.code() == absl::StatusCode::kInternal || status.code() == absl::StatusCode::kUnknown) {
      message = "internal error";
      detail.set_next_step("Ask the operator to read the log.");
    }
  }
  rpc::RpcStatus wire;
  wire.set_code(static_cast<int>(status.code()));
  wire.set_message(message);
  wire.add_details()->PackFrom(detail);
  return grpc::Status(static_cast<grpc::StatusCode>(status.code()), message, wire.SerializeAsString());
}

}  // namespace keyferry::server
