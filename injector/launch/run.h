#ifndef KEYFERRY_INJECTOR_LAUNCH_RUN_H_
#define KEYFERRY_INJECTOR_LAUNCH_RUN_H_

#include "injector/exec/exit_code.h"
#include "injector/exec/process.h"
#include "injector/launch/launch_options.h"

namespace keyferry::injector::launch {

// Gets the environment from the agent, then becomes the command or supervises it. Answers what to exit with and what to
// say on standard error before that, often nothing. Call from the main thread, before any other was started, with
// standard input, output and error open.
Failure RunLaunch(const LaunchOptions& options, const InheritedState& state);

}  // namespace keyferry::injector::launch

#endif  // KEYFERRY_INJECTOR_LAUNCH_RUN_H_
