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

struct Dispatcher::Call {
  grpc::CallbackServerContext* context = nullptr;
  MethodTraits traits;
  const Message* request = nullptr;
  BoundRule rule;
  // The default reactor: its end needs no thread of its own, which costs as much as a small call.
  grpc::ServerUnaryReactor* reactor = nullptr;
  absl::Time start;
  CallRecord record;
};

grpc::ServerUnaryReactor* Dispatcher::Start(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                            const Message* request, BoundRule rule) {
  auto call = std::make_unique<Call>();
  call->context = context;
  call->traits = traits;
  call->request = request;
  call->rule = std::move(rule);
  call->start = absl::Now();
  grpc::ServerUnaryReactor* const reactor = call->reactor = context->DefaultReactor();
  v1::AuditEntry& entry = call->record.entry;
  const timespec now = absl::ToTimespec(clock_());
  entry.mutable_time()->set_seconds(now.tv_sec);
  entry.mutable_time()->set_nanos(static_cast<int32_t>(now.tv_nsec));
  entry.set_method(std::string(traits.name));
  entry.set_peer(context->peer());
  entry.set_resource(ResourceOf(*request));
  if (!traits.mutates && !traits.reads_much) {
    const absl::Status status = Run(call.get());
    Finish(std::move(call), status);
    return reactor;
  }
  // A function that can be copied owns what it shares.
  Call* const borrowed = call.release();
  const bool accepted = executor_->TryRun([this, borrowed] {
    std::unique_ptr<Call> owned(borrowed);
    const absl::Status status = Run(owned.get());
    Finish(std::move(owned), status);
  });
  if (!accepted) {
    Finish(std::unique_ptr<Call>(borrowed),
           Refuse(absl::StatusCode::kResourceExhausted, "SERVER_BUSY",
                  "too many changes are waiting; nothing was changed", "Repeat the call after the delay.",
                  /*retry_delay_ms=*/1000));
  }
  return reactor;
}

absl::Status Dispatcher::Run(Call* call) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<const Caller> known,
                   authenticator_->Authenticate(Authorization(*call->context)));
  Caller caller = *known;
  caller.record = &call->record;
  call->record.org = caller.org;
  call->record.entry.set_principal(caller.Name());
  if (call->context->IsCancelled() || call->context->deadline() <= std::chrono::system_clock::now()) {
    return Refuse(absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED",
                  "the deadline passed before the call began; nothing was changed",
                  "Repeat it with a longer deadline.");
  }
  if (call->request->ByteSizeLong() > limits_.max_request_bytes) {
    return InvalidField("request", absl::StrCat("larger than ", limits_.max_request_bytes, " bytes"),
                        "Send less in one call.");
  }
  return call->rule(caller);
}

void Dispatcher::Finish(std::unique_ptr<Call> call, absl::Status status) {
  if (call->record.committed && status.ok()) return Answer(*call, status);
  if (!status.ok()) {
    // What a refused call would have given out, it has not.
    call->record.resolution.reset();
    call->record.entry.clear_credentials();
  }
  SetOutcome(status, &call->record.entry);
  Call* const borrowed = call.release();
  audit_->StoreThen(&borrowed->record, [this, borrowed, status](const absl::Status& stored) {
    const std::unique_ptr<Call> owned(borrowed);
    absl::Status outcome = stored;
    if (absl::IsNotFound(stored) && !owned->record.org.empty()) {
      // The org was deleted meanwhile, and its log with it.
      owned->record.org.clear();
      outcome = audit_->Store(owned->record);
    }
    Answer(*owned, outcome.ok() ? status : FromStore(outcome, "the audit log"));
  });
}

void Dispatcher::Answer(const Call& call, const absl::Status& status) const {
  WriteLog(call, status);
  call.reactor->Finish(ToGrpcStatus(status));
}

void Dispatcher::WriteLog(const Call& call, const absl::Status& status) const {
  const LogLevel level = status.ok() && !call.traits.mutates ? LogLevel::kDebug : LogLevel::kInfo;
  if (!logger_->Enabled(level)) return;
  v1::ErrorDetail detail;
  GetDetail(status, &detail);
  logger_->Write(level, "call",
                 {{"method", call.traits.name},
                  {"principal", call.record.entry.principal()},
                  {"peer", call.record.entry.peer()},
                  {"code", absl::StatusCodeToString(status.code())},
                  {"reason", detail.reason()},
                  {"latency_us", absl::ToInt64Microseconds(absl::Now() - call.start)}});
}

}  // namespace keyferry::server
