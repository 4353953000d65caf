#include "server/backups/operator_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxRequestBytes = size_t{16} << 10;
constexpr absl::Duration kRequestTime = absl::Seconds(5);
constexpr int kWriteSeconds = 10;
// That are served at once.
constexpr size_t kConnections = 4;

absl::Status Failed(absl::string_view what, const std::string& path) {
  return absl::UnavailableError(absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(errno)));
}

// Whether the other end is a process of this user or of root.
bool IsOperator(int fd) {
  ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return false;
  return peer.uid == geteuid() || peer.uid == 0;
}

// Reads up to the newline; false if none comes in time.
bool ReadLine(int fd, std::string* line) {
  const absl::Time deadline = absl::Now() + kRequestTime;
  while (line->size() <= kMaxRequestBytes) {
    pollfd ready = {fd, POLLIN, 0};
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0 || poll(&ready, 1, static_cast<int>(left)) <= 0) return false;
    char buffer[4096];
    const ssize_t got = read(fd, buffer, sizeof(buffer));
    if (got <= 0) return false;
    line->append(buffer, static_cast<size_t>(got));
    if (const size_t end = line->find('\n'); end != std::string::npos) {
      line->resize(end);
      return true;
    }
  }
  return false;
}

bool SendLine(int fd, absl::string_view line) {
  std::string bytes = absl::StrCat(line, "\n");
  absl::string_view rest = bytes;
  while (!rest.empty()) {
    const ssize_t sent = send(fd, rest.data(), rest.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    rest.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

class ListeningSocket : public OperatorSocket {
 public:
  ListeningSocket(std::string path, int listener, int wake_read, int wake_write, Handler handler)
      : path_(std::move(path)),
        listener_(listener),
        wake_read_(wake_read),
        wake_write_(wake_write),
        handler_(std::move(handler)) {
    for (std::thread& thread : threads_) thread = std::thread([this] { Run(); });
  }

  ~ListeningSocket() override {
    close(wake_write_);
    for (std::thread& thread : threads_) thread.join();
    close(listener_);
    close(wake_read_);
    unlink(path_.c_str());
  }

 private:
  void Run() {
    while (true) {
      pollfd ready[] = {{listener_, POLLIN, 0}, {wake_read_, POLLIN, 0}};
      if (poll(ready, 2, /*timeout=*/-1) < 0 && errno != EINTR) return;
      // Its other end was closed.
      if (ready[1].revents != 0) return;
      if (ready[0].revents != 0) ServeOne();
    }
  }

  void ServeOne() {
    // Another thread may have been faster.
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const absl::Cleanup close_fd = [fd] { close(fd); };
    const timeval limit = {kWriteSeconds, 0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
    std::string request;
    if (!IsOperator(fd) || !ReadLine(fd, &request)) return;
    handler_(request, [fd](absl::string_view line) { return SendLine(fd, line); });
  }

  const std::string path_;
  const int listener_;
  const int wake_read_;
  const int wake_write_;
  const Handler handler_;
  std::array<std::thread, kConnections> threads_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<OperatorSocket>> OperatorSocket::Listen(const std::string& directory, Handler handler) {
  const std::string path = absl::StrCat(directory, "/", kOperatorSocketName);
  const int at = open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) return Failed("open", directory);
  const absl::Cleanup close_at = [at] { close(at); };
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return Failed("make a socket for", path);
  absl::Cleanup close_listener = [listener] { close(listener); };
  // A path of any length, although the address of a socket holds 107 bytes.
  const std::string short_path = absl::StrCat("/proc/self/fd/", at, "/", kOperatorSocketName);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, short_path.data(), short_path.size());
  if (unlinkat(at, kOperatorSocketName, 0) != 0 && errno != ENOENT) return Failed("replace", path);
  if (bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return Failed("make", path);
  if (fchmodat(at, kOperatorSocketName, 0600, 0) != 0 || listen(listener, /*backlog=*/8) != 0) {
    return Failed("listen on", path);
  }
  int wake[2];
  if (pipe2(wake, O_CLOEXEC) != 0) return Failed("make a pipe for", path);
  std::move(close_listener).Cancel();
  return std::make_unique<ListeningSocket>(path, listener, wake[0], wake[1], std::move(handler));
}

}  // namespace keyferry::server
