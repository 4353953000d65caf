#include "injector/source/environment_source.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "client/retry.h"

namespace keyferry::injector {
namespace {

using Event = ServerLink::Event;

constexpr absl::Duration kGiveUpCheck = absl::Milliseconds(250);

// As client::RunWithRetry decides.
bool WorthRetrying(const client::ApiError& error) {
  if (error.code == absl::StatusCode::kResourceExhausted) return error.retry_delay > absl::ZeroDuration();
  return error.code == absl::StatusCode::kUnavailable;
}

// Of an environment that a provider of access tokens holds up: the stream sends it once there is one.
bool MayPass(const v1::WatchResponse& message) { return message.problem().reason() == "PROVIDER_UNAVAILABLE"; }

client::ApiError ProblemOf(const v1::WatchResponse& message) {
  const absl::StatusCode code =
      MayPass(message) ? absl::StatusCode::kUnavailable : absl::StatusCode::kFailedPrecondition;
  return client::DecodeApiError(code, message.problem());
}

}  // namespace

EnvironmentSource::EnvironmentSource(ServerAccess access, v1::ProcessInfo process, Options options)
    : options_(std::move(options)),
      process_(std::move(process)),
      link_(std::move(access)),
      unreachable_(options_.unreachable, client::RetryEnvironment::Real().random),
      refused_(options_.refused, client::RetryEnvironment::Real().random) {}

std::unique_ptr<EnvironmentSource> EnvironmentSource::Open(ServerAccess access, v1::ProcessInfo process,
                                                           Options options, ResolvedEnvironment* first,
                                                           Failure* failure) {
  std::unique_ptr<EnvironmentSource> source(
      new EnvironmentSource(std::move(access), std::move(process), std::move(options)));
  if (std::optional<Failure> failed = source->First(first)) {
    *failure = *std::move(failed);
    return nullptr;
  }
  return source;
}

EnvironmentSource::~EnvironmentSource() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  link_.Wake();
  if (thread_.joinable()) thread_.join();
}

void EnvironmentSource::Start(EnvironmentListener* listener) {
  listener_ = listener;
  thread_ = std::thread([this] { RunThread(); });
}

std::optional<Failure> EnvironmentSource::First(ResolvedEnvironment* environment) {
  const absl::Time deadline = absl::Now() + options_.startup_timeout;
  const std::vector<std::string>& servers = link_.access().mcp_servers();
  for (size_t tried = 0;;) {
    mcp_server_ = servers[tried];
    stamp_ = link_.access().FilesStamp();
    const absl::Status opened = link_.Watch(mcp_server_, Request());
    if (!opened.ok()) return UsageFailure(opened);
    switch (AwaitFirst(deadline)) {
      case Event::kMessage:
        if (link_.message()->has_problem()) return FailureOf(ProblemOf(*link_.message()), mcp_server_);
        record_ = link_.message()->environment().process();
        *environment = TakeEnvironment(link_.message()->mutable_environment());
        newest_ = handed_on_ = environment->revision;
        fingerprint_ = fingerprinter_.Of(*environment);
        last_message_ = absl::Now();
        reached_ = true;
        link_.ReadNext();
        return std::nullopt;
      case Event::kEnded: {
        const client::ApiError& error = link_.error();
        if (error.code == absl::StatusCode::kNotFound && ++tried < servers.size()) break;
        const absl::Time next = absl::Now() + std::max(unreachable_.Next(), error.retry_delay);
        if (!WorthRetrying(error) || next >= deadline) return FailureOf(error, mcp_server_);
        while (link_.Wait(next) != Event::kTimeout) {
        }
        if (options_.give_up != nullptr && options_.give_up()) return FailureOf(link_.NoAnswer(), mcp_server_);
        break;
      }
      default:
        return held_up_.has_value() ? FailureOf(*std::exchange(held_up_, std::nullopt), mcp_server_)
                                    : FailureOf(link_.NoAnswer(), mcp_server_);
    }
  }
}

Event EnvironmentSource::AwaitFirst(absl::Time deadline) {
  while (true) {
    const absl::Time next = options_.give_up == nullptr ? deadline : std::min(deadline, absl::Now() + kGiveUpCheck);
    const Event event = link_.Wait(next);
    if (event == Event::kEnded) return event;
    if (event == Event::kTimeout && (next == deadline || options_.give_up())) return event;
    if (event != Event::kMessage) continue;
    if (MayPass(*link_.message())) {
      held_up_ = ProblemOf(*link_.message());
    } else if (!link_.message()->has_heartbeat()) {
      return event;
    }
    link_.ReadNext();
  }
}

v1::WatchRequest EnvironmentSource::Request() {
  v1::WatchRequest request;
  request.set_resume_revision(newest_);
  if (options_.debounce.has_value()) {
    request.mutable_debounce()->set_seconds(absl::ToInt64Seconds(*options_.debounce));
    request.mutable_debounce()->set_nanos(
        static_cast<int32_t>(absl::ToInt64Nanoseconds(*options_.debounce % absl::Seconds(1))));
  }
  if (process_.process_id().empty()) return request;
  request.set_confirms(true);
  *request.mutable_resolve()->mutable_process() = process_;
  absl::MutexLock lock(&mutex_);
  if (running_.pid != 0) request.mutable_resolve()->mutable_process()->set_pid(running_.pid);
  return request;
}

void EnvironmentSource::RunThread() {
  for (absl::Duration wait = Follow(); Pause(wait);) wait = Reopen();
  SayLastWord();
  link_.Close();
}

absl::Duration EnvironmentSource::Reopen() {
  stamp_ = link_.access().FilesStamp();
  reached_ = false;
  settled_ = Report();
  confirm_after_ = absl::InfinitePast();
  last_message_ = absl::Now();
  const absl::Status opened = link_.Watch(mcp_server_, Request());
  if (!opened.ok()) return OnUnreachable(UsageFailure(opened).message);
  return Follow();
}

absl::Duration EnvironmentSource::Follow() {
  while (!stopping()) {
    if (reached_) ConfirmRunning();
    absl::Time deadline = last_message_ + options_.silence;
    if (confirm_after_ > absl::Now()) deadline = std::min(deadline, confirm_after_);
    switch (link_.Wait(deadline)) {
      case Event::kMessage:
        OnMessage();
        link_.ReadNext();
        break;
      case Event::kEnded: {
        const client::ApiError error = link_.error();
        link_.Close();
        return OnEnd(error);
      }
      case Event::kConfirmed:
        OnConfirmed();
        break;
      case Event::kWoken:
        break;
      case Event::kTimeout:
        if (absl::Now() < last_message_ + options_.silence) break;
        link_.Close();
        return OnUnreachable("the server has gone silent");
    }
  }
  return absl::ZeroDuration();
}

bool EnvironmentSource::Pause(absl::Duration wait) {
  const absl::Time deadline = absl::Now() + wait;
  while (!stopping()) {
    if (absl::Now() >= deadline) return true;
    if (told_ended_ && link_.access().FilesStamp() != stamp_) return true;
    link_.Wait(told_ended_ ? std::min(deadline, absl::Now() + options_.file_check) : deadline);
  }
  return false;
}

bool EnvironmentSource::stopping() {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

}  // namespace keyferry::injector
