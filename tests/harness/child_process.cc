#include "tests/harness/child_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>

#include "absl/memory/memory.h"
#include "absl/time/clock.h"

namespace keyferry::testing {
namespace {

[[noreturn]] void Die(const char* what) {
  perror(what);
  abort();
}

// Between fork and exec only async-signal-safe calls are allowed: the test may have threads.
[[noreturn]] void ExecChild(char** arguments, int output, int error) {
  // A test that is itself killed must not leave servers behind.
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(output, STDOUT_FILENO);
  if (error >= 0) dup2(error, STDERR_FILENO);
  execv(arguments[0], arguments);
  _exit(127);
}

}  // namespace

std::unique_ptr<ChildProcess> ChildProcess::Start(const std::vector<std::string>& command,
                                                  const std::string& stderr_path) {
  std::vector<char*> arguments;
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  int output[2];
  if (pipe2(output, O_CLOEXEC) != 0) Die("pipe2");
  const int error =
      stderr_path.empty() ? -1 : open(stderr_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  const pid_t pid = fork();
  if (pid < 0) Die("fork");
  if (pid == 0) ExecChild(arguments.data(), output[1], error);
  close(output[1]);
  if (error >= 0) close(error);
  return absl::WrapUnique(new ChildProcess(pid, output[0]));
}

ChildProcess::~ChildProcess() {
  if (!exit_code_.has_value()) {
    Signal(SIGKILL);
    Wait();
  }
  close(output_);
}

std::optional<std::string> ChildProcess::ReadLine(absl::Time deadline) {
  while (true) {
    if (const size_t end = buffer_.find('\n'); end != std::string::npos) {
      std::string line = buffer_.substr(0, end);
      buffer_.erase(0, end + 1);
      return line;
    }
    if (at_end_) return std::nullopt;
    const absl::Duration left = std::max(absl::ZeroDuration(), deadline - absl::Now());
    pollfd event = {output_, POLLIN, 0};
    const int ready = poll(&event, 1, static_cast<int>(std::min<int64_t>(absl::ToInt64Milliseconds(left), 60'000)));
    if (ready == 0 && absl::Now() >= deadline) return std::nullopt;
    if (ready <= 0) continue;
    char chunk[4096];
    const ssize_t size = read(output_, chunk, sizeof(chunk));
    if (size > 0) buffer_.append(chunk, size);
    if (size == 0 || (size < 0 && errno != EINTR)) at_end_ = true;
  }
}

void ChildProcess::Signal(int number) {
  if (!exit_code_.has_value()) kill(pid_, number);
}

int ChildProcess::Wait() {
  if (!exit_code_.has_value()) {
    int status = 0;
    while (waitpid(pid_, &status, 0) < 0 && errno == EINTR) {
    }
    exit_code_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }
  return *exit_code_;
}

}  // namespace keyferry::testing
