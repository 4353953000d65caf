#include "injector/supervise/session_child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace keyferry::injector {
namespace {

// What the leader says first.
struct Launched {
  pid_t pid;
  int error;
};

template <typename T>
bool Send(int descriptor, const T& message) {
  return write(descriptor, &message, sizeof(message)) == sizeof(message);
}

template <typename T>
bool Receive(int descriptor, T& message) {
  ssize_t size;
  do {
    size = read(descriptor, &message, sizeof(message));
  } while (size < 0 && errno == EINTR);
  return size == sizeof(message);
}

// Reports the command's changes until it has ended.
[[noreturn]] void Lead(pid_t command, int statuses) {
  int status = 0;
  while (waitpid(command, &status, WUNTRACED | WCONTINUED) == command) {
    if (!Send(statuses, status) || WIFEXITED(status) || WIFSIGNALED(status)) break;
  }
  _exit(0);
}

// Keeps nothing open that others wait to see closed.
int CloseAllBut(int kept) {
  dup2(kept, 0);
  for (int number = 1; number < 3; ++number) close(number);
  if (close_range(3, ~0U, 0) != 0) {
    for (int number = 3; number < 4096; ++number) close(number);
  }
  return 0;
}

}  // namespace

SessionChild SpawnInSession(const std::vector<std::string>& command, Environment& environment,
                            const InheritedState& state, const ChildStreams& streams, int terminal) {
  Pipe statuses = Pipe::Make();
  if (!statuses.read_end.valid()) return {{-1, errno}, Descriptor()};
  const pid_t parent = getpid();
  const pid_t leader = fork();
  if (leader < 0) return {{-1, errno}, Descriptor()};
  if (leader == 0) {
    DieWith(parent);
    setsid();
    ioctl(terminal, TIOCSCTTY, 0);
    const SpawnResult spawned = Spawn(command, environment, state, streams, terminal);
    const Launched launched = {spawned.pid, spawned.error};
    const int report = CloseAllBut(statuses.write_end.get());
    if (!Send(report, launched) || spawned.pid < 0) _exit(0);
    Lead(spawned.pid, report);
  }
  statuses.write_end.Reset();
  Launched launched = {-1, ECHILD};
  Receive(statuses.read_end.get(), launched);
  return {{launched.pid, launched.error}, std::move(statuses.read_end)};
}

std::optional<int> ReadStatus(const Descriptor& statuses) {
  int status;
  if (!Receive(statuses.get(), status)) return std::nullopt;
  return status;
}

}  // namespace keyferry::injector
