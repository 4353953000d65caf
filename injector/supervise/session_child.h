#ifndef KEYFERRY_INJECTOR_SUPERVISE_SESSION_CHILD_H_
#define KEYFERRY_INJECTOR_SUPERVISE_SESSION_CHILD_H_

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "injector/supervise/child.h"
#include "injector/supervise/descriptor.h"

namespace keyferry::injector {

// A command in a session of its own, whose controlling terminal is `terminal`, in that terminal's foreground group. Its
// parent is a process that leads the session: were it this one, which is of another session, the kernel would not let
// the terminal's suspend key stop the command (POSIX.1-2017, 2.4.3, orphaned process groups).
struct SessionChild {
  SpawnResult spawned;
  // The waitpid(2) statuses of the command, as it stops, continues and ends: see ReadStatus. End of file if the
  // session's leader was killed, and the command with it.
  Descriptor statuses;
};

SessionChild SpawnInSession(const std::vector<std::string>& command, Environment& environment,
                            const InheritedState& state, const ChildStreams& streams, int terminal);

// The next status; nullopt at the end of file. Waits for one.
std::optional<int> ReadStatus(const Descriptor& statuses);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_SESSION_CHILD_H_
