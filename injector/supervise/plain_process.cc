#include "injector/supervise/plain_process.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "injector/supervise/child.h"
#include "injector/supervise/session_child.h"
#include "injector/supervise/standard_streams.h"

namespace keyferry::injector {
namespace {

// What an ended process left in a terminal shows up within this time, if others keep the terminal open.
constexpr absl::Duration kTerminalPatience = absl::Milliseconds(200);

}  // namespace

StreamPlan StreamPlan::Make(bool redact) {
  StreamPlan plan;
  plan.redact = redact;
  plan.joined = ErrorIsOutput();
  if (!redact) return plan;
  plan.output_terminal = isatty(STDOUT_FILENO);
  plan.error_terminal = isatty(STDERR_FILENO);
  plan.session = isatty(STDIN_FILENO) && (plan.output_terminal || plan.error_terminal);
  return plan;
}

std::unique_ptr<PlainProcess> PlainProcess::Start(const HostContext& context, const StreamPlan& plan,
                                                  OutputStream* output, Generation& generation,
                                                  const std::shared_ptr<const PatternSet>& patterns,
                                                  Callbacks callbacks, int& error) {
  std::unique_ptr<PlainProcess> process(new PlainProcess(context, plan, std::move(callbacks)));
  error = process->Launch(output, generation, patterns);
  if (error != 0) return nullptr;
  return process;
}

PlainProcess::~PlainProcess() {
  context_.loop.Forget(status_watch_);
  context_.loop.Cancel(telling_);
}

int PlainProcess::Launch(OutputStream* output, Generation& generation,
                         const std::shared_ptr<const PatternSet>& patterns) {
  ChildStreams streams;
  Pipe out;
  Pipe err;
  if (plan_.output_terminal || plan_.error_terminal) {
    terminal_ = PseudoTerminal::Make(plan_.output_terminal ? STDOUT_FILENO : STDERR_FILENO);
    if (terminal_ == nullptr) return errno;
    if (!plan_.session) terminal_->LeaveOutputAlone();
  }
  if (plan_.session) streams.in = terminal_->slave();
  if (plan_.redact) {
    if (!plan_.output_terminal) out = Pipe::Make();
    streams.out = plan_.output_terminal ? terminal_->slave() : out.write_end.get();
    const bool shares_terminal = plan_.error_terminal && !plan_.output_terminal;
    if (!plan_.joined && !shares_terminal) err = Pipe::Make();
    streams.err = plan_.joined ? streams.out : shares_terminal ? terminal_->slave() : err.write_end.get();
    if (streams.out < 0 || streams.err < 0) return errno;
  }
  Descriptor statuses;
  SpawnResult spawned;
  if (plan_.session) {
    SessionChild child =
        SpawnInSession(context_.command, generation.environment, context_.state, streams, terminal_->slave());
    spawned = child.spawned;
    statuses = std::move(child.statuses);
  } else {
    spawned = Spawn(context_.command, generation.environment, context_.state, streams);
  }
  if (spawned.pid < 0) return spawned.error;
  pid_ = spawned.pid;
  if (!plan_.redact) return 0;
  output_ = MakePump(plan_.output_terminal ? terminal_->Master() : std::move(out.read_end), *output, patterns);
  if (err.read_end.valid()) {
    errors_ = MakePump(std::move(err.read_end), context_.error_output, patterns);
  } else if (plan_.error_terminal && !plan_.output_terminal) {
    errors_ = MakePump(terminal_->Master(), context_.error_output, patterns);
  }
  if (plan_.session) {
    keyboard_ = std::make_unique<OutputStream>(context_.loop, SharedEndpoint::Own(terminal_->Master()));
    WatchStatuses(std::move(statuses));
  }
  return 0;
}

std::unique_ptr<Pump> PlainProcess::MakePump(Descriptor from, OutputStream& to,
                                             const std::shared_ptr<const PatternSet>& patterns) {
  if (to.broken()) return nullptr;
  return std::make_unique<Pump>(context_.loop, SharedEndpoint::Own(std::move(from)), to, patterns,
                                [this] { PumpEnded(); });
}

void PlainProcess::WatchStatuses(Descriptor statuses) {
  statuses_ = std::move(statuses);
  status_watch_ = context_.loop.Watch(statuses_.get(), EPOLLIN, [this](uint32_t) {
    const std::optional<int> status = ReadStatus(statuses_);
    // The command goes with its session's leader.
    Changed(status.value_or(SIGKILL));
  });
}

void PlainProcess::Changed(int status) {
  if (status_.has_value() || WIFCONTINUED(status)) return;
  if (WIFSTOPPED(status)) return callbacks_.stopped(WSTOPSIG(status));
  status_ = status;
  context_.loop.Forget(status_watch_);
  status_watch_ = 0;
  if (terminal_ != nullptr) terminal_->CloseSlave();
  const bool errors_terminal = plan_.error_terminal && !plan_.output_terminal;
  if (output_ != nullptr) output_->FinishSoon(plan_.output_terminal ? kTerminalPatience : absl::ZeroDuration());
  if (errors_ != nullptr) errors_->FinishSoon(errors_terminal ? kTerminalPatience : absl::ZeroDuration());
  TellIfGone();
}

void PlainProcess::CopySize() {
  if (terminal_ == nullptr || exited()) return;
  const bool changed = terminal_->CopySize(plan_.output_terminal ? STDOUT_FILENO : STDERR_FILENO);
  // In a session the kernel tells the foreground group itself. Otherwise the command may have asked for the size before
  // it was right here.
  if (changed && !plan_.session) kill(pid_, SIGWINCH);
}

void PlainProcess::CloseOutput() {
  output_.reset();
  TellIfGone();
}

void PlainProcess::CloseErrors() {
  errors_.reset();
  TellIfGone();
}

void PlainProcess::SetPatterns(const std::shared_ptr<const PatternSet>& patterns) {
  if (output_ != nullptr) output_->SetPatterns(patterns);
  if (errors_ != nullptr) errors_->SetPatterns(patterns);
}

void PlainProcess::PumpEnded() {
  if (!status_.has_value() && output_ != nullptr && output_->ended()) callbacks_.output_ended();
  TellIfGone();
}

void PlainProcess::TellIfGone() {
  if (!status_.has_value() || telling_ != 0) return;
  if (output_ != nullptr && !output_->ended()) return;
  if (errors_ != nullptr && !errors_->ended()) return;
  // Not from within the call of a pump: whoever hears of it may destroy this object.
  telling_ = context_.loop.After(absl::ZeroDuration(), [this] {
    const std::function<void(int)> gone = callbacks_.gone;
    const int status = *status_;
    gone(status);
  });
}

}  // namespace keyferry::injector
