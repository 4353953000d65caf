#ifndef KEYFERRY_INJECTOR_EXEC_EXEC_COMMAND_H_
#define KEYFERRY_INJECTOR_EXEC_EXEC_COMMAND_H_

#include "injector/exec/exec_options.h"
#include "injector/exec/failure.h"
#include "injector/exec/process.h"

namespace keyferry::injector {

// Resolves the MCP server's environment and replaces this process with the command (SPEC 6, exec-replace mode). Returns
// only if that failed. Writes nothing to standard output.
Failure RunExec(const ExecOptions& options, const InheritedState& state);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_EXEC_COMMAND_H_
