#include "injector/supervise_command.h"

#include <stdlib.h>
#include <unistd.h>

#include <memory>
#include <thread>
#include <utility>

#include "absl/status/statusor.h"
#include "injector/exec/failure.h"
#include "injector/exec/process_description.h"
#include "injector/source/environment_source.h"
#include "injector/source/server_access.h"
#include "injector/supervise/mailbox.h"
#include "injector/supervise/signals.h"
#include "injector/supervise/supervisor.h"

namespace keyferry::injector {

Failure RunSupervise(const ExecOptions& options, const InheritedState& state) {
  absl::StatusOr<ServerAccess> access = ServerAccess::Load(options, ::getenv);
  if (!access.ok()) return UsageFailure(access.status());
  BlockAllSignals();
  EnvironmentSource::Options source_options;
  source_options.startup_timeout = options.startup_timeout;
  ResolvedEnvironment first;
  Failure failure;
  std::unique_ptr<EnvironmentSource> source;
  // In a thread of its own, since gRPC's threads take over the signal mask of the one that makes them, while this one
  // still ends when it is interrupted.
  std::thread opening([&] {
    source = EnvironmentSource::Open(*std::move(access), DescribeProcess(::getenv, kWatchedLease), source_options,
                                     &first, &failure);
  });
  {
    const SignalsUnblocked interruptible(state.mask());
    opening.join();
  }
  if (source == nullptr) return failure;
  Mailbox mailbox;
  source->Start(&mailbox);
  const SupervisedCommand command = {options.command, environ, options.inherit};
  Failure result = RunSupervised(command, *options.supervise, state, std::move(first), mailbox, *source);
  source->NothingRuns();
  source.reset();
  return result;
}

}  // namespace keyferry::injector
