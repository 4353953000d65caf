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
};
constexpr MethodTraits ReadMethod(absl::string_view name) { return {name, false}; }
constexpr MethodTraits ChangeMethod(absl::string_view name) { return {name, true}; }

// The one way of every call through the server: deadline, size, authentication, the domain's rule (which asks the
// access decision), status mapping, log line. Methods whose messages carry values have a WipingAllocator. Thread-safe;
// must outlive the calls.
class Dispatcher {
 public:
  struct Limits {
    size_t max_request_bytes = size_t{256} << 10;
  };

  Dispatcher(Authenticator* authenticator, Executor* executor, Logger* logger, Limits limits)
      : authenticator_(authenticator), executor_(executor), logger_(logger), limits_(limits) {}

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

  // The same in two halves, for a call that streams: everything before the rule, and the log line once it has ended.
  // `principal` is set as soon as it is known.
  absl::StatusOr<std::shared_ptr<const Caller>> Admit(const grpc::CallbackServerContext& context,
                                                      const google::protobuf::Message& request,
                                                      std::string* principal) const;
  void WriteLog(const MethodTraits& traits, const grpc::CallbackServerContext& context, const std::string& principal,
                const absl::Status& status, absl::Duration latency) const;

 private:
  using BoundRule = std::function<absl::Status(const Caller&)>;

  grpc::ServerUnaryReactor* Start(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                  const google::protobuf::Message* request, BoundRule rule);
  // Everything from the deadline to the rule. Sets `principal` once it is known.
  absl::Status Run(grpc::CallbackServerContext* context, const google::protobuf::Message& request,
                   const BoundRule& rule, std::string* principal) const;

  Authenticator* const authenticator_;
  Executor* const executor_;
  Logger* const logger_;
  const Limits limits_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_DISPATCHER_H_
