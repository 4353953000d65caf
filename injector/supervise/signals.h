#ifndef KEYFERRY_INJECTOR_SUPERVISE_SIGNALS_H_
#define KEYFERRY_INJECTOR_SUPERVISE_SIGNALS_H_

#include <signal.h>
#include <sys/signalfd.h>
#include <sys/types.h>

#include <optional>

#include "injector/supervise/descriptor.h"

namespace keyferry::injector {

// Blocks every signal that can be, for the calling thread and the threads that it starts from now on. Call before any
// thread is started, so that signals wait for the SignalSource alone.
void BlockAllSignals();

// Gives the calling thread the signal mask that it was started with while it waits for something else than the loop, so
// that an interrupt still ends it. Then all are blocked again.
class SignalsUnblocked {
 public:
  explicit SignalsUnblocked(const sigset_t& mask) { pthread_sigmask(SIG_SETMASK, &mask, nullptr); }
  ~SignalsUnblocked() { BlockAllSignals(); }
  SignalsUnblocked(const SignalsUnblocked&) = delete;
  SignalsUnblocked& operator=(const SignalsUnblocked&) = delete;
};

// Blocked signals of this process, read one by one from a descriptor. Needs BlockAllSignals. For one thread.
class SignalSource {
 public:
  SignalSource();

  int descriptor() const { return descriptor_.get(); }
  // The next signal; nullopt if none is waiting.
  std::optional<struct signalfd_siginfo> Next();

 private:
  Descriptor descriptor_;
};

// Sends `signal` on to `process`, with its value if it was queued with one (sigqueue(3)).
void ForwardSignal(const struct signalfd_siginfo& signal, pid_t process);

enum class StopWhom { kThisProcess, kGroup };

// Stops this process, or its whole process group, by `number` (SIGTSTP, SIGTTIN, SIGTTOU or SIGSTOP) as if it had no
// handler, and returns when it has been continued; at once where the kernel does not stop a process of an orphaned
// group.
void StopSelf(int number, StopWhom whom);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_SIGNALS_H_
