#include "injector/supervise/supervisor.h"

#include <errno.h>
#include <malloc.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <cstdint>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "injector/exec/launch_failure.h"
#include "injector/supervise/child.h"
#include "injector/supervise/error_log.h"
#include "injector/supervise/event_loop.h"
#include "injector/supervise/mcp_host.h"
#include "injector/supervise/plain_host.h"
#include "injector/supervise/signals.h"
#include "injector/supervise/standard_streams.h"

namespace keyferry::injector {
namespace {

// Larger blocks, as a message of many megabytes needs them, are given back to the system when they are freed. Unless it
// is told a size, glibc keeps such memory for the next time.
constexpr int kOwnMapping = 256 * 1024;

OnRotate PolicyOf(const SuperviseOptions& options) {
  if (options.on_rotate != OnRotate::kByStreams) return options.on_rotate;
  return StreamsLookLikeMcp() ? OnRotate::kMcp : OnRotate::kRestart;
}

class Supervisor {
 public:
  Supervisor(EventLoop& loop, const SupervisedCommand& command, const SuperviseOptions& options,
             const InheritedState& state, Mailbox& mailbox, ReportSink& report)
      : loop_(loop),
        command_(command),
        error_output_(loop, SharedEndpoint::ForWriting(STDERR_FILENO)),
        log_(error_output_, command.program),
        options_(options),
        mailbox_(mailbox) {
    const HostContext context = {loop, options, command.command, state, error_output_, log_, report};
    const OnRotate policy = PolicyOf(options);
    if (policy == OnRotate::kMcp) {
      host_ = std::make_unique<McpHost>(context);
    } else {
      host_ = std::make_unique<PlainHost>(context, policy);
    }
  }

  Failure Run(std::shared_ptr<Generation> first) {
    mallopt(M_MMAP_THRESHOLD, kOwnMapping);
    AdoptOrphans();
    signal(SIGPIPE, SIG_IGN);
    // Where it is ignored, as some daemons pass it on, the kernel tells nobody that a child has ended.
    signal(SIGCHLD, SIG_DFL);
    WarnOfShortValues(*first);
    const int error = host_->Start(std::move(first));
    if (error != 0) return LaunchFailure(command_.command[0], error);
    loop_.Watch(signals_.descriptor(), EPOLLIN, [this](uint32_t) { TakeSignals(); });
    loop_.Watch(mailbox_.descriptor(), EPOLLIN, [this](uint32_t) { TakeMail(); });
    while (!host_->exit_code().has_value()) loop_.RunOnce();
    if (!flushed_) error_output_.Finish([this] { flushed_ = true; });
    while (!flushed_) loop_.RunOnce();
    CollectChildren([](pid_t, int) {});
    return {*host_->exit_code(), ""};
  }

 private:
  void TakeSignals() {
    while (const auto signal = signals_.Next()) {
      if (signal->ssi_signo == SIGCHLD) {
        CollectChildren([this](pid_t process, int status) { host_->ChildChanged(process, status); });
      } else if (signal->ssi_signo == SIGPIPE && signal->ssi_pid == static_cast<uint32_t>(getpid())) {
        // From a write of this process's own; it waits here although it is ignored, because it is blocked.
        continue;
      } else {
        host_->Forward(*signal);
        // After the command's end only standard error keeps this process.
        flushed_ |= host_->exit_code().has_value() && AsksToEnd(static_cast<int>(signal->ssi_signo));
      }
    }
  }

  void TakeMail() {
    Mailbox::Content content = mailbox_.Take();
    for (const std::string& line : content.lines) log_.Line(line);
    if (!content.environment.has_value()) return;
    absl::StatusOr<std::shared_ptr<Generation>> generation =
        Generation::Make(*std::move(content.environment), command_.inherited, command_.rules);
    if (!generation.ok()) {
      log_.Line(absl::StrCat(generation.status().message(), "; the command keeps the environment that it has"));
      return;
    }
    WarnOfShortValues(**generation);
    host_->Changed(*std::move(generation));
  }

  void WarnOfShortValues(const Generation& generation) {
    if (!options_.redact) return;
    std::vector<std::string> names;
    for (const std::string& name : UnredactedNames(generation)) {
      if (warned_.insert(name).second) names.push_back(name);
    }
    if (names.empty()) return;
    log_.Line(absl::StrCat("values shorter than 8 bytes are not taken out of what the command prints: ",
                           absl::StrJoin(names, ", ")));
  }

  EventLoop& loop_;
  const SupervisedCommand& command_;
  OutputStream error_output_;
  ErrorLog log_;
  const SuperviseOptions& options_;
  Mailbox& mailbox_;
  SignalSource signals_;
  bool flushed_ = false;
  std::set<std::string> warned_;
  std::unique_ptr<Host> host_;
};

}  // namespace

Failure RunSupervised(const SupervisedCommand& command, const SuperviseOptions& options, const InheritedState& state,
                      ResolvedEnvironment first, Mailbox& mailbox, ReportSink& report) {
  absl::StatusOr<std::shared_ptr<Generation>> generation =
      Generation::Make(std::move(first), command.inherited, command.rules);
  if (!generation.ok()) return {kConfiguration, std::string(generation.status().message())};
  const std::unique_ptr<EventLoop> loop = EventLoop::Create();
  if (loop == nullptr) return {kCannotRun, absl::StrCat("no descriptors are left: ", strerror(errno))};
  return Supervisor(*loop, command, options, state, mailbox, report).Run(*std::move(generation));
}

}  // namespace keyferry::injector
