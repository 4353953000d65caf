#ifndef KEYFERRY_SERVER_RPC_DISPATCHER_H_
#define KEYFERRY_SERVER_RPC_DISPATCHER_H_

#include <functional>
#include <memory>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/message.h"
#include "grpcpp/support/server_callback.h"
#include "server/audit/audit_log.h"
#include "server/identity/authenticator.h"
#include "server/limits/call_limits.h"
#include "server/log.h"
#include "server/metrics/call_metrics.h"
#include "server/rpc/executor.h"
#include "server/rpc/held_answers.h"
#include "server/rpc/held_calls.h"
#include "server/rpc/request_limits.h"

namespace keyferry::server {

// How a method is run.
struct MethodTraits {
  // Full name for the log, e.g. "CredentialService/GetCredential". Must outlive the call.
  absl::string_view name;
  // Runs on the executor, since it waits for a synced commit; otherwise on the gRPC thread.
  bool mutates = false;
  // 0 for the limit of all methods.
  size_t max_request_bytes = 0;
  // A read that runs on the executor, since it reads much.
  bool reads_much = false;
};
constexpr MethodTraits ReadMethod(absl::string_view name) { return {name, false}; }
constexpr MethodTraits LargeReadMethod(absl::string_view name) {
  return {name, /*mutates=*/false, /*max_request_bytes=*/0, /*reads_much=*/true};
}
constexpr MethodTraits ChangeMethod(absl::string_view name) { return {name, true}; }
// Of a method that takes many values at once.
constexpr MethodTraits LargeChangeMethod(absl::string_view name) { return {name, true, kMaxLargeRequestBytes}; }

// The one way of every call through the server: authentication, rate limits, deadline, size, the domain's rule (which
// asks the access decision), the audit entry, status mapping, log line. A call whose entry cannot be stored fails.
// Methods whose messages carry values have a WipingAllocator. Thread-safe; must outlive the calls.
class Dispatcher {
 public:
  struct Limits {
    size_t max_request_bytes = size_t{256} << 10;
    // How much later than it could a call over its rate is refused, and how many such calls may be open.
    absl::Duration refusal_delay = absl::Milliseconds(100);
    size_t max_held_refusals = 4096;
    HeldCalls::Limits held_calls;
  };
  using Admission = absl::StatusOr<std::shared_ptr<const Caller>>;

  // What is known of one call.
  struct Call {
    grpc::CallbackServerContext* context = nullptr;
    MethodTraits traits;
    absl::Time start;
    CallRecord record;
    AccessTally access;
    // It lasts as long as its caller wants.
    bool streams = false;
  };

  // `clock` says when calls begin, for their audit entries. Without `metrics` nothing is counted.
  Dispatcher(Authenticator* authenticator, CallLimits* call_limits, AuditLog* audit, Executor* executor, Logger* logger,
             Limits limits, std::function<absl::Time()> clock, CallMetrics* metrics = nullptr)
      : authenticator_(authenticator),
        call_limits_(call_limits),
        audit_(audit),
        executor_(executor),
        logger_(logger),
        metrics_(metrics),
        limits_(limits),
        refusals_(limits.refusal_delay, limits.max_held_refusals),
        held_calls_(limits.held_calls),
        clock_(std::move(clock)) {}

  // Answers a unary call with `rule(caller, request)`, a StatusOr<Response>.
  template <typename Request, typename Response, typename Rule>
  grpc::ServerUnaryReactor* Unary(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                  const Request* request, Response* response, Rule rule) {
    return HoldableUnary(context, traits, request, response,
                         [rule = std::move(rule)](const Caller& caller, const Request& r,
                                                  Hold*) -> absl::StatusOr<Response> { return rule(caller, r); });
  }

  // The same with `rule(caller, request, hold)`, which may ask that the call be held instead of answering
  // (held_calls.h). It is then run again, once, for a caller who is authenticated again. Where too many calls are held
  // it answers RESOURCE_EXHAUSTED.
  template <typename Request, typename Response, typename Rule>
  grpc::ServerUnaryReactor* HoldableUnary(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                          const Request* request, Response* response, Rule rule) {
    // What the rule needs is bound here, so that one function without templates does the rest.
    auto bound = [rule = std::move(rule), request, response](const Caller& caller, Hold* hold) -> absl::Status {
      absl::StatusOr<Response> answer = rule(caller, *request, hold);
      if (!answer.ok()) return answer.status();
      response->Swap(&*answer);
      return absl::OkStatus();
    };
    return Start(context, traits, request, std::move(bound));
  }

  // The same in two halves, for a call that streams. Begin does everything before the rule and fills `call`; its caller
  // has no record, since a stream stores an entry for each thing that it gives out. End stores the entry of the call as
  // a whole and then calls `done`; `call` must live until then.
  Admission Begin(grpc::CallbackServerContext* context, const MethodTraits& traits,
                  const google::protobuf::Message& request, Call* call) const;
  void End(Call* call, const absl::Status& status, std::function<void(const absl::Status&)> done) const;

  // Answers the calls that are held with UNAVAILABLE, and holds no more.
  void Drain() { held_calls_.Drain(); }

 private:
  using BoundRule = std::function<absl::Status(const Caller&, Hold*)>;
  struct UnaryCall;

  grpc::ServerUnaryReactor* Start(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                  const google::protobuf::Message* request, BoundRule rule);
  void Fill(grpc::CallbackServerContext* context, const MethodTraits& traits, const google::protobuf::Message& request,
            Call* call) const;
  // Who is calling, by everything that the call says of itself; at each time that this is asked.
  Admission Authenticate(Call* call, ExternalIdentities::Pending* pending) const;
  // Who is calling, if that is known and they may call now. Once for each call, and once more after each `pending`.
  Admission Admit(Call* call, ExternalIdentities::Pending* pending) const;
  // Whether there is still time for a request of this size.
  absl::Status CheckRequest(const Call& call, const google::protobuf::Message& request) const;
  // Everything after admission up to the rule's answer.
  static void Note(const Admission& caller, Call* call);
  absl::Status Run(UnaryCall* call, const Admission& admitted, Hold* hold) const;
  // Then answers, or holds the call unless it was held before.
  void RunAndAnswer(std::unique_ptr<UnaryCall> call, const Admission& admitted, bool was_held = false);
  void Keep(std::unique_ptr<UnaryCall> call, const std::string& org, const Hold& hold);
  // Holds the call until `then` goes on with it, or ends it.
  void KeepThen(std::unique_ptr<UnaryCall> call, const std::string& org, const Hold& hold,
                std::function<void(std::unique_ptr<UnaryCall>)> then);
  // Holds the call while it is not known who makes it, up to `waits` times, and goes on.
  void AdmitOrHold(std::unique_ptr<UnaryCall> call, int waits);
  // Everything after the admission.
  void GoOn(std::unique_ptr<UnaryCall> call, const Admission& caller);
  // Stores the entry, then answers. Ends the call.
  void Finish(std::unique_ptr<UnaryCall> call, const absl::Status& status) const;
  // Counts the call and writes its log line.
  void Tell(const Call& call, const absl::Status& status) const;

  Authenticator* const authenticator_;
  CallLimits* const call_limits_;
  AuditLog* const audit_;
  Executor* const executor_;
  Logger* const logger_;
  CallMetrics* const metrics_;
  const Limits limits_;
  HeldAnswers refusals_;
  HeldCalls held_calls_;
  const std::function<absl::Time()> clock_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_DISPATCHER_H_
