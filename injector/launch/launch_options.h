#ifndef KEYFERRY_INJECTOR_LAUNCH_LAUNCH_OPTIONS_H_
#define KEYFERRY_INJECTOR_LAUNCH_LAUNCH_OPTIONS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "injector/exec/environment.h"
#include "injector/supervise/supervise_options.h"

namespace keyferry::injector::launch {

// The command line of `keyferry-launch`.
struct LaunchOptions {
  // The agent's socket, from --socket or KEYFERRY_AGENT_SOCKET.
  std::string socket;
  InheritRules inherit;
  // 1 s to 1 h.
  absl::Duration startup_timeout = absl::Seconds(30);
  // Replaces itself by the command instead of supervising it.
  bool exec = false;
  // With `exec`: a probe or a hook, which does not stand for what the container runs.
  bool transient = false;
  SuperviseOptions supervise;
  // Program and arguments, at least one.
  std::vector<std::string> command;
  // Installs itself there and does nothing else; empty otherwise.
  std::string copy_to;
  // Asked for; nothing else is set then.
  bool help = false;
  bool version = false;
};

// Parses the arguments after the program's name; `variable` is the value of KEYFERRY_AGENT_SOCKET or null.
// INVALID_ARGUMENT says what is wrong and how it is meant.
absl::StatusOr<LaunchOptions> ParseLaunchOptions(const std::vector<std::string>& arguments, const char* variable);

// The text of `keyferry-launch --help`.
const char* LaunchHelp();

}  // namespace keyferry::injector::launch

#endif  // KEYFERRY_INJECTOR_LAUNCH_LAUNCH_OPTIONS_H_
