// Says what a program can see of how it was started, or does what a test needs.
//
// usage: probe ACTION [ARG]
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

extern char** environ;

namespace {

void Descriptors() {
  DIR* const directory = opendir("/proc/self/fd");
  std::vector<int> numbers;
  while (const dirent* entry = readdir(directory)) {
    if (entry->d_name[0] != '.' && atoi(entry->d_name) != dirfd(directory)) numbers.push_back(atoi(entry->d_name));
  }
  std::sort(numbers.begin(), numbers.end());
  for (int number : numbers) {
    struct stat status;
    fstat(number, &status);
    printf("fd %d type %o flags %x cloexec %x\n", number, status.st_mode & S_IFMT, fcntl(number, F_GETFL),
           fcntl(number, F_GETFD));
  }
}

void Inherited() {
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable) {
    if (strncmp(*variable, "KEYFERRY_", 9) != 0) variables.push_back(*variable);
  }
  for (const std::string& variable : variables) printf("env %s\n", variable.c_str());
  char directory[4096];
  printf("cwd %s\n", getcwd(directory, sizeof(directory)));
  const mode_t mask = umask(0);
  printf("umask %o nice %d dumpable %d\n", mask, getpriority(PRIO_PROCESS, 0), prctl(PR_GET_DUMPABLE));
  for (int which = 0; which < RLIM_NLIMITS; ++which) {
    struct rlimit limit;
    getrlimit(static_cast<__rlimit_resource>(which), &limit);
    printf("limit %d %llu %llu\n", which, static_cast<unsigned long long>(limit.rlim_cur),
           static_cast<unsigned long long>(limit.rlim_max));
  }
  sigset_t mask_set;
  sigprocmask(SIG_BLOCK, nullptr, &mask_set);
  for (int number = 1; number < 65; ++number) {
    struct sigaction action;
    if (sigaction(number, nullptr, &action) != 0) continue;
    if (sigismember(&mask_set, number) != 0 || action.sa_handler != SIG_DFL) {
      printf("signal %d blocked %d ignored %d\n", number, sigismember(&mask_set, number), action.sa_handler == SIG_IGN);
    }
  }
}

void Terminal() {
  printf("tty %d %d %d\n", isatty(0), isatty(1), isatty(2));
  struct winsize size = {};
  ioctl(1, TIOCGWINSZ, &size);
  const int terminal = open("/dev/tty", O_RDWR);
  printf("size %d %d controlling %d foreground %d\n", size.ws_row, size.ws_col, terminal >= 0,
         terminal >= 0 && tcgetpgrp(terminal) == getpgrp());
}

// Says each signal as it comes, until SIGTERM has come.
int Signals() {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_BLOCK, &all, nullptr);
  printf("ready\n");
  fflush(stdout);
  while (true) {
    siginfo_t info;
    const int number = sigwaitinfo(&all, &info);
    printf("got %d %d\n", number, info.si_code == SI_QUEUE ? info.si_value.sival_int : 0);
    fflush(stdout);
    if (number == SIGTERM) return 0;
  }
}

// Leaves a process behind that lives for a moment and then ends.
void Orphan() {
  if (fork() == 0) {
    if (fork() == 0) {
      close(0);
      close(1);
      close(2);
      usleep(50000);
      _exit(0);
    }
    _exit(0);
  }
  wait(nullptr);
}

}  // namespace

int main(int argc, char** argv) {
  const std::string action = argc > 1 ? argv[1] : "";
  const char* const argument = argc > 2 ? argv[2] : "";
  if (action == "descriptors") Descriptors();
  if (action == "inherited") Inherited();
  if (action == "terminal") Terminal();
  if (action == "group") printf("group %d session %d\n", getpgrp() == atoi(argument), getsid(0) == getsid(getppid()));
  if (action == "exit") return atoi(argument);
  if (action == "die") {
    signal(atoi(argument), SIG_DFL);
    kill(getpid(), atoi(argument));
  }
  if (action == "signals") return Signals();
  if (action == "orphan") Orphan();
  return 0;
}
