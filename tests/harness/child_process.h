#ifndef KEYFERRY_TESTS_HARNESS_CHILD_PROCESS_H_
#define KEYFERRY_TESTS_HARNESS_CHILD_PROCESS_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"

namespace keyferry::testing {

// A program run by a test, its standard output read line by line. Killed when destroyed. Not thread-safe.
class ChildProcess {
 public:
  // Standard error goes to `stderr_path` (appended), or to the test's own if that is empty. Ends the test program if
  // the process cannot be made.
  static std::unique_ptr<ChildProcess> Start(const std::vector<std::string>& command, const std::string& stderr_path);

  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  // The next whole line of standard output; nullopt when `deadline` has passed or the output has ended.
  std::optional<std::string> ReadLine(absl::Time deadline);
  // Whether the output has ended and every whole line has been read.
  bool AtEnd() const { return at_end_ && buffer_.find('\n') == std::string::npos; }

  // Sends a signal.
  void Signal(int number);
  // Waits for the end; answers the exit code, or 128 + the signal that ended it.
  int Wait();

  pid_t pid() const { return pid_; }

 private:
  ChildProcess(pid_t pid, int output) : pid_(pid), output_(output) {}

  const pid_t pid_;
  const int output_;
  std::string buffer_;
  bool at_end_ = false;
  std::optional<int> exit_code_;
};

}  // namespace keyferry::testing

#endif  // KEYFERRY_TESTS_HARNESS_CHILD_PROCESS_H_
