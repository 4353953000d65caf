#ifndef KEYFERRY_INJECTOR_AGENT_CONTAINER_SOCKET_H_
#define KEYFERRY_INJECTOR_AGENT_CONTAINER_SOCKET_H_

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "absl/time/time.h"
#include "injector/agent/feed.h"
#include "injector/agent/launcher_connection.h"
#include "injector/agent/message_budget.h"
#include "injector/source/problem_lines.h"
#include "injector/supervise/descriptor.h"
#include "injector/supervise/event_loop.h"

namespace keyferry::injector::agent {

// The socket of one container: whoever can connect to it is answered with what belongs to that container, and nothing
// else. For the loop's thread.
class ContainerSocket {
 public:
  struct Options {
    // Names the container in lines.
    std::string name;
    // Others are refused (SO_PEERCRED); any if absent.
    std::optional<uid_t> uid;
    // Further ones are closed at once.
    size_t most_connections = 16;
    // Of all its launchers within limits.window: frames, above which whoever sends one is dropped, and connections,
    // above which new ones wait.
    int frames = 1000;
    int connections = 200;
    LauncherConnection::Limits limits;
  };
  // `log` gets lines about launchers that misbehave. `changed` is called when serving() may have changed.
  struct Callbacks {
    std::function<void(const std::string&)> log;
    std::function<void()> changed;
  };

  // Takes over a listening, non-blocking socket. `feed` outlives this.
  ContainerSocket(EventLoop& loop, Descriptor listener, Feed& feed, Options options, Callbacks callbacks);
  ~ContainerSocket();
  ContainerSocket(const ContainerSocket&) = delete;
  ContainerSocket& operator=(const ContainerSocket&) = delete;

  // Connections with a command that runs.
  size_t serving() const;
  void Drain();

 private:
  void Accept();
  // Others wait in the socket's queue.
  void PauseAccepting(absl::Duration pause);
  bool Admits(int socket);
  void Ended(uint64_t id, const std::string& why);
  void Log(const std::string& line);

  EventLoop& loop_;
  const Descriptor listener_;
  Feed& feed_;
  const Options options_;
  const Callbacks callbacks_;
  EventLoop::WatchId watch_ = 0;
  EventLoop::TimerId again_ = 0;
  uint64_t next_ = 1;
  MessageBudget frames_;
  MessageBudget accepts_;
  // So that one container cannot crowd out what is to be said of the others.
  ProblemLines lines_;
  std::map<uint64_t, std::unique_ptr<LauncherConnection>> connections_;
};

}  // namespace keyferry::injector::agent

#endif  // KEYFERRY_INJECTOR_AGENT_CONTAINER_SOCKET_H_
