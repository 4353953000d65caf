#ifndef KEYFERRY_INJECTOR_LAUNCH_AGENT_SOURCE_H_
#define KEYFERRY_INJECTOR_LAUNCH_AGENT_SOURCE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "injector/agent/protocol.h"
#include "injector/launch/agent_link.h"
#include "injector/source/resolved_environment.h"
#include "injector/supervise/descriptor.h"

namespace keyferry::injector::launch {

// Follows the environment that the pod's agent has for this container, on a thread of its own, until it is destroyed.
// An agent that goes away is waited for without end; the command goes on meanwhile.
class AgentSource : public ReportSink {
 public:
  // Takes over the connection that brought the first environment. `listener` outlives this.
  AgentSource(std::string path, AgentLink link, int64_t first_revision, EnvironmentListener& listener);
  // The listener is not called any more once this returns.
  ~AgentSource() override;
  AgentSource(const AgentSource&) = delete;
  AgentSource& operator=(const AgentSource&) = delete;

  void Running(int64_t revision, int64_t pid) override ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  static constexpr int kFirstWaitMs = 100;

  void Run();
  // Until the connection is lost; false if this is to stop.
  bool Follow();
  bool Reconnect();
  void Take(AgentLink::Message message);
  void TakeNotice(const agent::Notice& notice);
  void TakeEnvironment(agent::EnvironmentMessage message);
  void ConfirmRunning() ABSL_LOCKS_EXCLUDED(mutex_);
  // Until the connection is readable, something is to be confirmed, or the time is over.
  void Wait(int milliseconds);
  void Wake();
  agent::Confirm running() ABSL_LOCKS_EXCLUDED(mutex_);
  bool stopping() ABSL_LOCKS_EXCLUDED(mutex_);

  const std::string path_;
  EnvironmentListener& listener_;
  const Descriptor event_;
  // Those that follow belong to the thread.
  std::optional<AgentLink> link_;
  int64_t newest_revision_;
  agent::Confirm confirmed_;
  int wait_ms_ = kFirstWaitMs;
  bool told_lost_ = false;
  std::string told_failure_;
  bool told_stale_ = false;

  absl::Mutex mutex_;
  agent::Confirm running_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

// How this program introduces itself.
agent::Hello LauncherHello(agent::LaunchMode mode);

}  // namespace keyferry::injector::launch

#endif  // KEYFERRY_INJECTOR_LAUNCH_AGENT_SOURCE_H_
