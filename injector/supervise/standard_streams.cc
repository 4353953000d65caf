#include "injector/supervise/standard_streams.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

namespace keyferry::injector {
namespace {

bool IsPipeOrSocket(int number) {
  struct stat status;
  return fstat(number, &status) == 0 && (S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode));
}

void ReplaceByNull(int number) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  if (null < 0) {
    close(number);
    return;
  }
  dup2(null, number);
  close(null);
}

}  // namespace

void FillStandardDescriptors() {
  while (true) {
    const int descriptor = open("/dev/null", O_RDWR);
    if (descriptor < 0) return;
    if (descriptor > 2) {
      close(descriptor);
      return;
    }
  }
}

bool StreamsLookLikeMcp() { return IsPipeOrSocket(STDIN_FILENO) && IsPipeOrSocket(STDOUT_FILENO); }

bool ErrorIsOutput() {
  struct stat output;
  struct stat error;
  return fstat(STDOUT_FILENO, &output) == 0 && fstat(STDERR_FILENO, &error) == 0 && output.st_dev == error.st_dev &&
         output.st_ino == error.st_ino;
}

void CloseStandardInput() { ReplaceByNull(STDIN_FILENO); }

void CloseStandardOutput() { ReplaceByNull(STDOUT_FILENO); }

void CloseStandardError() { ReplaceByNull(STDERR_FILENO); }

bool CameFromTerminal(const struct signalfd_siginfo& signal) {
  if (signal.ssi_code != SI_KERNEL) return false;
  switch (signal.ssi_signo) {
    case SIGINT:
    case SIGQUIT:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
    case SIGWINCH:
    case SIGHUP:
    case SIGCONT:
      return true;
    default:
      // E.g. an alarm that was set before this program was executed.
      return false;
  }
}

bool AsksToEnd(int signal) { return signal == SIGTERM || signal == SIGINT || signal == SIGQUIT || signal == SIGHUP; }

}  // namespace keyferry::injector
