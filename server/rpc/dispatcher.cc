#include "server/rpc/dispatcher.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "grpcpp/server_context.h"
#include "server/errors.h"
#include "server/rpc/presented.h"
#include "server/rpc/status.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

using google::protobuf::Message;

// What is awaited to know a caller: keys of an issuer, and then a review or a change of the directory.
constexpr int kMaxWaits = 2;
constexpr absl::Duration kTimeToAnswer = absl::Milliseconds(500);

absl::Status Refuse(absl::StatusCode code, absl::string_view reason, absl::string_view message,
                    absl::string_view next_step, int64_t retry_delay_ms = 0) {
  v1::ErrorDetail detail;
  detail.set_reason(std::string(reason));
  detail.set_next_step(std::string(next_step));
  detail.set_retry_delay_ms(retry_delay_ms);
  return MakeError(code, message, detail);
}

// A stream has no tally, since it decides again and again: how it ended tells, and hidden and absent are one.
AccessOutcome OutcomeOfStream(const absl::Status& status) {
  if (absl::IsPermissionDenied(status) || absl::IsNotFound(status)) return AccessOutcome::kDenied;
  const bool began = status.ok() || absl::IsCancelled(status) || absl::IsUnavailable(status);
  return began ? AccessOutcome::kAllowed : AccessOutcome::kNone;
}

AccessOutcome OutcomeOf(const Dispatcher::Call& call, const absl::Status& status) {
  if (absl::IsUnauthenticated(status)) return AccessOutcome::kUnauthenticated;
  if (call.streams) return OutcomeOfStream(status);
  if (call.access.refused > 0 && !status.ok()) return AccessOutcome::kDenied;
  return call.access.allowed > 0 ? AccessOutcome::kAllowed : AccessOutcome::kNone;
}

}  // namespace

struct Dispatcher::UnaryCall : Dispatcher::Call {
  const Message* request = nullptr;
  BoundRule rule;
  // The default reactor: its end needs no thread of its own, which costs as much as a small call.
  grpc::ServerUnaryReactor* reactor = nullptr;
};

void Dispatcher::Fill(grpc::CallbackServerContext* context, const MethodTraits& traits, const Message& request,
                      Call* call) const {
  call->context = context;
  call->traits = traits;
  call->start = absl::Now();
  const timespec now = absl::ToTimespec(clock_());
  v1::AuditEntry& entry = call->record.entry;
  entry.mutable_time()->set_seconds(now.tv_sec);
  entry.mutable_time()->set_nanos(static_cast<int32_t>(now.tv_nsec));
  entry.set_method(std::string(traits.name));
  entry.set_peer(context->peer());
  entry.set_resource(ResourceOf(request));
}

void Dispatcher::Note(const Admission& caller, Call* call) {
  if (!caller.ok()) return;
  NoteCaller(**caller, &call->record);
}

Dispatcher::Admission Dispatcher::Authenticate(Call* call, ExternalIdentities::Pending* pending) const {
  const Presented presented(*call->context);
  CallCredentials credentials = presented.all();
  credentials.stream = call->streams;
  credentials.may_verify = [this, call] { return call_limits_->BeforeVerifying(call->record.entry.peer()); };
  credentials.in_vain = [this, call] { call_limits_->VerifiedInVain(call->record.entry.peer()); };
  credentials.peer = call->record.entry.peer();
  return authenticator_->Authenticate(credentials, pending);
}

Dispatcher::Admission Dispatcher::Admit(Call* call, ExternalIdentities::Pending* pending) const {
  Admission caller = Authenticate(call, pending);
  Note(caller, call);
  if (!caller.ok()) return call_limits_->AfterFailure(call->record.entry.peer(), caller.status());
  RETURN_IF_ERROR(call_limits_->Admit(**caller));
  return caller;
}

