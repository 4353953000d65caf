#include "client/cli/health.h"

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/support/byte_buffer.h>

#include <vector>

#include "absl/synchronization/notification.h"

namespace keyferry::client::cli {
namespace {

// HealthCheckResponse has one field: `ServingStatus status = 1`, a varint below 128.
constexpr char kStatusTag = 0x08;

std::string ServingStatus(const grpc::ByteBuffer& response) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (response.Dump(&slices).ok()) {
    for (const grpc::Slice& slice : slices) bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  if (bytes.size() != 2 || bytes[0] != kStatusTag) return "UNKNOWN";
  if (bytes[1] == 1) return "SERVING";
  return bytes[1] == 2 ? "NOT_SERVING" : "UNKNOWN";
}

}  // namespace

Outcome CheckHealth(const Connection& connection, const CallPolicy& policy, std::string* health) {
  grpc::GenericStub stub(connection.channel());
  // An empty HealthCheckRequest asks for the server as a whole.
  const grpc::Slice empty;
  const grpc::ByteBuffer request(&empty, 1);
  grpc::ByteBuffer response;
  auto error = connection.Call(policy, [&](grpc::ClientContext* context) {
    grpc::Status status;
    absl::Notification done;
    stub.UnaryCall(context, "/grpc.health.v1.Health/Check", grpc::StubOptions(), &request, &response,
                   [&](grpc::Status result) {
                     status = std::move(result);
                     done.Notify();
                   });
    done.WaitForNotification();
    return status;
  });
  if (error.has_value()) return FailureFrom(*error);
  *health = ServingStatus(response);
  return std::nullopt;
}

}  // namespace keyferry::client::cli
