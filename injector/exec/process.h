#ifndef KEYFERRY_INJECTOR_EXEC_PROCESS_H_
#define KEYFERRY_INJECTOR_EXEC_PROCESS_H_

#include <signal.h>
#include <sys/resource.h>

#include <array>
#include <string>
#include <vector>

#include "injector/exec/environment.h"

namespace keyferry::injector {

// What a process passes on to the program that it executes besides its environment: signal mask, ignored signals and
// the core file limit. Libraries change some of it (gRPC ignores SIGPIPE), and so does HardenProcess.
class InheritedState {
 public:
  // Call first thing in main, before any thread is started.
  static InheritedState Capture();

  // Puts back what Capture found, for the calling thread where it is per thread.
  void Restore() const;

  const sigset_t& mask() const { return mask_; }

 private:
  InheritedState() = default;

  sigset_t mask_ = {};
  std::array<struct sigaction, 65> actions_ = {};
  struct rlimit core_limit_ = {};
};

// Switches core dumps and ptrace by other processes of the user off for this process (prctl PR_SET_DUMPABLE 0, soft
// RLIMIT_CORE 0). An executed program starts out dumpable again, and with the limit that InheritedState puts back.
void HardenProcess();

// Replaces this process by `command`, looked up as env(1) does in the PATH of `environment`. Every descriptor but
// standard input, output and error is closed in the new program. Returns only on failure, with the errno; `environment`
// is wiped.
int ReplaceProcess(const std::vector<std::string>& command, Environment environment, const InheritedState& state);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_EXEC_PROCESS_H_
