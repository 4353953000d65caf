#include "injector/supervise/plain_host.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "injector/exec/launch_failure.h"
#include "injector/supervise/child.h"
#include "injector/supervise/signal_names.h"
#include "injector/supervise/signals.h"
#include "injector/supervise/standard_streams.h"

namespace keyferry::injector {
namespace {

// How often a process in the background looks whether it has come to the foreground: no signal says so.
constexpr absl::Duration kForegroundCheck = absl::Milliseconds(500);

}  // namespace

PlainHost::PlainHost(const HostContext& context, OnRotate on_rotate)
    : context_(context),
      on_rotate_(on_rotate),
      plan_(StreamPlan::Make(context.options.redact)),
      schedule_(context.loop, context.options.debounce, context.options.splay, [this] { Act(); }),
      raw_mode_(STDIN_FILENO) {
  if (!plan_.redact) return;
  output_ = std::make_unique<OutputStream>(context.loop, SharedEndpoint::ForWriting(STDOUT_FILENO));
  output_->OnBroken([this] {
    if (process_ != nullptr) process_->CloseOutput();
  });
  context_.error_output.OnBroken([this] {
    if (process_ != nullptr) process_->CloseErrors();
  });
}

PlainHost::~PlainHost() {
  context_.error_output.OnBroken(nullptr);
  context_.loop.Cancel(terminal_timer_);
}

int PlainHost::Start(std::shared_ptr<Generation> first) {
  newest_ = std::move(first);
  const int error = Launch();
  if (error != 0) return error;
  if (plan_.session) {
    TakeTerminal();
  } else if (on_rotate_ != OnRotate::kRestart) {
    // Whoever writes into it is to see when the command has closed it.
    CloseStandardInput();
  }
  return 0;
}

int PlainHost::Launch() {
  const std::shared_ptr<Generation> generation = newest_;
  std::shared_ptr<const PatternSet> patterns;
  if (plan_.redact) {
    std::vector<std::shared_ptr<Generation>> generations = {generation};
    if (running_ != nullptr) generations.push_back(running_);
    patterns = PatternsOf(generations);
  }
  PlainProcess::Callbacks callbacks;
  callbacks.stopped = [this](int signal) { Suspended(signal); };
  callbacks.gone = [this](int status) { Gone(status); };
  callbacks.output_ended = [this] {
    // The reader sees the end of the stream, unless another process may write there.
    if (on_rotate_ == OnRotate::kRestart) return;
    output_->WhenEmpty([this] {
      output_->Close();
      CloseStandardOutput();
    });
  };
  int error = 0;
  process_ = PlainProcess::Start(context_, plan_, output_.get(), *generation, patterns, std::move(callbacks), error);
  if (process_ == nullptr) return error;
  running_ = generation;
  told_.reset();
  context_.report.Running(running_->revision, process_->pid());
  return 0;
}

void PlainHost::Changed(std::shared_ptr<Generation> newest) {
  newest_ = std::move(newest);
  if (exit_code_.has_value() || stopping_) return;
  // Told by a signal, the command has read newer values than those that it was started with.
  const Generation& has = told_ == nullptr ? *running_ : *told_;
  if (newest_->SameVariables(has)) {
    schedule_.Cancel();
    if (told_ != nullptr) return;
    running_->revision = newest_->revision;
    context_.report.Running(running_->revision, process_->pid());
    return;
  }
  schedule_.Changed();
}

void PlainHost::Act() {
  if (stopping_ || exit_code_.has_value() || !alive()) return;
  if (leaving_) {
    context_.log.Line("the environment has changed, but the command was told to end; it keeps what it has");
    return;
  }
  switch (on_rotate_) {
    case OnRotate::kSignal:
      context_.log.Line(
          absl::StrCat("the environment has changed; the command gets ", SignalName(context_.options.signal)));
      if (plan_.redact) {
        std::vector<std::shared_ptr<Generation>> generations = {newest_, running_};
        if (told_ != nullptr) generations.push_back(told_);
        process_->SetPatterns(PatternsOf(generations));
      }
      told_ = newest_;
      kill(process_->pid(), context_.options.signal);
      return;
    case OnRotate::kIgnore:
      context_.log.Line("the environment has changed; the command keeps what it has");
      return;
    case OnRotate::kExit:
      context_.log.Line("the environment has changed; the command is stopped");
      return Stop();
    default:
      context_.log.Line("the environment has changed; the command is stopped and started again");
      return Stop();
  }
}

void PlainHost::Stop() {
  stopping_ = true;
  stop_ = std::make_unique<StopSequence>(context_.loop, process_->pid(), absl::ZeroDuration(),
                                         context_.options.stop_timeout);
}

void PlainHost::ChildChanged(pid_t process, int status) {
  if (process_ != nullptr && process == process_->pid()) process_->Changed(status);
  if (process_ != nullptr && process_->exited()) stop_.reset();
}

void PlainHost::Gone(int status) {
  stop_.reset();
  if (!std::exchange(stopping_, false)) return End(ExitCodeOfStatus(status));
  if (on_rotate_ == OnRotate::kExit) return End(0);
  process_.reset();
  const int error = Launch();
  if (error == 0) return;
  const Failure failure = LaunchFailure(context_.command[0], error);
  context_.log.Line(failure.message);
  End(failure.exit_code);
}

void PlainHost::Forward(const struct signalfd_siginfo& signal) {
  if (signal.ssi_signo == SIGWINCH && alive()) process_->CopySize();
  if (signal.ssi_signo == SIGCONT && plan_.session) TakeTerminal();
  // Whoever ends the command while it is being stopped does not want it started again.
  if (AsksToEnd(static_cast<int>(signal.ssi_signo))) stopping_ = false;
  if (signal.ssi_signo == SIGTERM) leaving_ = true;
  if (!alive()) {
    // The command is gone, and whoever does not read its last output cannot hold this process.
    if (AsksToEnd(static_cast<int>(signal.ssi_signo))) {
      if (!exit_code_.has_value() && process_ != nullptr) exit_code_ = ExitCodeOfStatus(process_->status());
      flushed_ = exit_code_.has_value();
    }
    return;
  }
  // In a session of its own the command has none of what the outer terminal sends.
  if (CameFromTerminal(signal) && (!plan_.session || signal.ssi_signo == SIGWINCH)) return;
  ForwardSignal(signal, process_->pid());
}

// The shell sees its job stop, and continues it.
void PlainHost::Suspended(int signal) {
  if (!plan_.session) return StopSelf(signal, StopWhom::kThisProcess);
  raw_mode_.Leave();
  context_.log.SetRaw(false);
  if (typed_ != nullptr) typed_->Pause();
  StopSelf(signal, StopWhom::kGroup);
  TakeTerminal();
  process_->CopySize();
  kill(-process_->pid(), SIGCONT);
}

void PlainHost::TakeTerminal() {
  if (exit_code_.has_value()) return;
  context_.loop.Cancel(std::exchange(terminal_timer_, 0));
  raw_mode_.Enter();
  if (!raw_mode_.entered()) {
    terminal_timer_ = context_.loop.After(kForegroundCheck, [this] { TakeTerminal(); });
    return;
  }
  context_.log.SetRaw(true);
  if (typed_ == nullptr) {
    typed_ = std::make_unique<InputStream>(
        context_.loop, SharedEndpoint::ForReading(STDIN_FILENO), [this](absl::string_view keys) { Typed(keys); },
        [] {});
  } else {
    typed_->Resume();
  }
  if (alive()) process_->CopySize();
}

void PlainHost::Typed(absl::string_view keys) {
  OutputStream* const keyboard = process_ == nullptr ? nullptr : process_->keyboard();
  if (keyboard == nullptr) return;
  keyboard->Write(keys);
  if (!keyboard->full() || typed_->paused()) return;
  typed_->Pause();
  keyboard->WhenRoom([this] {
    if (raw_mode_.entered()) typed_->Resume();
  });
}

void PlainHost::End(int code) {
  if (exit_code_.has_value()) return;
  exit_code_ = code;
  schedule_.Cancel();
  context_.loop.Cancel(std::exchange(terminal_timer_, 0));
  if (output_ == nullptr) {
    flushed_ = true;
  } else {
    output_->Finish([this] { flushed_ = true; });
  }
}

}  // namespace keyferry::injector
