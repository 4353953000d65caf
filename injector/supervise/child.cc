#include "injector/supervise/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <utility>

#include "injector/supervise/descriptor.h"

namespace keyferry::injector {
namespace {

constexpr int kNeverSeen = 127;

}  // namespace

void TakeStreams(ChildStreams streams) {
  int* const from[] = {&streams.in, &streams.out, &streams.err};
  // Out of the way of one another first.
  for (int number = 0; number < 3; ++number) {
    if (*from[number] < 3 && *from[number] != number) *from[number] = fcntl(*from[number], F_DUPFD_CLOEXEC, 3);
  }
  for (int number = 0; number < 3; ++number) {
    if (*from[number] == number) {
      fcntl(number, F_SETFD, 0);
    } else {
      dup2(*from[number], number);
    }
  }
}

void DieWith(pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(kNeverSeen);
}

SpawnResult Spawn(const std::vector<std::string>& command, Environment& environment, const InheritedState& state,
                  const ChildStreams& streams, int terminal) {
  Pipe failure = Pipe::Make();
  if (!failure.read_end.valid()) return {-1, errno};
  const pid_t parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return {-1, errno};
  if (pid == 0) {
    DieWith(parent);
    if (terminal >= 0) {
      setpgid(0, 0);
      tcsetpgrp(terminal, getpid());
    }
    // Standard numbers may be free in this process, and a pipe have taken one.
    const int report = fcntl(failure.write_end.get(), F_DUPFD_CLOEXEC, 3);
    TakeStreams(streams);
    const int error = ReplaceProcess(command, std::move(environment), state);
    if (write(report, &error, sizeof(error)) < 0) _exit(kNeverSeen - 1);
    _exit(kNeverSeen);
  }
  failure.write_end.Reset();
  int error = 0;
  ssize_t size;
  do {
    size = read(failure.read_end.get(), &error, sizeof(error));
  } while (size < 0 && errno == EINTR);
  if (size != sizeof(error)) return {pid, 0};
  waitpid(pid, nullptr, 0);
  return {-1, error};
}

void AdoptOrphans() { prctl(PR_SET_CHILD_SUBREAPER, 1); }

void CollectChildren(const std::function<void(pid_t, int)>& changed) {
  int status;
  pid_t pid;
  while ((pid = waitpid(-1, &status, WNOHANG | WUNTRACED | WCONTINUED)) > 0) changed(pid, status);
}

int ExitCodeOfStatus(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

}  // namespace keyferry::injector
