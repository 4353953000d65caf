#ifndef KEYFERRY_INJECTOR_AGENT_PROTOCOL_H_
#define KEYFERRY_INJECTOR_AGENT_PROTOCOL_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "client/secret_text.h"
#include "injector/exec/exit_code.h"
#include "injector/source/resolved_environment.h"

namespace keyferry::injector::agent {

// What an agent and the launchers of its pod say to each other over a Unix stream socket, byte by byte in
// injector/agent/PROTOCOL.md. The launcher speaks first. Both sides end the connection on anything that is not in its
// place; numbers are never given another meaning.
inline constexpr uint16_t kProtocolVersion = 1;

// Bytes after a frame's length. The server's largest environment is 2 MiB of values.
inline constexpr size_t kMaxFrameToAgent = 1024;
inline constexpr size_t kMaxFrameToLauncher = size_t{4} << 20;
// Of a line of text in a message; longer ones are cut.
inline constexpr size_t kMaxLineBytes = 2048;

// File names in a container's directory and in the directory for probes.
inline constexpr char kAgentSocket[] = "agent.sock";
inline constexpr char kControlSocket[] = "control.sock";

enum class MessageType : uint8_t {
  kHello = 1,
  kConfirm = 2,
  kEnvironment = 16,
  kNotice = 17,
  kError = 18,
  kDrain = 19,
  // To a probe.
  kStatus = 32,
};

enum class LaunchMode : uint8_t {
  // Stays as the command's parent, takes changes, and confirms.
  kSupervise = 0,
  // Becomes the command once it has the environment.
  kExec = 1,
  // The same, for a command that is soon over beside the container's own: a probe or a hook. Nobody is told of it.
  kTransient = 2,
};

// The launcher's first message.
struct Hello {
  uint16_t version = kProtocolVersion;
  LaunchMode mode = LaunchMode::kSupervise;
  // Of the environment that its command has already; 0 for a launch. Only for kSupervise.
  int64_t running_revision = 0;
  int64_t pid = 0;
  // Name and version of the program, printable ASCII of at most 64 bytes.
  std::string launcher;
};

// The command now runs with the environment of that revision, as process `pid`: ReportSink::Running.
struct Confirm {
  int64_t revision = 0;
  int64_t pid = 0;
};

// The environment: the answer to Hello, and again to a supervisor after each change.
struct EnvironmentMessage {
  ResolvedEnvironment environment;
  // Since when the agent has not been able to ask whether it is still current; InfiniteFuture if it is.
  absl::Time stale_since = absl::InfiniteFuture();
};

enum class NoticeKind : uint8_t {
  // Something is wrong or right again.
  kProblem = 0,
  // There is no environment yet: the launch waits, and the line says for what.
  kWaiting = 1,
  // What was sent is only last known from now on.
  kStale = 2,
  // What was sent is current again.
  kCurrent = 3,
};

struct Notice {
  NoticeKind kind = NoticeKind::kProblem;
  // One printable line without a value.
  std::string line;
};

// What a probe is answered.
struct AgentStatus {
  bool ready = false;
  // Why it is not ready, or what it serves.
  std::string line;
};

// Each writes one whole frame.
client::SecretText HelloFrame(const Hello& hello);
client::SecretText ConfirmFrame(const Confirm& confirm);
client::SecretText EnvironmentFrame(const ResolvedEnvironment& environment, absl::Time stale_since);
client::SecretText NoticeFrame(const Notice& notice);
// The launch fails with this exit code (SPEC 6) and line. The connection ends.
client::SecretText ErrorFrame(const Failure& failure);
// The agent is about to end: whoever runs goes on, and connects to the next agent.
client::SecretText DrainFrame();
client::SecretText StatusFrame(const AgentStatus& status);

// Each reads what follows the type. False if it is not exactly such a message; the result is then unspecified, and
// values in it are wiped by their destructors.
bool ReadHello(absl::string_view payload, Hello& hello);
bool ReadConfirm(absl::string_view payload, Confirm& confirm);
bool ReadEnvironment(absl::string_view payload, EnvironmentMessage& message);
bool ReadNotice(absl::string_view payload, Notice& notice);
bool ReadError(absl::string_view payload, Failure& failure);
bool ReadStatus(absl::string_view payload, AgentStatus& status);

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_PROTOCOL_H_
