#include "injector/agent/container_socket.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "injector/agent/protocol.h"

namespace keyferry::injector::agent {
namespace {

// Where no descriptor is left, the listener is ready all the time.
constexpr absl::Duration kAcceptPause = absl::Milliseconds(200);

}  // namespace

ContainerSocket::ContainerSocket(EventLoop& loop, Descriptor listener, Feed& feed, Options options, Callbacks callbacks)
    : loop_(loop),
      listener_(std::move(listener)),
      feed_(feed),
      options_(std::move(options)),
      callbacks_(std::move(callbacks)),
      frames_(options_.frames, options_.limits.window),
      accepts_(options_.connections, options_.limits.window) {
  watch_ = loop_.Watch(listener_.get(), EPOLLIN, [this](uint32_t) { Accept(); });
}

ContainerSocket::~ContainerSocket() {
  feed_.HoldsNothing(this);
  loop_.Cancel(again_);
  loop_.Forget(watch_);
}

void ContainerSocket::Accept() {
  Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!socket.valid()) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    Log(absl::StrCat("a launcher cannot be accepted: ", strerror(errno)));
    return PauseAccepting(kAcceptPause);
  }
  accepts_.Take();
  if (accepts_.empty()) {
    Log("too many connections in a short time; further ones wait");
    PauseAccepting(accepts_.left());
  }
  if (!Admits(socket.get())) return;
  const uint64_t id = next_++;
  LauncherConnection::Callbacks callbacks;
  callbacks.ended = [this, id](const std::string& why) { Ended(id, why); };
  // Nobody says when such a command ends. A container runs one at a time, so the next one stands for it.
  callbacks.launched = [this](int64_t revision, int64_t pid) { feed_.Holds(this, revision, pid); };
  connections_.emplace(id, std::make_unique<LauncherConnection>(loop_, std::move(socket), feed_, frames_,
                                                                options_.limits, std::move(callbacks)));
}

void ContainerSocket::PauseAccepting(absl::Duration pause) {
  loop_.Change(watch_, 0);
  loop_.Cancel(again_);
  again_ = loop_.After(pause, [this] {
    again_ = 0;
    loop_.Change(watch_, EPOLLIN);
  });
}

bool ContainerSocket::Admits(int socket) {
  if (connections_.size() >= options_.most_connections) {
    Log("too many connections; one more is closed");
    return false;
  }
  struct ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    Log(absl::StrCat("a launcher's user cannot be told: ", strerror(errno)));
    return false;
  }
  if (!options_.uid.has_value() || peer.uid == *options_.uid) return true;
  Log(absl::StrCat("a launcher of user ", peer.uid, " is refused; the container's user is ", *options_.uid));
  const client::SecretText error = ErrorFrame({kNotPermitted, absl::StrCat("this socket serves user ", *options_.uid,
                                                                           ", and the launcher runs as ", peer.uid)});
  // A new socket takes as little as that at once; who does not get it sees the connection end.
  [[maybe_unused]] const ssize_t sent = send(socket, error.Expose().data(), error.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return false;
}

void ContainerSocket::Ended(uint64_t id, const std::string& why) {
  if (!why.empty()) Log(absl::StrCat("a launcher is dropped: ", why));
  connections_.erase(id);
  callbacks_.changed();
}

void ContainerSocket::Log(const std::string& line) {
  const std::string whole = absl::StrCat("container ", options_.name, ": ", line);
  if (lines_.Allow(whole, absl::Now())) callbacks_.log(whole);
}

size_t ContainerSocket::serving() const {
  return static_cast<size_t>(std::count_if(connections_.begin(), connections_.end(),
                                           [](const auto& entry) { return entry.second->serving(); }));
}

void ContainerSocket::Drain() {
  for (const auto& [id, connection] : connections_) connection->Drain();
}

}  // namespace keyferry::injector::agent
