#ifndef KEYFERRY_INJECTOR_SUPERVISE_HOST_H_
#define KEYFERRY_INJECTOR_SUPERVISE_HOST_H_

#include <sys/signalfd.h>
#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "injector/exec/process.h"
#include "injector/source/resolved_environment.h"
#include "injector/supervise/error_log.h"
#include "injector/supervise/event_loop.h"
#include "injector/supervise/generation.h"
#include "injector/supervise/output_stream.h"
#include "injector/supervise/supervise_options.h"

namespace keyferry::injector {

// What every host works with; outlives it.
struct HostContext {
  EventLoop& loop;
  const SuperviseOptions& options;
  const std::vector<std::string>& command;
  const InheritedState& state;
  // Standard error.
  OutputStream& error_output;
  ErrorLog& log;
  ReportSink& report;
};

// Keeps the command running, as one process or as several in turn, and acts on changes of its environment. For the
// loop's thread.
class Host {
 public:
  virtual ~Host() = default;

  // Starts the command. Answers 0, or the errno of what failed; nothing runs then.
  virtual int Start(std::shared_ptr<Generation> first) = 0;
  // The environment is now another.
  virtual void Changed(std::shared_ptr<Generation> newest) = 0;
  // A child of this process has ended, stopped or continued; it may be an adopted one that is not the host's.
  virtual void ChildChanged(pid_t process, int status) = 0;
  // A signal came that is not the injector's own business.
  virtual void Forward(const struct signalfd_siginfo& signal) = 0;
  // What to exit with; set once the command is over and everything it wrote has been passed on.
  virtual std::optional<int> exit_code() const = 0;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_HOST_H_
