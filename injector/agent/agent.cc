#include "injector/agent/agent.h"

#include <unistd.h>

#include <utility>
#include <variant>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "injector/agent/protocol.h"

namespace keyferry::injector::agent {
namespace {

// With a user of its own a container passes through the directory and connects to the socket; who is there, the agent
// checks.
mode_t DirectoryMode(const std::optional<uid_t>& uid) { return uid.value_or(geteuid()) == geteuid() ? 0700 : 0711; }
mode_t SocketMode(const std::optional<uid_t>& uid) { return uid == geteuid() ? 0600 : 0666; }

}  // namespace

Agent::Agent(EventLoop& loop, std::function<void(const std::string&)> log) : loop_(loop), log_(std::move(log)) {}

Agent::~Agent() { loop_.Cancel(grace_); }

absl::Status Agent::CheckUnshared(const SocketDirectory& directory) const {
  for (const auto& served : served_) {
    if (served->directory.identity() != directory.identity()) continue;
    return absl::InvalidArgumentError(absl::StrCat("two containers share a directory: ", directory.path(),
                                                   "; give each its own, since whoever mounts it is served from it"));
  }
  if (control_directory_.has_value() && control_directory_->identity() == directory.identity()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "a container's directory is also that for probes: ", directory.path(), "; use another one for --control-dir"));
  }
  return absl::OkStatus();
}

absl::Status Agent::Serve(const Container& container) {
  absl::StatusOr<SocketDirectory> directory = SocketDirectory::Open(container.directory, DirectoryMode(container.uid));
  if (!directory.ok()) return directory.status();
  if (absl::Status status = CheckUnshared(*directory); !status.ok()) return status;
  absl::StatusOr<Descriptor> listener = directory->Listen(kAgentSocket, SocketMode(container.uid));
  if (!listener.ok()) return listener.status();
  ContainerSocket::Options options;
  options.name = container.name;
  options.uid = container.uid;
  auto socket = std::make_unique<ContainerSocket>(loop_, *std::move(listener), *container.feed, std::move(options),
                                                  ContainerSocket::Callbacks{log_, [this] { EndIfIdle(); }});
  served_.push_back(
      std::make_unique<Served>(Served{container.name, *std::move(directory), container.feed, std::move(socket)}));
  return absl::OkStatus();
}

absl::Status Agent::Control(const std::string& directory) {
  absl::StatusOr<SocketDirectory> opened = SocketDirectory::Open(directory, 0700);
  if (!opened.ok()) return opened.status();
  if (absl::Status status = CheckUnshared(*opened); !status.ok()) return status;
  absl::StatusOr<Descriptor> listener = opened->Listen(kControlSocket, 0600);
  if (!listener.ok()) return listener.status();
  control_directory_.emplace(*std::move(opened));
  control_ = std::make_unique<ControlSocket>(loop_, *std::move(listener), [this] { return Status(); });
  return absl::OkStatus();
}

AgentStatus Agent::Status() const {
  if (draining_) return {false, "the agent is about to end"};
  for (const auto& served : served_) {
    const Feed::Answer answer = served->feed->ForLaunch();
    if (const auto* waiting = std::get_if<Feed::Waiting>(&answer)) {
      return {false, absl::StrCat("container ", served->name, ": ", waiting->why)};
    }
  }
  return {true, absl::StrCat("containers: ", served_.size(), ", commands served: ", serving())};
}

size_t Agent::serving() const {
  size_t count = 0;
  for (const auto& served : served_) count += served->socket->serving();
  return count;
}

void Agent::Drain(absl::Duration grace) {
  if (std::exchange(draining_, true)) {
    ended_ = true;
    return;
  }
  for (const auto& served : served_) served->socket->Drain();
  grace_ = loop_.After(grace, [this] {
    grace_ = 0;
    if (serving() > 0) log_(absl::StrCat("commands that still run go on without the agent: ", serving()));
    ended_ = true;
  });
  EndIfIdle();
}

void Agent::EndIfIdle() { ended_ |= draining_ && serving() == 0; }

}  // namespace keyferry::injector::agent
