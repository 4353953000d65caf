#ifndef KEYFERRY_INJECTOR_SOURCE_RESOLVED_ENVIRONMENT_H_
#define KEYFERRY_INJECTOR_SOURCE_RESOLVED_ENVIRONMENT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "client/secret_text.h"
#include "injector/exec/exit_code.h"

namespace keyferry::injector {

// One variable that the server resolved.
struct ResolvedValue {
  std::string name;
  client::SecretText value;
  // The server says that the organization allows this name although it changes how a process starts.
  bool allowed_by_org = false;
  // Resource name of the credential that the value came from and its version; empty and 0 for a static value.
  std::string credential;
  int64_t version = 0;
  // When the value must be resolved again at the latest; InfiniteFuture if it does not expire.
  absl::Time refresh_time = absl::InfiniteFuture();
};

// The variables of one MCP server at one revision of the store. Moved, never copied; each value is wiped by its owner.
struct ResolvedEnvironment {
  std::vector<ResolvedValue> variables;
  int64_t revision = 0;
};

// Whether the newest environment may be given to a process that starts now.
enum class Standing {
  // It is the one that the server would answer with.
  kCurrent,
  // The server cannot be asked, or cannot say: it is what was last known.
  kUnknown,
  // The server refuses it: no right to it, or a required variable has no value any more.
  kRefused,
};

// What comes from the place that environments come from. Every call comes from a thread of that place, one call at a
// time, and must not block.
class EnvironmentListener {
 public:
  virtual ~EnvironmentListener() = default;

  // The environment is now another one. Its revision is never smaller than one before.
  virtual void OnEnvironment(ResolvedEnvironment environment) = 0;

  // Something is wrong, or right again, that leaves running processes as they are: one line for standard error without
  // the program's name, never a value. Rate-limited by the caller.
  virtual void OnProblem(std::string line) = 0;

  // The right to the environment is gone, e.g. a revoked session. Running processes may go on with what they have. Told
  // once; it is asked for again now and then. If the right returns, OnProblem says so, and OnEnvironment follows if the
  // environment is another one by then.
  virtual void OnEnded(Failure failure) = 0;

  // How the newest environment stands, whenever that is another than before; at first it is kCurrent. `why`, unless it
  // is kCurrent, says what a launch would fail with. A refusal stands until the server takes it back: losing the server
  // does not lift it. For those who start further processes later on.
  virtual void OnStanding(Standing standing, Failure why) {}
};

// Is told what runs.
class ReportSink {
 public:
  virtual ~ReportSink() = default;

  // The process that gets new work is `pid` and was started with the environment of `revision`; none that was started
  // with an older one is left but to finish what it had begun. Thread-safe, does not block.
  virtual void Running(int64_t revision, int64_t pid) = 0;
  // All that was started has ended. Something may run again later on. Thread-safe, does not block.
  virtual void NothingRuns() {}
};

}  // namespace keyferry::injector

#endif  // KEYFERRY_INJECTOR_SOURCE_RESOLVED_ENVIRONMENT_H_
