#ifndef KEYFERRY_INJECTOR_SUPERVISE_TESTING_PROGRAM_H_
#define KEYFERRY_INJECTOR_SUPERVISE_TESTING_PROGRAM_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace keyferry::testing {

// A program with pipes at its standard streams. Killed when destroyed. Calls that wait end the test program if nothing
// happens for 20 seconds.
class Program {
 public:
  struct Options {
    // `NAME=VALUE`, beside those of the test.
    std::vector<std::string> environment;
    // Called in the child before the program is executed.
    std::function<void()> prepare;
  };

  static std::unique_ptr<Program> Start(const std::vector<std::string>& command, const Options& options);
  static std::unique_ptr<Program> Start(const std::vector<std::string>& command) { return Start(command, Options()); }
  ~Program();

  pid_t pid() const { return pid_; }
  void Write(absl::string_view data);
  void CloseInput();
  void CloseOutput();
  // From now on standard error is not read, except by ErrorsSoFar, AwaitError and Finish.
  void LeaveErrorsUnread() { errors_read_ = false; }
  // Without the '\n'; "" at the end of the stream.
  std::string ReadLine();
  // Standard error so far, without waiting for more.
  std::string ErrorsSoFar();
  // Waits until standard error contains the text.
  void AwaitError(absl::string_view text);
  // Reads both streams to their ends, and waits. A waitpid(2) status.
  int Finish();

  // After Finish: what ReadLine did not take, and standard error.
  const std::string& output() const { return output_; }
  const std::string& errors() const { return errors_; }

 private:
  // Reads what there is, of standard error only if it is asked for; false at the end of both streams.
  bool ReadSome(bool errors);

  pid_t pid_ = -1;
  int in_ = -1;
  int out_ = -1;
  int err_ = -1;
  bool errors_read_ = true;
  std::string output_;
  std::string errors_;
};

// Writes `input`, closes it, and lets the program finish.
struct Outcome {
  int status = 0;
  std::string output;
  std::string errors;
};
Outcome RunProgram(const std::vector<std::string>& command, absl::string_view input = "",
                   const Program::Options& options = {});

// The file that a test's `data` names, e.g. "injector/supervise/testing/probe".
std::string DataFile(const std::string& path);

// The same command under the injector's supervision, with these options.
std::vector<std::string> Supervised(const std::vector<std::string>& command,
                                    const std::vector<std::string>& options = {});

}  // namespace keyferry::testing

#endif  // KEYFERRY_INJECTOR_SUPERVISE_TESTING_PROGRAM_H_
