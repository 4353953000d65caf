#ifndef KEYFERRY_INJECTOR_SUPERVISE_CHILD_H_
#define KEYFERRY_INJECTOR_SUPERVISE_CHILD_H_

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "injector/exec/environment.h"
#include "injector/exec/process.h"

namespace keyferry::injector {

// Descriptors that become a child's standard input, output and error. The caller keeps them.
struct ChildStreams {
  int in = 0;
  int out = 1;
  int err = 2;
};

struct SpawnResult {
  // -1 if nothing runs; `error` is then the errno of the fork or the exec.
  pid_t pid = -1;
  int error = 0;
};

// Starts `command` with a copy of `environment` and returns once it has been executed or could not be. It stays in this
// process's session, process group and working directory, has what `state` captured, no descriptor but the three, and
// is killed when the calling thread ends. With a `terminal` it gets a process group of its own, in the foreground
// there.
SpawnResult Spawn(const std::vector<std::string>& command, Environment& environment, const InheritedState& state,
                  const ChildStreams& streams, int terminal = -1);

// Puts descriptors onto 0, 1 and 2, whatever numbers they have. For a forked child before its exec.
void TakeStreams(ChildStreams streams);

// Makes the calling process be killed when the thread that forked it ends. `parent` is that thread's process; exits at
// once if it is gone already.
void DieWith(pid_t parent);

// Makes descendants whose parent has ended children of this process, so that it can reap them.
void AdoptOrphans();

// Calls `changed` with each child that has ended, stopped or continued since, and its waitpid(2) status. Reaps ended
// children, adopted ones too.
void CollectChildren(const std::function<void(pid_t, int)>& changed);

// The exit code that stands for a waitpid(2) status of an ended process: its own, or 128 + the signal's number.
int ExitCodeOfStatus(int status);

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SUPERVISE_CHILD_H_
