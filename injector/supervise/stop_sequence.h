#ifndef KEYFERRY_INJECTOR_SUPERVISE_STOP_SEQUENCE_H_
#define KEYFERRY_INJECTOR_SUPERVISE_STOP_SEQUENCE_H_

#include <signal.h>
#include <sys/types.h>

#include "absl/time/time.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::injector {

// Ends a process: waits for it to end by itself, then SIGTERM, then SIGKILL. Destroy it when the process has been
// reaped. For the loop's thread.
class StopSequence {
 public:
  // `patience` is the time before SIGTERM, `timeout` the time between that and SIGKILL.
  StopSequence(EventLoop& loop, pid_t process, absl::Duration patience, absl::Duration timeout)
      : loop_(loop), process_(process), timeout_(timeout) {
    timer_ = loop_.After(patience, [this] { Terminate(); });
  }
  ~StopSequence() { loop_.Cancel(timer_); }
  StopSequence(const StopSequence&) = delete;
  StopSequence& operator=(const StopSequence&) = delete;

 private:
  void Terminate() {
    kill(process_, SIGTERM);
    // A stopped process would not see it.
    kill(process_, SIGCONT);
    timer_ = loop_.After(timeout_, [this] {
      timer_ = 0;
      kill(process_, SIGKILL);
    });
  }

  EventLoop& loop_;
  const pid_t process_;
  const absl::Duration timeout_;
  EventLoop::TimerId timer_ = 0;
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_STOP_SEQUENCE_H_
