// How McpHost moves from one process to the next.

#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "injector/supervise/child.h"
#include "injector/supervise/mcp_host.h"

namespace keyferry::injector {
namespace {

// Replaced processes that may be finishing their requests at once; then a rotation waits for one of them.
constexpr int kMostDraining = 4;
constexpr absl::Duration kLongestRetry = absl::Minutes(10);

}  // namespace

void McpHost::Log(mcp::ProcessId process, absl::string_view line) {
  const McpProcess* const one = Find(process);
  context_.log.Line(one == nullptr ? std::string(line) : absl::StrCat("process ", one->pid(), " ", line));
}

void McpHost::Changed(std::shared_ptr<Generation> newest) {
  newest_ = std::move(newest);
  context_.loop.Cancel(retry_);
  retry_ = 0;
  retry_delay_ = kFirstRetry;
  if (client_closed_ || exit_code_.has_value()) return;
  if (replacement_ == 0 && ending_ == 0 && newest_->SameVariables(*good_)) {
    schedule_.Cancel();
    good_->revision = newest_->revision;
    if (const McpProcess* const process = Find(current_)) context_.report.Running(good_->revision, process->pid());
    return;
  }
  schedule_.Changed();
}

void McpHost::RotateSoon() {
  if (!std::exchange(rotate_again_, false)) return;
  Soon([this] { Rotate(); });
}

void McpHost::Rotate() {
  if (client_closed_ || exit_code_.has_value()) return;
  if (leaving_) {
    context_.log.Line("the environment has changed, but the MCP server was told to end; it keeps what it has");
    return;
  }
  const auto draining = std::count_if(processes_.begin(), processes_.end(), [this](const auto& entry) {
    return entry.first != current_ && entry.first != replacement_;
  });
  if (replacement_ != 0 || ending_ != 0 || draining >= kMostDraining) {
    rotate_again_ = true;
    return;
  }
  if (newest_->SameVariables(*good_)) {
    Changed(newest_);
    return;
  }
  if (context_.options.rotation == Rotation::kOverlap || status_.has_value()) {
    if (!StartReplacement(newest_)) RetryLater();
    return;
  }
  ending_ = current_;
  context_.log.Line("the environment has changed; the MCP server is stopped and started again");
  StartTimer(ending_, context_.options.drain_timeout, [this, process = ending_] { router_.DrainTimeout(process); });
  router_.BeginSerial();
}

bool McpHost::StartReplacement(std::shared_ptr<Generation> generation) {
  if (const int error = Launch(std::move(generation)); error != 0) {
    context_.log.Line(absl::StrCat("a new process of the MCP server could not be started: ", strerror(error)));
    return false;
  }
  replacement_ = last_id_;
  context_.log.Line(absl::StrCat("the environment has changed; process ", Find(replacement_)->pid(), " is starting"));
  StartTimer(replacement_, context_.options.initialize_timeout,
             [this, process = replacement_] { router_.InitializeTimeout(process); });
  router_.StartReplacement(replacement_);
  return true;
}

void McpHost::Ready(mcp::ProcessId process) {
  CancelTimer(process);
  const mcp::ProcessId old = std::exchange(current_, process);
  replacement_ = 0;
  ending_ = 0;
  const bool fell_back = std::exchange(falling_back_, false);
  status_.reset();
  const McpProcess* const ready = Find(process);
  previous_ = std::exchange(good_, ready->generation());
  context_.log.Line(absl::StrCat("process ", ready->pid(), " has taken over"));
  context_.report.Running(good_->revision, ready->pid());
  if (const McpProcess* const drained = Find(old); drained != nullptr && !drained->exited()) {
    StartTimer(old, context_.options.drain_timeout, [this, old] { router_.DrainTimeout(old); });
  }
  // What the client sends need not wait for the process before it.
  Soon([this] { HoldBackOrGoOn(); });
  if (fell_back && newest_ != good_) {
    // The newest environment has just failed: not at once again.
    rotate_again_ = false;
    RetryLater();
    return;
  }
  retry_delay_ = kFirstRetry;
  if (newest_ != good_) rotate_again_ = true;
  RotateSoon();
}

void McpHost::Discard(mcp::ProcessId process, absl::string_view why) {
  CancelTimer(process);
  McpProcess* const one = Find(process);
  if (one != nullptr) {
    context_.log.Line(absl::StrCat("process ", one->pid(), " is given up: ", why));
    one->CloseInput();
    one->Stop(absl::ZeroDuration());
  }
  if (process != replacement_) return;
  replacement_ = 0;
  Soon([this] { ReplacementFailed(); });
}

// With an old process the session goes on there. Without one, what ran before the change is started once more.
void McpHost::ReplacementFailed() {
  if (exit_code_.has_value() || replacement_ != 0) return;
  if (!status_.has_value()) {
    if (newest_ != good_) RetryLater();
    RotateSoon();
    return;
  }
  if (ending_ != 0 && !leaving_ && !std::exchange(falling_back_, true)) {
    context_.log.Line("the MCP server is started with its environment from before the change");
    if (StartReplacement(good_)) return;
  }
  End(ExitCodeOfStatus(*status_));
}

void McpHost::RetryLater() {
  if (client_closed_) return;
  context_.log.Line(absl::StrCat("the next try is in ", absl::FormatDuration(retry_delay_)));
  context_.loop.Cancel(retry_);
  retry_ = context_.loop.After(retry_delay_, [this] {
    retry_ = 0;
    Rotate();
  });
  retry_delay_ = std::min(retry_delay_ * 2, kLongestRetry);
}

void McpHost::ServerGone(McpProcess& process) {
  const mcp::ProcessId id = process.id();
  const int status = process.status();
  const bool ended_serially = id == ending_ && !status_.has_value();
  CancelTimer(id);
  // A serial replacement has to be there when the router hears of the end: until then it is owed one.
  if (id == current_) status_ = status;
  router_.ServerExited(id);
  if (id == replacement_) {
    replacement_ = 0;
    context_.log.Line(absl::StrCat("process ", process.pid(), " has ended with exit code ", ExitCodeOfStatus(status)));
    Soon([this] { ReplacementFailed(); });
  }
  if (id == current_) CurrentGone(process);
  if (ended_serially && StillServes() && !StartReplacement(newest_)) ReplacementFailed();
  Soon([this, id] {
    processes_.erase(id);
    EndWhenAnswered();
    HoldBackOrGoOn();
    RotateSoon();
  });
}

void McpHost::CurrentGone(const McpProcess& process) {
  if (replacement_ != 0 && !leaving_) {
    context_.log.Line(absl::StrCat("process ", process.pid(), " has ended; the session goes on with the new process"));
    return;
  }
  if (ending_ == current_ && StillServes()) return;
  ended_ = process.status();
  EndWhenAnswered();
}

// Whether a process is to follow one that was ended for it: also for a client that has said all that it has to say, as
// long as some of that waits.
bool McpHost::StillServes() const { return !leaving_ && (!client_closed_ || router_.held_bytes() > 0); }

// What replaced processes still work on is answered before the end; they have their time limits.
void McpHost::EndWhenAnswered() {
  if (!ended_.has_value() || exit_code_.has_value()) return;
  for (const auto& [id, process] : processes_) {
    if (!leaving_ && !process->exited() && router_.Outstanding(id) > 0) return;
  }
  End(ExitCodeOfStatus(*ended_));
}

}  // namespace keyferry::injector
