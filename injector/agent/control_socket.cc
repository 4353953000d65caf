#include "injector/agent/control_socket.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "injector/agent/frame_reader.h"

namespace keyferry::injector::agent {
namespace {

bool IsOwnOrRoot(int socket) {
  struct ucred peer = {};
  socklen_t size = sizeof(peer);
  return getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && (peer.uid == 0 || peer.uid == geteuid());
}

Failure NoAnswer(const std::string& why) { return {kUnavailable, absl::StrCat("the agent does not answer: ", why)}; }

}  // namespace

ControlSocket::ControlSocket(EventLoop& loop, Descriptor listener, std::function<AgentStatus()> status)
    : loop_(loop), listener_(std::move(listener)), status_(std::move(status)) {
  watch_ = loop_.Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
}

ControlSocket::~ControlSocket() { loop_.Forget(watch_); }

void ControlSocket::Accept() {
  const Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.valid() || !IsOwnOrRoot(socket.get())) return;
  const client::SecretText frame = StatusFrame(status_());
  // A new socket takes as little as that at once; a probe that does not get it fails.
  [[maybe_unused]] const ssize_t sent =
      send(socket.get(), frame.Expose().data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

Failure AskAgent(const std::string& directory, Probe probe, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  const std::string path = absl::StrCat(directory, "/", kControlSocket);
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) return {kUsage, "--control-dir is too long for a socket's path"};
  strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  const Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (connect(socket.get(), reinterpret_cast<const struct sockaddr*>(&address), sizeof(address)) != 0) {
    return NoAnswer(absl::StrCat(path, ": ", strerror(errno)));
  }
  FrameReader reader(kMaxLineBytes + 16);
  while (true) {
    struct pollfd one = {socket.get(), POLLIN, 0};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0) return NoAnswer("no answer in time");
    if (poll(&one, 1, static_cast<int>(left)) <= 0) continue;
    char buffer[512];
    const ssize_t size = recv(socket.get(), buffer, sizeof(buffer), MSG_DONTWAIT);
    if (size <= 0) return NoAnswer("the connection ended");
    absl::string_view data(buffer, static_cast<size_t>(size));
    const FrameReader::Result result = reader.Take(data);
    if (result == FrameReader::Result::kMore) continue;
    AgentStatus status;
    if (result != FrameReader::Result::kFrame || reader.type() != MessageType::kStatus ||
        !ReadStatus(reader.payload(), status)) {
      return NoAnswer("it says something else than its status");
    }
    if (probe == Probe::kLive || status.ready) return {0, status.line};
    return {kUnavailable, absl::StrCat("not ready: ", status.line)};
  }
}

}  // namespace keyferry::injector::agent
