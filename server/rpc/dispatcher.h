#ifndef KEYFERRY_SERVER_RPC_DISPATCHER_H_
#define KEYFERRY_SERVER_RPC_DISPATCHER_H_

#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/server_callback.h"
#include "server/audit/audit_log.h"
#include "server/identity/authenticator.h"
#include "server/log.h"
#include "server/rpc/executor.h"

namespace keyferry::server {

// How a method is run.
struct MethodTraits {
  // Full name for the log, e.g. "CredentialService/GetCredential". Must outlive the call.
  absl::string_view name;
  // Runs on the executor, since it waits for a synced commit; otherwise on the gRPC thread.
  bool mutates = false;
  // A read that runs on the executor, since it reads much.
  bool reads_much = false;
};
constexpr MethodTraits ReadMethod(absl::string_view name) { return {name, false}; }
constexpr MethodTraits LargeReadMethod(absl::string_view name) { return {name, false, true}; }
constexpr MethodTraits ChangeMethod(absl::string_view name) { return {name, true}; }

// The one way of every call through the server: authentication, deadline, size, the domain's rule (which asks the
// access decision), the audit entry, status mapping, log line. A call whose entry cannot be stored fails. Methods whose
// messages carry values have a WipingAllocator. Thread-safe; must outlive the calls.
class Dispatcher {
 public:
  struct Limits {
    size_t max_request_bytes = size_t{256} << 10;
  };

  // `clock` says when calls begin, for their audit entries.
  Dispatcher(Authenticator* authenticator, AuditLog* audit, Executor* executor, Logger* logger, Limits limits,
             std::function<absl::Time()> clock)
      : authenticator_(authenticator),
        audit_(audit),
        executor_(executor),
        logger_(logger),
        limits_(limits),
        clock_(std::move(clock)) {}

  // Answers a unary call with `rule(caller, request)`, a StatusOr<Response>.
  template <typename Request, typename Response, typename Rule>
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                  const Request* request, Response* response, Rule rule) {
    // What the rule needs is bound here, so that one function without templates does the rest.
    auto bound = [rule = std::move(rule), request, response](const Caller& caller) -> absl::Status {
      absl::StatusOr<Response> answer = rule(caller, *request);
      if (!answer.ok()) return answer.status();
      response->Swap(&*answer);
      return absl::OkStatus();
    };
    return Start(context, traits, request, std::move(bound));
  }

 private:
  using BoundRule = std::function<absl::Status(const Caller&)>;
  struct Call;

  grpc::ServerUnaryReactor* Start(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                  const google::protobuf::Message* request, BoundRule rule);
  // Everything from authentication to the rule.
  absl::Status Run(Call* call) const;
  // Stores the entry, unless a change has committed it, then answers. Ends the call.
  void Finish(std::unique_ptr<Call> call, absl::Status status);
  void Answer(const Call& call, const absl::Status& status) const;
  void WriteLog(const Call& call, const absl::Status& status) const;

  Authenticator* const authenticator_;
  AuditLog* const audit_;
  Executor* const executor_;
  Logger* const logger_;
  const Limits limits_;
  const std::function<absl::Time()> clock_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_DISPATCHER_H_
