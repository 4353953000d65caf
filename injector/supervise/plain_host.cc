#include "injector/supervise/plain_host.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "injector/supervise/child.h"
#include "injector/supervise/signals.h"
#include "injector/supervise/standard_streams.h"

namespace keyferry::injector {

PlainHost::PlainHost(const HostContext& context, OnRotate on_rotate)
    : context_(context),
      on_rotate_(on_rotate),
      joined_(ErrorIsOutput()),
      schedule_(context.loop, context.options.debounce, context.options.splay, [this] { Act(); }) {
  if (!context_.options.redact) return;
  output_ = std::make_unique<OutputStream>(context.loop, SharedEndpoint::ForWriting(STDOUT_FILENO));
  // The process is to find out when it writes.
  output_->OnBroken([this] {
    output_pump_.reset();
    GoneIfAll();
  });
  context_.error_output.OnBroken([this] {
    error_pump_.reset();
    GoneIfAll();
  });
}

PlainHost::~PlainHost() { context_.error_output.OnBroken(nullptr); }

int PlainHost::Start(std::shared_ptr<Generation> first) {
  newest_ = std::move(first);
  const int error = Launch();
  if (error != 0) return error;
  // Whoever writes into it is to see when the command has closed it.
  if (on_rotate_ != OnRotate::kRestart) CloseStandardInput();
  return 0;
}

int PlainHost::Launch() {
  const std::shared_ptr<Generation> generation = newest_;
  std::shared_ptr<const PatternSet> patterns;
  ChildStreams streams;
  Pipe out;
  Pipe err;
  if (context_.options.redact) {
    std::vector<std::shared_ptr<Generation>> generations = {generation};
    if (running_ != nullptr) generations.push_back(running_);
    patterns = PatternsOf(generations);
    out = Pipe::Make();
    if (!joined_) err = Pipe::Make();
    if (!out.read_end.valid() || (!joined_ && !err.read_end.valid())) return errno;
    streams.out = out.write_end.get();
    streams.err = joined_ ? streams.out : err.write_end.get();
  }
  const SpawnResult spawned = Spawn(context_.command, generation->environment, context_.state, streams);
  if (spawned.pid < 0) return spawned.error;
  process_ = spawned.pid;
  status_.reset();
  previous_ = std::exchange(running_, generation);
  if (context_.options.redact) {
    const auto pump = [&](Pipe& pipe, OutputStream& to) -> std::unique_ptr<Pump> {
      if (to.broken()) return nullptr;
      return std::make_unique<Pump>(context_.loop, SharedEndpoint::Own(std::move(pipe.read_end)), to, patterns,
                                    [this] { PumpEnded(); });
    };
    output_pump_ = pump(out, *output_);
    if (!joined_) error_pump_ = pump(err, context_.error_output);
  }
  context_.report.Running(running_->revision, process_);
  return 0;
}

void PlainHost::Changed(std::shared_ptr<Generation> newest) {
  newest_ = std::move(newest);
  if (exit_code_.has_value()) return;
  if (!stopping_ && newest_->SameVariables(*running_)) {
    schedule_.Cancel();
    running_->revision = newest_->revision;
    context_.report.Running(running_->revision, process_);
    return;
  }
  schedule_.Changed();
}

void PlainHost::Act() {
  if (stopping_ || exit_code_.has_value()) return;
  switch (on_rotate_) {
    case OnRotate::kSignal:
      context_.log.Line(
          absl::StrCat("the environment has changed; the command gets ", SignalName(context_.options.signal)));
      kill(process_, context_.options.signal);
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
  if (status_.has_value()) return;
  stop_ = std::make_unique<StopSequence>(context_.loop, process_, absl::ZeroDuration(), context_.options.stop_timeout);
}

void PlainHost::ChildChanged(pid_t process, int status) {
  if (process != process_ || status_.has_value()) return;
  if (WIFSTOPPED(status)) {
    StopSelf(WSTOPSIG(status));
    return;
  }
  if (WIFCONTINUED(status)) return;
  status_ = status;
  stop_.reset();
  if (output_pump_ != nullptr) output_pump_->FinishSoon();
  if (error_pump_ != nullptr) error_pump_->FinishSoon();
  GoneIfAll();
}

// A command that closes its output while it lives shows the reader the end of the stream, unless another may write
// there.
void PlainHost::PumpEnded() {
  if (!status_.has_value() && on_rotate_ != OnRotate::kRestart && output_pump_ != nullptr && output_pump_->ended()) {
    output_->WhenEmpty([] { CloseStandardOutput(); });
  }
  GoneIfAll();
}

void PlainHost::GoneIfAll() {
  if (!status_.has_value() || exit_code_.has_value()) return;
  if (output_pump_ != nullptr && !output_pump_->ended()) return;
  if (error_pump_ != nullptr && !error_pump_->ended()) return;
  if (!std::exchange(stopping_, false)) return End(ExitCodeOfStatus(*status_));
  if (on_rotate_ == OnRotate::kExit) return End(0);
  // Not from within the call of a pump that this replaces.
  context_.loop.After(absl::ZeroDuration(), [this] {
    const int error = Launch();
    if (error == 0) return;
    context_.log.Line(absl::StrCat(context_.command[0], ": ", strerror(error)));
    End(error == ENOENT ? kNotFound : kCannotRun);
  });
}

void PlainHost::Forward(const struct signalfd_siginfo& signal) {
  if (CameFromTerminal(signal) || status_.has_value()) return;
  ForwardSignal(signal, process_);
}

void PlainHost::End(int code) {
  if (exit_code_.has_value()) return;
  exit_code_ = code;
  schedule_.Cancel();
  if (output_ == nullptr) {
    flushed_ = true;
  } else {
    output_->Finish([this] { flushed_ = true; });
  }
}

}  // namespace keyferry::injector
