#include "injector/launch/run.h"

#include <stdio.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "injector/agent/protocol.h"
#include "injector/exec/launch_failure.h"
#include "injector/launch/agent_link.h"
#include "injector/launch/agent_source.h"
#include "injector/supervise/generation.h"
#include "injector/supervise/mailbox.h"
#include "injector/supervise/signals.h"
#include "injector/supervise/supervisor.h"

namespace keyferry::injector::launch {
namespace {

Failure Become(const LaunchOptions& options, const InheritedState& state, ResolvedEnvironment resolved) {
  absl::StatusOr<std::shared_ptr<Generation>> generation =
      Generation::Make(std::move(resolved), environ, options.inherit);
  if (!generation.ok()) return {kConfiguration, Printable(std::string(generation.status().message()))};
  Environment environment = std::move((*generation)->environment);
  generation->reset();
  return LaunchFailure(options.command[0], ReplaceProcess(options.command, std::move(environment), state));
}

}  // namespace

Failure RunLaunch(const LaunchOptions& options, const InheritedState& state) {
  agent::LaunchMode mode = agent::LaunchMode::kSupervise;
  if (options.exec) mode = options.transient ? agent::LaunchMode::kTransient : agent::LaunchMode::kExec;
  std::optional<AgentLink> link;
  agent::EnvironmentMessage first;
  std::optional<Failure> failure =
      FirstEnvironment(options.socket, LauncherHello(mode), options.startup_timeout, link, first);
  if (failure.has_value()) return *std::move(failure);
  if (first.stale_since != absl::InfiniteFuture()) {
    fprintf(stderr, "keyferry-launch: the server cannot be reached; the values are the last that the agent knew\n");
  }
  if (options.exec) return Become(options, state, std::move(first.environment));
  BlockAllSignals();
  Mailbox mailbox;
  AgentSource source(options.socket, *std::move(link), first.environment.revision, mailbox);
  SupervisedCommand command = {options.command, environ, options.inherit};
  command.program = "keyferry-launch";
  return RunSupervised(command, options.supervise, state, std::move(first.environment), mailbox, source);
}

}  // namespace keyferry::injector::launch
