#include "client/operator_socket.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace keyferry::client {
namespace {

constexpr char kName[] = "keyferryd.sock";
// Of a line that the server sends.
constexpr size_t kMaxLineBytes = size_t{16} << 20;

absl::Status Failed(absl::string_view what, const std::string& path) {
  const int error = errno;
  const std::string message = absl::StrCat(what, ": ", path, ": ", std::strerror(error));
  if (error == EACCES || error == EPERM) {
    return absl::PermissionDeniedError(absl::StrCat(message, "; run this as the user whom keyferryd runs as"));
  }
  if (error == ENOENT || error == ECONNREFUSED || error == ENOTDIR) {
    return absl::NotFoundError(absl::StrCat(
        message, "; name the data directory of a server that runs on this machine, or use `keyferryd backup`"));
  }
  return absl::UnavailableError(message);
}

// Connects to the socket in `directory`, whose path may be longer than the address of a socket can be.
absl::StatusOr<int> Connect(const std::string& directory) {
  const std::string path = absl::StrCat(directory, "/", kName);
  const int at = open(directory.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) return Failed("the server's socket cannot be reached", path);
  const absl::Cleanup close_at = [at] { close(at); };
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return Failed("no socket can be made", path);
  const std::string short_path = absl::StrCat("/proc/self/fd/", at, "/", kName);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::memcpy(address.sun_path, short_path.data(), short_path.size());
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) return fd;
  const absl::Status failed = Failed("the server's socket cannot be reached", path);
  close(fd);
  return failed;
}

absl::Status SendAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return absl::UnavailableError("the server ended: its socket was closed; see its log");
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status AskOperatorSocket(const std::string& data_dir, const std::string& request,
                               const std::function<void(absl::string_view line)>& on_line) {
  absl::StatusOr<int> fd = Connect(data_dir);
  // `keyferryd --dev` has its store in a directory of its own.
  if (absl::IsNotFound(fd.status())) {
    if (absl::StatusOr<int> dev = Connect(data_dir + "/store"); dev.ok()) fd = dev;
  }
  if (!fd.ok()) return fd.status();
  const absl::Cleanup close_fd = [&fd] { close(*fd); };
  if (absl::Status sent = SendAll(*fd, absl::StrCat(request, "\n")); !sent.ok()) return sent;
  std::string pending;
  while (pending.size() <= kMaxLineBytes) {
    char buffer[16384];
    const ssize_t got = read(*fd, buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed("the answer cannot be read", data_dir);
    if (got == 0) return absl::OkStatus();
    pending.append(buffer, static_cast<size_t>(got));
    for (size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n')) {
      on_line(absl::string_view(pending).substr(0, end));
      pending.erase(0, end + 1);
    }
  }
  return absl::UnavailableError("the server's answer is too long; use a `keyferry` of its release");
}

}  // namespace keyferry::client
