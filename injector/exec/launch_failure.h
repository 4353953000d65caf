#ifndef KEYFERRY_INJECTOR_EXEC_LAUNCH_FAILURE_H_
#define KEYFERRY_INJECTOR_EXEC_LAUNCH_FAILURE_H_

#include <string>

#include "injector/exec/exit_code.h"

namespace keyferry::injector {

// An exec that failed with the errno `error`.
Failure LaunchFailure(const std::string& program, int error);

// Names and hints of others end up on a terminal: no control characters, and one line.
std::string Printable(std::string text);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_LAUNCH_FAILURE_H_
