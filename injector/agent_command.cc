#include "injector/agent_command.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <map>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "injector/agent/agent.h"
#include "injector/agent/feed.h"
#include "injector/agent/feed_source.h"
#include "injector/agent/inbox.h"
#include "injector/exec/failure.h"
#include "injector/source/server_access.h"
#include "injector/supervise/error_log.h"
#include "injector/supervise/event_loop.h"
#include "injector/supervise/output_stream.h"
#include "injector/supervise/signals.h"

namespace keyferry::injector {
namespace {

using agent::AgentOptions;
using agent::ContainerOptions;
using agent::Feed;
using agent::FeedSource;

constexpr absl::Duration kProbeTimeout = absl::Seconds(3);

bool MayLockAllMemory() {
  struct rlimit limit = {};
  if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY) return true;
  struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  if (syscall(SYS_capget, &header, data) != 0) return false;
  return (data[0].effective & (1U << CAP_IPC_LOCK)) != 0;
}

// Values are not to reach a swap device. Only pages that are used are locked, and only where there is no limit: within
// one, memory that is asked for later would be refused.
void LockMemory() {
  if (MayLockAllMemory()) mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

// What a feed is asked for: two containers with the same share it.
using FeedKey = std::tuple<std::vector<std::string>, std::string, std::string, bool>;

class RunningAgent {
 public:
  RunningAgent(EventLoop& loop, const AgentOptions& options)
      : options_(options),
        error_output_(loop, SharedEndpoint::ForWriting(STDERR_FILENO)),
        log_(error_output_, "keyferry-injector agent"),
        loop_(loop),
        inbox_(loop),
        agent_(loop, [this](const std::string& line) { log_.Line(line); }) {}

  Failure Start() {
    if (!options_.control_directory.empty()) {
      if (absl::Status status = agent_.Control(options_.control_directory); !status.ok()) return FailureFor(status);
    }
    std::vector<std::pair<Feed*, ServerAccess>> sources;
    for (const ContainerOptions& container : options_.containers) {
      absl::StatusOr<ServerAccess> access = AccessOf(container);
      if (!access.ok()) return UsageFailure(access.status());
      const FeedKey key = {access->mcp_servers(), container.team, container.session_file, container.allow_partial};
      std::unique_ptr<Feed>& feed = feeds_[key];
      if (feed == nullptr) {
        feed = std::make_unique<Feed>(access->mcp_servers().front(), Feed::Options{options_.max_stale, absl::Now});
        sources.emplace_back(feed.get(), *std::move(access));
      }
      const absl::Status served = agent_.Serve({container.name, container.directory, container.uid, feed.get()});
      if (!served.ok()) return FailureFor(served);
    }
    // Threads begin when all sockets are there: making them changes the process's umask.
    for (auto& [feed, access] : sources) {
      sources_.push_back(std::make_unique<FeedSource>(std::move(access), inbox_, *feed,
                                                      [this](const std::string& line) { log_.Line(line); }));
    }
    return {0, ""};
  }

  void Run() {
    loop_.Watch(signals_.descriptor(), EPOLLIN, [this](uint32_t) { TakeSignals(); });
    while (!agent_.ended()) loop_.RunOnce();
    // Each may have a last word to say to the server, which they wait for side by side.
    for (const auto& source : sources_) source->BeginStopping();
    sources_.clear();
  }

 private:
  static Failure FailureFor(const absl::Status& status) {
    Failure failure = UsageFailure(status);
    if (absl::IsUnavailable(status)) failure.exit_code = kUnavailable;
    return failure;
  }

  absl::StatusOr<ServerAccess> AccessOf(const ContainerOptions& container) const {
    ExecOptions exec;
    exec.mcp_server = container.mcp_server;
    exec.team = container.team;
    exec.session_file = container.session_file;
    exec.allow_partial = container.allow_partial;
    exec.connection = options_.connection;
    return ServerAccess::Load(exec, ::getenv);
  }

  void TakeSignals() {
    while (const auto signal = signals_.Next()) {
      const int number = static_cast<int>(signal->ssi_signo);
      if (number == SIGTERM || number == SIGINT) agent_.Drain(options_.drain_timeout);
    }
  }

  const AgentOptions& options_;
  OutputStream error_output_;
  ErrorLog log_;
  EventLoop& loop_;
  SignalSource signals_;
  agent::Inbox inbox_;
  std::map<FeedKey, std::unique_ptr<Feed>> feeds_;
  agent::Agent agent_;
  std::vector<std::unique_ptr<FeedSource>> sources_;
};

}  // namespace

Failure RunAgent(const AgentOptions& options, const InheritedState& state) {
  if (options.check_live || options.check_ready) {
    return agent::AskAgent(options.control_directory, options.check_ready ? agent::Probe::kReady : agent::Probe::kLive,
                           kProbeTimeout);
  }
  LockMemory();
  BlockAllSignals();
  signal(SIGPIPE, SIG_IGN);
  const std::unique_ptr<EventLoop> loop = EventLoop::Create();
  if (loop == nullptr) return {kUnavailable, absl::StrCat("no descriptors are left: ", strerror(errno))};
  RunningAgent running(*loop, options);
  Failure failure = running.Start();
  if (failure.exit_code == 0) running.Run();
  return failure;
}

}  // namespace keyferry::injector
