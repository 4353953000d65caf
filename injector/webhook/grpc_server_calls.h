#ifndef KEYFERRY_INJECTOR_WEBHOOK_GRPC_SERVER_CALLS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_GRPC_SERVER_CALLS_H_

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "client/connection.h"
#include "client/connection_options.h"
#include "injector/webhook/server_calls.h"

namespace grpc {
class ClientContext;
}

namespace keyferry::injector::webhook {

class GrpcServerCalls : public ServerCalls {
 public:
  // Reads the files of the identity once, to see that they can be used; nothing is sent. INVALID_ARGUMENT.
  static absl::StatusOr<std::unique_ptr<GrpcServerCalls>> Open(const client::ConnectionOptions& options);
  ~GrpcServerCalls() override;

  void Define(const std::string& mcp_server, DefinitionDone done) override;
  void Explain(const std::string& mcp_server, const std::string& team, ExplanationDone done) override;

 private:
  template <typename Stub, typename Request, typename Response>
  struct Call;

  explicit GrpcServerCalls(client::ConnectionOptions options) : options_(std::move(options)) {}

  // Made anew every minute, so that a token that was replaced is used.
  absl::StatusOr<std::shared_ptr<client::Connection>> Connect() ABSL_LOCKS_EXCLUDED(mutex_);
  void Began(grpc::ClientContext* context) ABSL_LOCKS_EXCLUDED(mutex_);
  void Ended(grpc::ClientContext* context) ABSL_LOCKS_EXCLUDED(mutex_);

  const client::ConnectionOptions options_;
  absl::Mutex mutex_;
  std::shared_ptr<client::Connection> connection_ ABSL_GUARDED_BY(mutex_);
  absl::Time opened_ ABSL_GUARDED_BY(mutex_);
  std::set<grpc::ClientContext*> under_way_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_GRPC_SERVER_CALLS_H_
