#include "injector/agent/testing/raw_launcher.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "absl/strings/str_cat.h"

namespace keyferry::testing {
namespace {

namespace agent = injector::agent;

constexpr int kPatienceMs = 30000;

}  // namespace

RawLauncher::RawLauncher(const std::string& directory) : socket_(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, absl::StrCat(directory, "/agent.sock").c_str(), sizeof(address.sun_path) - 1);
  if (connect(socket_.get(), reinterpret_cast<const struct sockaddr*>(&address), sizeof(address)) != 0) socket_.Reset();
}

bool RawLauncher::Send(absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t size = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (size <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(size));
  }
  return true;
}

bool RawLauncher::Hello(agent::LaunchMode mode, int64_t running, int64_t pid) {
  agent::Hello hello;
  hello.mode = mode;
  hello.running_revision = running;
  hello.pid = pid;
  hello.launcher = "test";
  return Send(agent::HelloFrame(hello).Expose());
}

bool RawLauncher::Confirm(int64_t revision, int64_t pid) { return Send(agent::ConfirmFrame({revision, pid}).Expose()); }

std::string RawLauncher::Next() {
  const std::string next = Read(kPatienceMs);
  return next.empty() ? "nothing" : next;
}

std::string RawLauncher::Peek() { return Read(0); }

std::string RawLauncher::Read(int timeout_ms) {
  while (true) {
    absl::string_view rest = absl::string_view(data_).substr(taken_);
    const agent::FrameReader::Result result = reader_.Take(rest);
    taken_ = data_.size() - rest.size();
    if (result == agent::FrameReader::Result::kFrame) return InWords();
    if (result == agent::FrameReader::Result::kBroken) return "broken";
    struct pollfd one = {socket_.get(), POLLIN, 0};
    if (poll(&one, 1, timeout_ms) <= 0) return "";
    char buffer[65536];
    const ssize_t size = recv(socket_.get(), buffer, sizeof(buffer), 0);
    if (size <= 0) return "end";
    data_.assign(buffer, static_cast<size_t>(size));
    taken_ = 0;
  }
}

std::string RawLauncher::InWords() const {
  agent::EnvironmentMessage environment;
  agent::Notice notice;
  injector::Failure failure;
  switch (reader_.type()) {
    case agent::MessageType::kEnvironment: {
      if (!agent::ReadEnvironment(reader_.payload(), environment)) return "malformed environment";
      std::string text = absl::StrCat(environment.stale_since == absl::InfiniteFuture() ? "" : "stale ", "environment ",
                                      environment.environment.revision);
      for (const injector::ResolvedValue& variable : environment.environment.variables) {
        absl::StrAppend(&text, " ", variable.name, "=", variable.value.Expose());
      }
      return text;
    }
    case agent::MessageType::kNotice:
      if (!agent::ReadNotice(reader_.payload(), notice)) return "malformed notice";
      return absl::StrCat("notice ", static_cast<int>(notice.kind), " ", notice.line);
    case agent::MessageType::kError:
      if (!agent::ReadError(reader_.payload(), failure)) return "malformed error";
      return absl::StrCat("error ", failure.exit_code, " ", failure.message);
    case agent::MessageType::kDrain:
      return "drain";
    default:
      return "unknown message";
  }
}

}  // namespace keyferry::testing
