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
#include "server/limits/call_limits.h"
#include "server/log.h"
#include "server/rpc/executor.h"
#include "server/rpc/held_answers.h"

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

// The one way of every call through the server: authentication, rate limits, deadline, size, the domain's rule (which
// asks the access decision), status mapping, log line. Methods whose messages carry values have a WipingAllocator.
// Thread-safe; must outlive the calls.
class Dispatcher {
 public:
  struct Limits {
    size_t max_request_bytes = size_t{256} << 10;
    // How much later than it could a call over its rate is refused, and how many such calls may be open.
    absl::Duration refusal_delay = absl::Milliseconds(100);
    size_t max_held_refusals = 4096;
  };

  Dispatcher(Authenticator* authenticator, CallLimits* call_limits, Executor* executor, Logger* logger, Limits limits)
      : authenticator_(authenticator),
        call_limits_(call_limits),
        executor_(executor),
        logger_(logger),
        limits_(limits),
        refusals_(limits.refusal_delay, limits.max_held_refusals) {}

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

  grpc::ServerUnaryReactor* Start(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                  const google::protobuf::Message* request, BoundRule rule);
  using Admission = absl::StatusOr<std::shared_ptr<const Caller>>;

  // Who is calling, if that is known and they may call now. Once for each call.
  Admission Admit(const grpc::CallbackServerContext& context) const;
  // Everything from the deadline to the rule.
  absl::Status Run(grpc::CallbackServerContext* context, const google::protobuf::Message& request,
                   const Admission& caller, const BoundRule& rule) const;
  void WriteLog(const MethodTraits& traits, const grpc::CallbackServerContext& context, const std::string& principal,
                const absl::Status& status, absl::Duration latency) const;

  Authenticator* const authenticator_;
  CallLimits* const call_limits_;
  Executor* const executor_;
  Logger* const logger_;
  const Limits limits_;
  HeldAnswers refusals_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_DISPATCHER_H_
