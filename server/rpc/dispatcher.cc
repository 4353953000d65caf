#include "server/rpc/dispatcher.h"

#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/server_context.h"
#include "server/errors.h"
#include "server/rpc/status.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

using google::protobuf::Message;

absl::Status Refuse(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                    absl::string_view next_step, int64_t retry_delay_ms = 0) {
  v1::ErrorDetail detail;
  detail.set_reason(std::string(reason));
  detail.set_next_step(std::string(next_step));
  detail.set_retry_delay_ms(retry_delay_ms);
  return MakeError(code, message, detail);
}

absl::string_view Authorization(const grpc::CallbackServerContext& context) {
  const auto& metadata = context.client_metadata();
  const auto range = metadata.equal_range("authorization");
  // Two of them could mean two things; neither is taken.
  if (range.first == range.second || std::next(range.first) != range.second) return "";
  return absl::string_view(range.first->second.data(), range.first->second.size());
}

}  // namespace

grpc::ServerUnaryReactor* Dispatcher::Start(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                            const Message* request, BoundRule rule) {
  // The default reactor: its end needs no thread of its own, which costs as much as a small call.
  grpc::ServerUnaryReactor* const reactor = context->DefaultReactor();
  const absl::Time start = absl::Now();
  auto call = [this, context, traits, request, reactor, start, rule = std::move(rule)] {
    std::string principal;
    const absl::Status status = Run(context, *request, rule, &principal);
    WriteLog(traits, *context, principal, status, absl::Now() - start);
    reactor->Finish(ToGrpcStatus(status));
  };
  if (!traits.mutates) {
    call();
  } else if (!executor_->TryRun(std::move(call))) {
    const absl::Status status =
        Refuse(absl::StatusCode::kResourceExhausted, "SERVER_BUSY", "too many changes are waiting; nothing was changed",
               "Repeat the call after the delay.", /*retry_delay_ms=*/1000);
    WriteLog(traits, *context, "", status, absl::Now() - start);
    reactor->Finish(ToGrpcStatus(status));
  }
  return reactor;
}

absl::Status Dispatcher::Run(grpc::CallbackServerContext* context, const Message& request, const BoundRule& rule,
                             std::string* principal) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Caller> caller, Admit(*context, request, principal));
  return rule(*caller);
}

absl::StatusOr<std::shared_ptr<const Caller>> Dispatcher::Admit(const grpc::CallbackServerContext& context,
                                                                const Message& request, std::string* principal) const {
  ASSIGN_OR_RETURN(std::shared_ptr<const Caller> caller, authenticator_->Authenticate(Authorization(context)));
  *principal = caller->Name();
  if (context.IsCancelled() || context.deadline() <= std::chrono::system_clock::now()) {
    return Refuse(absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED",
                  "the deadline passed before the call began; nothing was changed",
                  "Repeat it with a longer deadline.");
  }
  if (request.ByteSizeLong() > limits_.max_request_bytes) {
    return InvalidField("request", absl::StrCat("larger than ", limits_.max_request_bytes, " bytes"),
                        "Send less in one call.");
  }
  return caller;
}

void Dispatcher::WriteLog(const MethodTraits& traits, const grpc::CallbackServerContext& context,
                          const std::string& principal, const absl::Status& status, absl::Duration latency) const {
  const LogLevel level = status.ok() && !traits.mutates ? LogLevel::kDebug : LogLevel::kInfo;
  if (!logger_->Enabled(level)) return;
  v1::ErrorDetail detail;
  GetDetail(status, &detail);
  logger_->Write(level, "call",
                 {{"method", traits.name},
                  {"principal", principal},
                  {"peer", context.peer()},
                  {"code", absl::StatusCodeToString(status.code())},
                  {"reason", detail.reason()},
                  {"latency_us", absl::ToInt64Microseconds(latency)}});
}

}  // namespace keyferry::server
