#include "injector/supervise/mcp_host.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "injector/supervise/child.h"
#include "injector/supervise/signals.h"
#include "injector/supervise/standard_streams.h"

namespace keyferry::injector {
namespace {

// What waits in the router for a process; beyond it the client has to wait too.
constexpr size_t kMostHeld = 16 * 1024 * 1024;
constexpr absl::Duration kEndPatience = absl::Milliseconds(100);

}  // namespace

McpHost::McpHost(const HostContext& context)
    : context_(context),
      client_output_(context.loop, SharedEndpoint::ForWriting(STDOUT_FILENO)),
      client_framer_(mcp::RouterOptions().max_message_bytes),
      router_(mcp::RouterOptions(), *this),
      schedule_(context.loop, context.options.debounce, context.options.splay, [this] { Rotate(); }),
      self_(std::make_shared<McpHost*>(this)) {
  client_output_.OnBroken([this] {
    for (auto& [id, process] : processes_) process->CloseOutput();
  });
}

McpHost::~McpHost() {
  context_.loop.Cancel(retry_);
  for (const auto& [process, timer] : timers_) context_.loop.Cancel(timer);
}

int McpHost::Start(std::shared_ptr<Generation> first) {
  newest_ = first;
  good_ = first;
  const int error = Launch(std::move(first));
  if (error != 0) return error;
  current_ = last_id_;
  router_.StartFirst(current_);
  context_.report.Running(good_->revision, Find(current_)->pid());
  client_input_ = std::make_unique<InputStream>(
      context_.loop, SharedEndpoint::ForReading(STDIN_FILENO),
      [this](absl::string_view data) {
        client_framer_.Write(data, *this);
        HoldBackOrGoOn();
      },
      [this] { ClientEnded(); });
  return 0;
}

// Starts a process under the next id. 0, or the errno.
int McpHost::Launch(std::shared_ptr<Generation> generation) {
  RenewPatterns(generation);
  int error = 0;
  std::unique_ptr<McpProcess> process = McpProcess::Start(context_, *this, last_id_ + 1, std::move(generation),
                                                          patterns_, mcp::RouterOptions().max_message_bytes, error);
  if (process == nullptr) return error;
  if (client_output_.broken()) process->CloseOutput();
  if (output_paused_) process->PauseOutput();
  processes_.emplace(++last_id_, std::move(process));
  return 0;
}

void McpHost::RenewPatterns(const std::shared_ptr<Generation>& coming) {
  if (!context_.options.redact) return;
  std::vector<std::shared_ptr<Generation>> generations = {coming};
  if (previous_ != nullptr) generations.push_back(previous_);
  for (const auto& [id, process] : processes_) generations.push_back(process->generation());
  patterns_ = PatternsOf(generations);
  for (const auto& [id, process] : processes_) process->SetPatterns(patterns_);
}

void McpHost::ToClient(absl::string_view line) {
  if (speaking_ != nullptr && speaking_->gathered_line().text().data() == line.data()) {
    // Passed on as it came, and perhaps many megabytes.
    client_output_.Write(speaking_->gathered_line());
  } else {
    client_output_.Write(line);
  }
  HoldBackOrGoOn();
}

void McpHost::ToServer(mcp::ProcessId process, absl::string_view line) {
  if (McpProcess* const one = Find(process)) one->Send(line);
}

void McpHost::CloseInput(mcp::ProcessId process) {
  CancelTimer(process);
  McpProcess* const one = Find(process);
  if (one == nullptr) return;
  one->CloseInput();
  // A server whose client has gone takes the time that it takes, as if there were no injector.
  if (!client_closed_ || process != current_) one->Stop(context_.options.stop_timeout);
}

void McpHost::OnLine(absl::string_view line) { router_.FromClient(line); }

void McpHost::OnOversizedLine() { router_.OversizedFromClient(); }

void McpHost::ClientEnded() {
  client_framer_.Finish(*this);
  client_closed_ = true;
  schedule_.Cancel();
  context_.loop.Cancel(retry_);
  router_.ClientClosed();
  Soon([this] {
    client_input_.reset();
    CloseStandardInput();
  });
}

void McpHost::ServerLine(McpProcess& process, absl::string_view line) {
  speaking_ = &process;
  router_.FromServer(process.id(), line);
  speaking_ = nullptr;
}

void McpHost::ServerOversizedLine(McpProcess& process) { router_.OversizedFromServer(process.id()); }

// A server that closes its output while it lives shows the client the end of the stream. One that ends does so too, a
// moment before its end is known, and may have a successor.
void McpHost::ServerOutputEnded(McpProcess& process) {
  context_.loop.After(kEndPatience, [self = std::weak_ptr<McpHost*>(self_), this, id = process.id()] {
    if (self.lock() == nullptr) return;
    const McpProcess* const one = Find(id);
    if (one == nullptr || one->exited() || id != current_ || replacement_ != 0 || ending_ != 0) return;
    client_output_.WhenEmpty([this] {
      client_output_.Close();
      CloseStandardOutput();
    });
  });
}

void McpHost::ServerInputHasRoom(McpProcess&) { HoldBackOrGoOn(); }

// The client waits while a process or the router has too much of its messages, and processes wait while the client
// does not read.
void McpHost::HoldBackOrGoOn() {
  if (client_input_ != nullptr) {
    bool full = router_.held_bytes() > kMostHeld;
    // Neither a replaced process that does not read nor one that is not ready yet may keep the client from the one that
    // its messages go to.
    const McpProcess* const current = Find(current_);
    full |= current != nullptr && current->input_full();
    if (full) {
      client_input_->Pause();
    } else {
      client_input_->Resume();
    }
  }
  if (!client_output_.full() || output_paused_) return;
  output_paused_ = true;
  for (const auto& [id, process] : processes_) process->PauseOutput();
  client_output_.WhenRoom([this] {
    output_paused_ = false;
    for (const auto& [id, process] : processes_) process->ResumeOutput();
  });
}

void McpHost::ChildChanged(pid_t pid, int status) {
  for (const auto& [id, process] : processes_) {
    if (process->pid() != pid || process->exited()) continue;
    // One that was stopped makes the client wait; stopping here as well would leave nobody to see it go on.
    if (!WIFSTOPPED(status) && !WIFCONTINUED(status)) process->Exited(status);
    return;
  }
}

void McpHost::Forward(const struct signalfd_siginfo& signal) {
  // Whoever ends the server does not want another.
  const int number = static_cast<int>(signal.ssi_signo);
  if (number == SIGTERM || (ending_ != 0 && AsksToEnd(number))) leaving_ = true;
  if (CameFromTerminal(signal)) return;
  bool alive = false;
  for (const auto& [id, process] : processes_) {
    if (process->exited()) continue;
    alive = true;
    ForwardSignal(signal, process->pid());
  }
  if (!alive && AsksToEnd(number)) GiveUpOutput();
}

// The server is gone, and whoever does not read its last output cannot hold this process.
void McpHost::GiveUpOutput() {
  const McpProcess* const last = Find(current_);
  const std::optional<int> status = last == nullptr ? status_ : last->status();
  if (!exit_code_.has_value() && status.has_value()) exit_code_ = ExitCodeOfStatus(*status);
  flushed_ = exit_code_.has_value();
}

// What still runs is killed: the client is served by nobody any more, as if the server had been its child.
void McpHost::End(int code) {
  if (exit_code_.has_value()) return;
  exit_code_ = code;
  schedule_.Cancel();
  for (const auto& [id, process] : processes_) {
    if (!process->exited()) kill(process->pid(), SIGKILL);
  }
  client_output_.Finish([this] { flushed_ = true; });
}

McpProcess* McpHost::Find(mcp::ProcessId id) {
  const auto found = processes_.find(id);
  return found == processes_.end() ? nullptr : found->second.get();
}

void McpHost::StartTimer(mcp::ProcessId process, absl::Duration delay, std::function<void()> due) {
  CancelTimer(process);
  timers_[process] = context_.loop.After(delay, [this, process, due = std::move(due)] {
    timers_.erase(process);
    due();
  });
}

void McpHost::CancelTimer(mcp::ProcessId process) {
  const auto found = timers_.find(process);
  if (found == timers_.end()) return;
  context_.loop.Cancel(found->second);
  timers_.erase(found);
}

void McpHost::Soon(std::function<void()> act) {
  context_.loop.After(absl::ZeroDuration(), [self = std::weak_ptr<McpHost*>(self_), act = std::move(act)] {
    if (self.lock() != nullptr) act();
  });
}

}  // namespace keyferry::injector
