#include "injector/supervise/signals.h"

#include <unistd.h>

namespace keyferry::injector {
namespace {

sigset_t All() {
  sigset_t all;
  sigfillset(&all);
  return all;
}

}  // namespace

void BlockAllSignals() {
  const sigset_t all = All();
  pthread_sigmask(SIG_SETMASK, &all, nullptr);
}

SignalSource::SignalSource() {
  const sigset_t all = All();
  descriptor_.Reset(signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC));
}

std::optional<struct signalfd_siginfo> SignalSource::Next() {
  struct signalfd_siginfo signal;
  if (read(descriptor_.get(), &signal, sizeof(signal)) != sizeof(signal)) return std::nullopt;
  return signal;
}

void ForwardSignal(const struct signalfd_siginfo& signal, pid_t process) {
  if (signal.ssi_code != SI_QUEUE) {
    kill(process, static_cast<int>(signal.ssi_signo));
    return;
  }
  union sigval value;
  value.sival_ptr = reinterpret_cast<void*>(signal.ssi_ptr);
  sigqueue(process, static_cast<int>(signal.ssi_signo), value);
}

void StopSelf(int number, StopWhom whom) {
  struct sigaction by_default = {};
  by_default.sa_handler = SIG_DFL;
  struct sigaction before;
  if (number != SIGSTOP) sigaction(number, &by_default, &before);
  kill(whom == StopWhom::kGroup ? 0 : getpid(), number);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, number);
  // It stops here: the signal waits while it is blocked.
  pthread_sigmask(SIG_UNBLOCK, &one, nullptr);
  BlockAllSignals();
  if (number != SIGSTOP) sigaction(number, &before, nullptr);
}

}  // namespace keyferry::injector
