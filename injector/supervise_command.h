#ifndef KEYFERRY_INJECTOR_SUPERVISE_COMMAND_H_
#define KEYFERRY_INJECTOR_SUPERVISE_COMMAND_H_

#include "injector/exec/exec_options.h"
#include "injector/exec/exit_code.h"
#include "injector/exec/process.h"

namespace keyferry::injector {

// `exec --supervise`: resolves the MCP server's environment, runs the command, and keeps it up to date. Answers what to
// exit with and what to say before that, often nothing. Call from the main thread, before any other was started;
// `options.supervise` must be set.
Failure RunSupervise(const ExecOptions& options, const InheritedState& state);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_COMMAND_H_
