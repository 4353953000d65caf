#ifndef KEYFERRY_INJECTOR_AGENT_CONTROL_SOCKET_H_
#define KEYFERRY_INJECTOR_AGENT_CONTROL_SOCKET_H_

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "injector/agent/protocol.h"
#include "injector/exec/exit_code.h"
#include "injector/supervise/descriptor.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::injector::agent {

// Answers each process of the agent's own user, or root, that connects with the agent's status, and closes. For the
// loop's thread.
class ControlSocket {
 public:
  // Takes over a listening, non-blocking socket.
  ControlSocket(EventLoop& loop, Descriptor listener, std::function<AgentStatus()> status);
  ~ControlSocket();
  ControlSocket(const ControlSocket&) = delete;
  ControlSocket& operator=(const ControlSocket&) = delete;

 private:
  void Accept();

  EventLoop& loop_;
  const Descriptor listener_;
  const std::function<AgentStatus()> status_;
  EventLoop::WatchId watch_ = 0;
};

enum class Probe {
  // It answers.
  kLive,
  // It answers that a launch in any container would be answered at once.
  kReady,
};

// Asks the agent whose control socket is in `directory`. Exit code 0 and what it says, or kUnavailable and why not.
Failure AskAgent(const std::string& directory, Probe probe, absl::Duration timeout);

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_CONTROL_SOCKET_H_
