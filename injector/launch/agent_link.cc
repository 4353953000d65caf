#include "injector/launch/agent_link.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "injector/exec/launch_failure.h"

namespace keyferry::injector::launch {
namespace {

using agent::FrameReader;
using agent::MessageType;

constexpr int64_t kFirstWaitMs = 2;
constexpr int64_t kLongestWaitMs = 250;

int64_t NowMs() {
  struct timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1000000;
}

void SleepMs(int64_t milliseconds) { poll(nullptr, 0, static_cast<int>(milliseconds)); }

// The agent may still be starting, or be restarted.
bool MayPass(int error) {
  return error == ENOENT || error == ECONNREFUSED || error == EAGAIN || error == EINTR || error == EPIPE ||
         error == ECONNRESET || error == ENOTDIR;
}

Failure CannotConnect(const std::string& path, int error) {
  if (error == EACCES || error == EPERM) {
    return {kNotPermitted, Printable(absl::StrCat("this user may not use the agent's socket: ", path))};
  }
  if (error == ENAMETOOLONG) return {kUsage, Printable(absl::StrCat("too long for a socket's path: ", path))};
  return {kUnavailable, Printable(absl::StrCat("the agent cannot be reached at ", path, ": ", strerror(error),
                                               "; see whether the pod's keyferry-injector agent runs"))};
}

}  // namespace

std::optional<AgentLink> AgentLink::Connect(const std::string& path, const agent::Hello& hello, int& error) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof(address.sun_path)) {
    error = ENAMETOOLONG;
    return std::nullopt;
  }
  std::copy(path.begin(), path.end(), address.sun_path);
  Descriptor socket(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const client::SecretText frame = agent::HelloFrame(hello);
  if (!socket.valid() ||
      connect(socket.get(), reinterpret_cast<const struct sockaddr*>(&address), sizeof(address)) != 0) {
    error = errno;
    return std::nullopt;
  }
  // An agent that does not serve this user has said so and closed already: what it said is there to be read.
  if (send(socket.get(), frame.Expose().data(), frame.size(), MSG_NOSIGNAL) < 0 && errno != EPIPE) {
    error = errno;
    return std::nullopt;
  }
  return AgentLink(std::move(socket));
}

std::optional<AgentLink::Message> AgentLink::Next() {
  while (true) {
    absl::string_view data = buffer_.Expose().substr(begin_, end_ - begin_);
    const FrameReader::Result result = reader_.Take(data);
    begin_ = end_ - data.size();
    if (result == FrameReader::Result::kFrame) return Decode();
    if (result == FrameReader::Result::kBroken) return Lost{};
    explicit_bzero(buffer_.ExposeMutable(), end_);
    begin_ = end_ = 0;
    const ssize_t size = recv(socket_.get(), buffer_.ExposeMutable(), buffer_.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0 && errno == EAGAIN) return std::nullopt;
    if (size <= 0) return Lost{};
    end_ = static_cast<size_t>(size);
  }
}

AgentLink::Message AgentLink::Decode() const {
  agent::EnvironmentMessage environment;
  agent::Notice notice;
  Failure failure;
  switch (reader_.type()) {
    case MessageType::kEnvironment:
      if (agent::ReadEnvironment(reader_.payload(), environment)) return environment;
      break;
    case MessageType::kNotice:
      if (agent::ReadNotice(reader_.payload(), notice)) return notice;
      break;
    case MessageType::kError:
      if (agent::ReadError(reader_.payload(), failure)) return failure;
      break;
    case MessageType::kDrain:
      return Drain{};
    default:
      break;
  }
  return Lost{};
}

bool AgentLink::Confirm(const agent::Confirm& confirm) {
  const client::SecretText frame = agent::ConfirmFrame(confirm);
  return send(socket_.get(), frame.Expose().data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT) ==
         static_cast<ssize_t>(frame.size());
}

std::optional<Failure> FirstEnvironment(const std::string& path, const agent::Hello& hello, absl::Duration timeout,
                                        std::optional<AgentLink>& link, agent::EnvironmentMessage& environment) {
  const int64_t deadline = NowMs() + absl::ToInt64Milliseconds(timeout);
  Failure why = CannotConnect(path, ENOENT);
  for (int64_t wait = kFirstWaitMs; NowMs() < deadline; wait = std::min(wait * 2, kLongestWaitMs)) {
    int error = 0;
    link = AgentLink::Connect(path, hello, error);
    if (!link.has_value()) {
      why = CannotConnect(path, error);
      if (!MayPass(error)) return why;
      SleepMs(std::min(wait, std::max<int64_t>(0, deadline - NowMs())));
      continue;
    }
    while (link.has_value()) {
      std::optional<AgentLink::Message> message = link->Next();
      if (!message.has_value()) {
        struct pollfd one = {link->descriptor(), POLLIN, 0};
        const int64_t left = deadline - NowMs();
        if (left <= 0) return why;
        poll(&one, 1, static_cast<int>(left));
        continue;
      }
      if (auto* const got = std::get_if<agent::EnvironmentMessage>(&*message)) {
        environment = std::move(*got);
        return std::nullopt;
      }
      if (auto* const failure = std::get_if<Failure>(&*message)) return std::move(*failure);
      if (auto* const notice = std::get_if<agent::Notice>(&*message)) why = {kUnavailable, notice->line};
      if (!std::holds_alternative<AgentLink::Lost>(*message)) continue;
      why = {kUnavailable, Printable(absl::StrCat("the agent at ", path, " ended the connection without an answer"))};
      link.reset();
    }
    SleepMs(std::min(wait, std::max<int64_t>(0, deadline - NowMs())));
  }
  return why;
}

}  // namespace keyferry::injector::launch
