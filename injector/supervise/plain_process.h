#ifndef KEYFERRY_INJECTOR_SUPERVISE_PLAIN_PROCESS_H_
#define KEYFERRY_INJECTOR_SUPERVISE_PLAIN_PROCESS_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>

#include "injector/supervise/descriptor.h"
#include "injector/supervise/host.h"
#include "injector/supervise/pseudo_terminal.h"
#include "injector/supervise/redacted_input.h"

namespace keyferry::injector {

// Where the standard streams of a command come from and go to.
//
// Without redaction they are this process's own. With it, output goes through a pipe, or through a terminal where this
// process has one there. Standard input is this process's own, unless it is a terminal and output is too: then the
// command gets a terminal of its own for all of it, in a session of its own, and what is typed is passed on.
struct StreamPlan {
  bool redact = false;
  bool output_terminal = false;
  bool error_terminal = false;
  // Standard error goes the way of standard output.
  bool joined = false;
  // The command has a session of its own.
  bool session = false;

  static StreamPlan Make(bool redact);
};

// One process of a command. For the loop's thread.
class PlainProcess {
 public:
  struct Callbacks {
    // It has stopped by this signal.
    std::function<void(int)> stopped;
    // It has closed its output, but lives.
    std::function<void()> output_ended;
    // It has ended, with this waitpid(2) status, and everything it wrote has been passed on. Told once, from the loop.
    std::function<void(int)> gone;
  };

  // `output` is null without redaction. nullptr with `error` set if it could not be started.
  static std::unique_ptr<PlainProcess> Start(const HostContext& context, const StreamPlan& plan, OutputStream* output,
                                             Generation& generation, const std::shared_ptr<const PatternSet>& patterns,
                                             Callbacks callbacks, int& error);
  ~PlainProcess();
  PlainProcess(const PlainProcess&) = delete;
  PlainProcess& operator=(const PlainProcess&) = delete;

  pid_t pid() const { return pid_; }
  bool exited() const { return status_.has_value(); }
  // Of an ended process.
  int status() const { return *status_; }

  // What waitpid told of this process, where it is a child.
  void Changed(int status);

  // What was typed; for a session.
  OutputStream* keyboard() { return keyboard_.get(); }
  // The outer terminal may have another size.
  void CopySize();

  // Nobody reads any more: the process is to find out when it writes.
  void CloseOutput();
  void CloseErrors();
  void SetPatterns(const std::shared_ptr<const PatternSet>& patterns);

 private:
  PlainProcess(const HostContext& context, const StreamPlan& plan, Callbacks callbacks)
      : context_(context), plan_(plan), callbacks_(std::move(callbacks)) {}
  int Launch(OutputStream* output, Generation& generation, const std::shared_ptr<const PatternSet>& patterns);
  std::unique_ptr<Pump> MakePump(Descriptor from, OutputStream& to, const std::shared_ptr<const PatternSet>& patterns);
  void WatchStatuses(Descriptor statuses);
  void PumpEnded();
  void TellIfGone();

  const HostContext& context_;
  const StreamPlan plan_;
  const Callbacks callbacks_;
  pid_t pid_ = -1;
  std::unique_ptr<PseudoTerminal> terminal_;
  std::unique_ptr<OutputStream> keyboard_;
  std::unique_ptr<Pump> output_;
  std::unique_ptr<Pump> errors_;
  Descriptor statuses_;
  EventLoop::WatchId status_watch_ = 0;
  EventLoop::TimerId telling_ = 0;
  std::optional<int> status_;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_PLAIN_PROCESS_H_
