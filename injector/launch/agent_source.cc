#include "injector/launch/agent_source.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/version.h"

namespace keyferry::injector::launch {
namespace {

constexpr char kGoesOn[] = "; the command goes on with what it has";
constexpr int kLongestWaitMs = 5000;

}  // namespace

agent::Hello LauncherHello(agent::LaunchMode mode) {
  agent::Hello hello;
  hello.mode = mode;
  hello.pid = getpid();
  hello.launcher = absl::StrCat("keyferry-launch ", client::kClientVersion);
  return hello;
}

AgentSource::AgentSource(std::string path, AgentLink link, int64_t first_revision, EnvironmentListener& listener)
    : path_(std::move(path)),
      listener_(listener),
      event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      link_(std::move(link)),
      newest_revision_(first_revision),
      thread_([this] { Run(); }) {}

AgentSource::~AgentSource() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
}

void AgentSource::Wake() {
  const uint64_t one = 1;
  // Fails only if the counter is full, and then it is readable anyway.
  if (write(event_.get(), &one, sizeof(one)) < 0) return;
}

void AgentSource::Running(int64_t revision, int64_t pid) {
  {
    absl::MutexLock lock(&mutex_);
    running_ = {revision, pid};
  }
  Wake();
}

agent::Confirm AgentSource::running() {
  absl::MutexLock lock(&mutex_);
  return running_;
}

bool AgentSource::stopping() {
  absl::MutexLock lock(&mutex_);
  return stopping_;
}

void AgentSource::Run() {
  while (Follow()) {
    link_.reset();
    if (!Reconnect()) return;
  }
}

bool AgentSource::Follow() {
  while (!stopping()) {
    ConfirmRunning();
    std::optional<AgentLink::Message> message = link_->Next();
    if (!message.has_value()) {
      Wait(-1);
      continue;
    }
    if (std::holds_alternative<AgentLink::Lost>(*message)) return true;
    Take(*std::move(message));
  }
  return false;
}

bool AgentSource::Reconnect() {
  while (!stopping()) {
    Wait(wait_ms_);
    wait_ms_ = std::min(wait_ms_ * 2, kLongestWaitMs);
    agent::Hello hello = LauncherHello(agent::LaunchMode::kSupervise);
    const agent::Confirm running = this->running();
    // A command that has not started yet is about to, with the first environment.
    hello.running_revision = running.revision != 0 ? running.revision : newest_revision_;
    if (running.pid != 0) hello.pid = running.pid;
    int error = 0;
    link_ = AgentLink::Connect(path_, hello, error);
    if (link_.has_value()) {
      confirmed_ = running;
      return true;
    }
    if (!std::exchange(told_lost_, true)) {
      listener_.OnProblem(absl::StrCat("the agent is gone from ", path_,
                                       "; the command goes on, and is moved to new "
                                       "values when it is back"));
    }
  }
  return false;
}

void AgentSource::Take(AgentLink::Message message) {
  if (std::exchange(told_lost_, false)) listener_.OnProblem("the agent is back");
  if (auto* const environment = std::get_if<agent::EnvironmentMessage>(&message)) {
    TakeEnvironment(std::move(*environment));
  } else if (auto* const notice = std::get_if<agent::Notice>(&message)) {
    TakeNotice(*notice);
  } else if (auto* const failure = std::get_if<Failure>(&message)) {
    if (std::exchange(told_failure_, failure->message) != failure->message) {
      listener_.OnProblem(failure->message + kGoesOn);
    }
  } else if (std::holds_alternative<AgentLink::Drain>(message)) {
    listener_.OnProblem(absl::StrCat("the agent is about to end", kGoesOn));
  }
}

void AgentSource::TakeNotice(const agent::Notice& notice) {
  told_stale_ = notice.kind == agent::NoticeKind::kStale;
  listener_.OnProblem(notice.line);
}

void AgentSource::TakeEnvironment(agent::EnvironmentMessage message) {
  if (message.stale_since != absl::InfiniteFuture() && !std::exchange(told_stale_, true)) {
    listener_.OnProblem("the agent cannot ask whether its values are still current; they are the last known ones");
  }
  wait_ms_ = kFirstWaitMs;
  told_failure_.clear();
  // Another agent may know less than this one did; what it knows is what there is.
  newest_revision_ = message.environment.revision;
  listener_.OnEnvironment(std::move(message.environment));
}

void AgentSource::ConfirmRunning() {
  const agent::Confirm running = this->running();
  if (running.revision == 0 || (running.revision == confirmed_.revision && running.pid == confirmed_.pid)) return;
  // A connection that is lost is seen by reading it.
  if (link_->Confirm(running)) confirmed_ = running;
}

void AgentSource::Wait(int milliseconds) {
  struct pollfd two[] = {{event_.get(), POLLIN, 0}, {link_.has_value() ? link_->descriptor() : -1, POLLIN, 0}};
  if (poll(two, 2, milliseconds) <= 0) return;
  uint64_t count;
  if (read(event_.get(), &count, sizeof(count)) < 0) count = 0;
}

}  // namespace keyferry::injector::launch
