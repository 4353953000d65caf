// What a source makes of what it hears from the server.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "injector/source/environment_source.h"

namespace keyferry::injector {
namespace {

constexpr absl::Duration kConfirmAgain = absl::Seconds(5);
constexpr char kKeepWhatTheyHave[] = "; what runs keeps what it has";

bool IsRefusal(absl::StatusCode code) {
  return code == absl::StatusCode::kUnauthenticated || code == absl::StatusCode::kPermissionDenied ||
         code == absl::StatusCode::kNotFound;
}

// Another try may succeed.
bool MayPass(absl::StatusCode code) {
  return code == absl::StatusCode::kUnavailable || code == absl::StatusCode::kDeadlineExceeded ||
         code == absl::StatusCode::kResourceExhausted || code == absl::StatusCode::kCancelled;
}

}  // namespace

void EnvironmentSource::OnMessage() {
  v1::WatchResponse* const message = link_.message();
  last_message_ = absl::Now();
  OnReached();
  if (message->has_environment()) OnEnvironment(message->mutable_environment());
  if (message->has_problem()) {
    const client::ApiError problem = client::DecodeApiError(absl::StatusCode::kFailedPrecondition, message->problem());
    told_problem_ = true;
    const Failure failure = FailureOf(problem, mcp_server_);
    Say(failure.message + kKeepWhatTheyHave);
    // A provider of access tokens that does not answer takes nothing back.
    const bool passing = message->problem().reason() == "PROVIDER_UNAVAILABLE";
    Stand(passing ? Standing::kUnknown : Standing::kRefused, failure);
  } else if (!told_problem_) {
    Stand(Standing::kCurrent);
  }
  message->Clear();
}

void EnvironmentSource::OnEnvironment(v1::ResolveResponse* response) {
  if (!response->process().empty()) record_ = response->process();
  ResolvedEnvironment environment = TakeEnvironment(response);
  if (environment.revision < newest_) return;
  newest_ = environment.revision;
  if (std::exchange(told_problem_, false)) Say(mcp_server_ + " can be resolved again");
  const EnvironmentFingerprinter::Fingerprint fingerprint = fingerprinter_.Of(environment);
  if (fingerprint == fingerprint_) return;
  fingerprint_ = fingerprint;
  handed_on_ = environment.revision;
  listener_->OnEnvironment(std::move(environment));
}

void EnvironmentSource::OnReached() {
  reached_ = true;
  unreachable_.Reset();
  refused_.Reset();
  if (std::exchange(told_unreachable_, false)) Say("the server answers again");
  if (std::exchange(told_ended_, false)) Say(mcp_server_ + " is permitted again");
}

absl::Duration EnvironmentSource::OnEnd(const client::ApiError& error) {
  if (IsRefusal(error.code)) {
    // A token or session that was replaced before it was revoked is nothing to speak of.
    if (link_.access().FilesStamp() != stamp_) return absl::ZeroDuration();
    if (!std::exchange(told_ended_, true)) listener_->OnEnded(FailureOf(error, mcp_server_));
    Stand(Standing::kRefused, FailureOf(error, mcp_server_));
    return refused_.Next();
  }
  // A stream that has been of use may end for a restart of the server, which the next one will not notice.
  if (reached_ && MayPass(error.code)) return std::max(unreachable_.Next(), error.retry_delay);
  return std::max(OnUnreachable(FailureOf(error, mcp_server_).message), error.retry_delay);
}

absl::Duration EnvironmentSource::OnUnreachable(const std::string& why) {
  told_unreachable_ = true;
  Say(why + kKeepWhatTheyHave);
  Stand(Standing::kUnknown, {kUnavailable, why});
  return unreachable_.Next();
}

void EnvironmentSource::Stand(Standing standing, Failure why) {
  if (standing == standing_ || (standing == Standing::kUnknown && standing_ == Standing::kRefused)) return;
  standing_ = standing;
  listener_->OnStanding(standing, std::move(why));
}

void EnvironmentSource::Say(const std::string& line) {
  if (lines_.Allow(line, absl::Now())) listener_->OnProblem(line);
}

void EnvironmentSource::Running(int64_t revision, int64_t pid) { Tell({revision, pid}); }

void EnvironmentSource::NothingRuns() { Tell({0, 0, /*ended=*/true}); }

void EnvironmentSource::Tell(const Report& report) {
  {
    absl::MutexLock lock(&mutex_);
    running_ = report;
  }
  link_.Wake();
}

void EnvironmentSource::ConfirmRunning() {
  Report running;
  {
    absl::MutexLock lock(&mutex_);
    running = running_;
  }
  // What is known under the newest revision is what was handed on.
  if (running.revision == handed_on_) running.revision = newest_;
  const bool settled =
      running.revision == settled_.revision && running.pid == settled_.pid && running.ended == settled_.ended;
  const bool nothing = running.revision == 0 && !running.ended;
  if (nothing || settled || record_.empty() || link_.confirming() || !link_.watching()) return;
  if (absl::Now() < confirm_after_) return;
  confirming_ = running;
  if (running.ended) {
    v1::DeleteProcessRequest request;
    request.set_name(record_);
    return link_.ConfirmEnd(request);
  }
  v1::ConfirmEnvironmentRequest request;
  request.set_name(record_);
  request.set_revision(running.revision);
  request.set_pid(running.pid);
  link_.Confirm(request);
}

void EnvironmentSource::SayLastWord() {
  {
    absl::MutexLock lock(&mutex_);
    if (!running_.ended) return;
  }
  const absl::Time deadline = absl::Now() + options_.last_word;
  // What is due is not put off any more.
  confirm_after_ = absl::InfinitePast();
  while (true) {
    ConfirmRunning();
    if (!link_.confirming()) return;
    switch (link_.Wait(deadline)) {
      case ServerLink::Event::kConfirmed:
        OnConfirmed();
        if (link_.confirmation_error().has_value() && MayPass(link_.confirmation_error()->code)) return;
        confirm_after_ = absl::InfinitePast();
        break;
      case ServerLink::Event::kMessage:
        if (link_.message()->has_environment()) WipeValues(link_.message()->mutable_environment());
        link_.ReadNext();
        break;
      case ServerLink::Event::kTimeout:
        return;
      case ServerLink::Event::kEnded:
      case ServerLink::Event::kWoken:
        break;
    }
  }
}

void EnvironmentSource::OnConfirmed() {
  const std::optional<client::ApiError>& error = link_.confirmation_error();
  confirm_after_ = absl::Now() + options_.between_confirmations;
  if (error.has_value() && MayPass(error->code)) {
    confirm_after_ = absl::Now() + std::max(kConfirmAgain, error->retry_delay);
    return;
  }
  // A refusal is not told: what counts, the values, is in place. The next stream asks anew.
  settled_ = confirming_;
}

}  // namespace keyferry::injector
