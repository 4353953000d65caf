#ifndef KEYFERRY_INJECTOR_AGENT_AGENT_H_
#define KEYFERRY_INJECTOR_AGENT_AGENT_H_

#include <sys/types.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "injector/agent/container_socket.h"
#include "injector/agent/control_socket.h"
#include "injector/agent/feed.h"
#include "injector/agent/socket_directory.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::injector::agent {

// Serves the containers of one pod from feeds. Knows nothing of where feeds get their environments. For the loop's
// thread.
class Agent {
 public:
  struct Container {
    std::string name;
    std::string directory;
    std::optional<uid_t> uid;
    // Outlives the agent.
    Feed* feed = nullptr;
  };

  Agent(EventLoop& loop, std::function<void(const std::string&)> log);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Begins to serve a container, and to answer probes. The errors of SocketDirectory, and INVALID_ARGUMENT if two share
  // a directory: each is its container's alone.
  absl::Status Serve(const Container& container);
  absl::Status Control(const std::string& directory);

  // Whether a launch in any container would be answered at once.
  AgentStatus Status() const;

  // Tells launchers, and ends as soon as none serves a command any more, or after `grace`. Again: at once.
  void Drain(absl::Duration grace);
  bool ended() const { return ended_; }

 private:
  struct Served {
    std::string name;
    SocketDirectory directory;
    Feed* feed;
    std::unique_ptr<ContainerSocket> socket;
  };
  absl::Status CheckUnshared(const SocketDirectory& directory) const;
  size_t serving() const;
  void EndIfIdle();

  EventLoop& loop_;
  const std::function<void(const std::string&)> log_;
  std::vector<std::unique_ptr<Served>> served_;
  std::optional<SocketDirectory> control_directory_;
  std::unique_ptr<ControlSocket> control_;
  EventLoop::TimerId grace_ = 0;
  bool draining_ = false;
  bool ended_ = false;
};

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_AGENT_H_