absl::Status Dispatcher::CheckRequest(const Call& call, const Message& request) const {
  if (call.context->IsCancelled() || call.context->deadline() <= std::chrono::system_clock::now()) {
    return Refuse(absl::StatusCode::kDeadlineExceeded, "DEADLINE_EXCEEDED",
                  "the deadline passed before the call began; nothing was changed",
                  "Repeat it with a longer deadline.");
  }
  const size_t max_bytes =
      call.traits.max_request_bytes == 0 ? limits_.max_request_bytes : call.traits.max_request_bytes;
  if (request.ByteSizeLong() > max_bytes) {
    return InvalidField("request", absl::StrCat("larger than ", max_bytes, " bytes"), "Send less in one call.");
  }
  return absl::OkStatus();
}

grpc::ServerUnaryReactor* Dispatcher::Start(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                            const Message* request, BoundRule rule) {
  auto call = std::make_unique<UnaryCall>();
  Fill(context, traits, *request, call.get());
  call->request = request;
  call->rule = std::move(rule);
  grpc::ServerUnaryReactor* const reactor = call->reactor = context->DefaultReactor();
  AdmitOrHold(std::move(call), kMaxWaits);
  return reactor;
}

void Dispatcher::AdmitOrHold(std::unique_ptr<UnaryCall> call, int waits) {
  ExternalIdentities::Pending pending;
  const Admission caller = Admit(call.get(), waits > 0 ? &pending : nullptr);
  if (pending == nullptr) return GoOn(std::move(call), caller);
  if (const absl::Status checked = CheckRequest(*call, *call->request); !checked.ok()) {
    return Finish(std::move(call), checked);
  }
  // Who is calling becomes known without a thread that waits for it. Until then they count as their network; no id of
  // an organization has an `@`.
  Hold hold;
  hold.until = std::move(pending);
  const std::string network = absl::StrCat("@", PeerNetwork(call->record.entry.peer()));
  KeepThen(std::move(call), network, hold,
           [this, waits](std::unique_ptr<UnaryCall> held) { AdmitOrHold(std::move(held), waits - 1); });
}

void Dispatcher::GoOn(std::unique_ptr<UnaryCall> call, const Admission& caller) {
  const MethodTraits traits = call->traits;
  // A function that can be copied cannot own the call; it takes it over when it runs.
  if (absl::IsResourceExhausted(caller.status())) {
    refusals_.Give([this, borrowed = call.release(), status = caller.status()] {
      Finish(std::unique_ptr<UnaryCall>(borrowed), status);
    });
    return;
  }
  if ((!traits.mutates && !traits.reads_much) || !caller.ok()) return RunAndAnswer(std::move(call), caller);
  UnaryCall* const borrowed = call.release();
  const auto change = [this, borrowed] {
    // Again, since it may have waited: what was revoked meanwhile counts.
    const Admission again = Authenticate(borrowed, /*pending=*/nullptr);
    RunAndAnswer(std::unique_ptr<UnaryCall>(borrowed), again);
  };
  if (!executor_->TryRun((*caller)->org, change)) {
    Finish(std::unique_ptr<UnaryCall>(borrowed),
           Refuse(absl::StatusCode::kResourceExhausted, "SERVER_BUSY",
                  "too many changes are waiting; nothing was changed", "Repeat the call after the delay.",
                  /*retry_delay_ms=*/1000));
  }
}

void Dispatcher::RunAndAnswer(std::unique_ptr<UnaryCall> call, const Admission& admitted, bool was_held) {
  Hold hold;
  hold.over = was_held;
  const absl::Status status = Run(call.get(), admitted, &hold);
  if (status.ok() || was_held || hold.until == nullptr) return Finish(std::move(call), status);
  Keep(std::move(call), (*admitted)->org, hold);
}

void Dispatcher::Keep(std::unique_ptr<UnaryCall> call, const std::string& org, const Hold& hold) {
  KeepThen(std::move(call), org, hold, [this](std::unique_ptr<UnaryCall> held) {
    const Admission caller = Authenticate(held.get(), /*pending=*/nullptr);
    RunAndAnswer(std::move(held), caller, /*was_held=*/true);
  });
}

