#include "injector/exec/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

namespace keyferry::injector {
namespace {

// Descriptors are marked rather than closed: threads of gRPC still use them until the exec, and a failed exec must
// still be able to report.
void CloseOnExecFrom(unsigned first) {
  if (close_range(first, ~0U, CLOSE_RANGE_CLOEXEC) == 0) return;
  // Kernels before 5.11.
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) return;
  while (const dirent* entry = readdir(directory)) {
    const unsigned long descriptor = strtoul(entry->d_name, nullptr, 10);
    if (descriptor >= first) fcntl(static_cast<int>(descriptor), F_SETFD, FD_CLOEXEC);
  }
  closedir(directory);
}

}  // namespace

InheritedState InheritedState::Capture() {
  InheritedState state;
  pthread_sigmask(SIG_BLOCK, nullptr, &state.mask_);
  for (size_t number = 1; number < state.actions_.size(); ++number) {
    sigaction(static_cast<int>(number), nullptr, &state.actions_[number]);
  }
  getrlimit(RLIMIT_CORE, &state.core_limit_);
  return state;
}

void InheritedState::Restore() const {
  for (size_t number = 1; number < actions_.size(); ++number) {
    sigaction(static_cast<int>(number), &actions_[number], nullptr);
  }
  setrlimit(RLIMIT_CORE, &core_limit_);
  pthread_sigmask(SIG_SETMASK, &mask_, nullptr);
}

void HardenProcess() {
  prctl(PR_SET_DUMPABLE, 0);
  struct rlimit limit;
  if (getrlimit(RLIMIT_CORE, &limit) != 0) return;
  limit.rlim_cur = 0;
  setrlimit(RLIMIT_CORE, &limit);
}

int ReplaceProcess(const std::vector<std::string>& command, Environment environment, const InheritedState& state) {
  std::vector<char*> arguments;
  arguments.reserve(command.size() + 1);
  for (const std::string& argument : command) arguments.push_back(const_cast<char*>(argument.c_str()));
  arguments.push_back(nullptr);
  CloseOnExecFrom(3);
  state.Restore();
  char** const own_environment = environ;
  // execvp looks the program up in the PATH of `environ`.
  environ = const_cast<char**>(environment.pointers());
  execvp(arguments[0], arguments.data());
  const int error = errno;
  environ = own_environment;
  HardenProcess();
  return error;
}

}  // namespace keyferry::injector
