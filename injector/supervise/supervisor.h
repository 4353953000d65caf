#ifndef KEYFERRY_INJECTOR_SUPERVISE_SUPERVISOR_H_
#define KEYFERRY_INJECTOR_SUPERVISE_SUPERVISOR_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "injector/exec/environment.h"
#include "injector/exec/exit_code.h"
#include "injector/exec/process.h"
#include "injector/source/resolved_environment.h"
#include "injector/supervise/mailbox.h"
#include "injector/supervise/supervise_options.h"

namespace keyferry::injector {

struct SupervisedCommand {
  // Program and arguments.
  std::vector<std::string> command;
  // What of `inherited` (null-terminated, as `environ`) the command keeps.
  const char* const* inherited = nullptr;
  InheritRules rules;
  // Names this process in its own lines.
  absl::string_view program = "keyferry-injector";
};

// Runs the command with `first`, keeps it up to date with what comes into `mailbox`, and answers what to exit with and
// what to say on standard error before that (often nothing). Everything that the command wrote has then been passed
// on, and every child has been reaped that has ended.
//
// The calling thread must be the program's main thread, BlockAllSignals called before any other was started, and
// standard input, output and error open. For as long as it runs this has the process to itself: its signals, children,
// standard streams.
Failure RunSupervised(const SupervisedCommand& command, const SuperviseOptions& options, const InheritedState& state,
                      ResolvedEnvironment first, Mailbox& mailbox, ReportSink& report);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_SUPERVISOR_H_
