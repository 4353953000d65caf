#ifndef KEYFERRY_INJECTOR_LAUNCH_AGENT_LINK_H_
#define KEYFERRY_INJECTOR_LAUNCH_AGENT_LINK_H_

#include <functional>
#include <optional>
#include <string>
#include <variant>

#include "absl/time/time.h"
#include "injector/agent/frame_reader.h"
#include "injector/agent/protocol.h"
#include "injector/exec/exit_code.h"
#include "injector/supervise/descriptor.h"

namespace keyferry::injector::launch {

// One connection to the agent. Not thread-safe.
class AgentLink {
 public:
  struct Drain {};
  // The connection ended, or is of no use any more.
  struct Lost {};
  using Message = std::variant<agent::EnvironmentMessage, agent::Notice, Failure, Drain, Lost>;

  // Connects and says hello. Null with `error` set to an errno if that is not possible now.
  static std::optional<AgentLink> Connect(const std::string& path, const agent::Hello& hello, int& error);

  AgentLink(AgentLink&&) = default;
  AgentLink& operator=(AgentLink&&) = default;

  // The next message that has come, none if that needs more bytes. Does not wait.
  std::optional<Message> Next();
  // False if the connection is lost. The agent reads, so that a message as small as that never waits.
  bool Confirm(const agent::Confirm& confirm);

  // Readable when Next may have something.
  int descriptor() const { return socket_.get(); }

 private:
  static constexpr size_t kBufferBytes = 16 * 1024;

  explicit AgentLink(Descriptor socket)
      : socket_(std::move(socket)), buffer_(kBufferBytes), reader_(agent::kMaxFrameToLauncher) {}
  Message Decode() const;

  Descriptor socket_;
  client::SecretText buffer_;
  // Of buffer_, not taken yet.
  size_t begin_ = 0;
  size_t end_ = 0;
  agent::FrameReader reader_;
};

// Waits for the first environment: for the agent's socket, if it is not there yet, and for what the agent waits for.
// Answers why there is none, with the exit code of SPEC 6, unless `environment` and `link` are set.
std::optional<Failure> FirstEnvironment(const std::string& path, const agent::Hello& hello, absl::Duration timeout,
                                        std::optional<AgentLink>& link, agent::EnvironmentMessage& environment);

}  // namespace keyferry::injector::launch

#endif  // KEYFERRY_INJECTOR_LAUNCH_AGENT_LINK_H_