void Dispatcher::KeepThen(std::unique_ptr<UnaryCall> call, const std::string& org, const Hold& hold,
                          std::function<void(std::unique_ptr<UnaryCall>)> then) {
  UnaryCall* const borrowed = call.release();
  const auto again = [this, borrowed, then = std::move(then)](const absl::Status& status) {
    std::unique_ptr<UnaryCall> owned(borrowed);
    if (!status.ok()) return Finish(std::move(owned), status);
    then(std::move(owned));
  };
  // Some of the caller's time is kept, so that the answer reaches them.
  const absl::Time now = absl::Now();
  const absl::Duration left = absl::FromChrono(borrowed->context->deadline()) - now;
  const absl::Time deadline = now + left - std::min(left / 10, kTimeToAnswer);
  const absl::Status held = held_calls_.TryHold(
      org, deadline, [borrowed] { return borrowed->context->IsCancelled(); }, hold.until, again);
  if (!held.ok()) Finish(std::unique_ptr<UnaryCall>(borrowed), held);
}

absl::Status Dispatcher::Run(UnaryCall* call, const Admission& admitted, Hold* hold) const {
  RETURN_IF_ERROR(admitted.status());
  RETURN_IF_ERROR(CheckRequest(*call, *call->request));
  Caller caller = **admitted;
  caller.record = &call->record;
  caller.access = &call->access;
  return call->rule(caller, hold);
}

void Dispatcher::Finish(std::unique_ptr<UnaryCall> call, const absl::Status& status) const {
  UnaryCall* const borrowed = call.release();
  const auto answer = [borrowed](const absl::Status& outcome) {
    const std::unique_ptr<UnaryCall> owned(borrowed);
    owned->reactor->Finish(ToGrpcStatus(outcome));
  };
  if (borrowed->record.committed && status.ok()) {
    Tell(*borrowed, status);
    return answer(status);
  }
  End(borrowed, status, answer);
}

Dispatcher::Admission Dispatcher::Begin(grpc::CallbackServerContext* context, const MethodTraits& traits,
                                        const Message& request, Call* call) const {
  Fill(context, traits, request, call);
  call->streams = true;
  ASSIGN_OR_RETURN(std::shared_ptr<const Caller> known, Admit(call, /*pending=*/nullptr));
  RETURN_IF_ERROR(CheckRequest(*call, request));
  auto caller = std::make_shared<Caller>(*known);
  caller->peer = call->record.entry.peer();
  return std::shared_ptr<const Caller>(std::move(caller));
}

void Dispatcher::End(Call* call, const absl::Status& status, std::function<void(const absl::Status&)> done) const {
  // What a refused call would have given out, it has not; and a change that made no commit changed nothing.
  if (!status.ok()) {
    call->record.resolution.reset();
    call->record.confirms = false;
  }
  if (!call->record.resolution.has_value() && !call->record.confirms) call->record.entry.clear_credentials();
  SetOutcome(status, &call->record.entry);
  audit_->StoreThen(&call->record, [this, call, status, done = std::move(done)](const absl::Status& stored) {
    absl::Status outcome = stored;
    if (absl::IsNotFound(stored) && !call->record.org.empty()) {
      // The org was deleted meanwhile, and its log with it.
      call->record.org.clear();
      outcome = audit_->Store(call->record);
    }
    outcome = outcome.ok() ? status : FromStore(outcome, "the audit log");
    Tell(*call, outcome);
    done(outcome);
  });
}

void Dispatcher::Tell(const Call& call, const absl::Status& status) const {
  const absl::Duration latency = absl::Now() - call.start;
  if (metrics_ != nullptr) {
    metrics_->Ended(call.traits.name, status.code(), OutcomeOf(call, status),
                    call.streams ? absl::Seconds(-1) : std::max(latency, absl::ZeroDuration()));
  }
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
                  {"latency_us", absl::ToInt64Microseconds(latency)}});
}

}  // namespace keyferry::server
