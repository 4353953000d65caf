#ifndef KEYFERRY_INJECTOR_EXEC_EXIT_CODE_H_
#define KEYFERRY_INJECTOR_EXEC_EXIT_CODE_H_

#include <string>

namespace keyferry::injector {

// Exit codes of the injector itself (SPEC 6), as in sysexits.h and env(1). Scripts depend on them: never renumber.
enum ExitCode : int {
  kUsage = 64,
  kUnavailable = 69,
  kNotPermitted = 77,
  kConfiguration = 78,
  kCannotRun = 126,
  kNotFound = 127,
};

// Why nothing was launched: the exit code, and one line for standard error without the program's name. Never a value.
struct Failure {
  int exit_code = kUnavailable;
  std::string message;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_EXIT_CODE_H_
