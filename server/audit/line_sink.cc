#include "server/audit/line_sink.h"

#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

// How long a full pipe is waited for in one call.
constexpr int kPollMilliseconds = 200;

}  // namespace

absl::StatusOr<std::unique_ptr<LineSink>> LineSink::OpenFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0600);
  const int error = errno;
  auto sink = std::unique_ptr<LineSink>(new LineSink(fd, path));
  if (fd < 0) return sink->Failed("cannot be opened", error);
  struct stat info = {};
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::InvalidArgumentError(absl::StrCat("the audit stream ", path, " is not a regular file"));
  }
  return sink;
}

std::unique_ptr<LineSink> LineSink::OnDescriptor(int fd) { return std::unique_ptr<LineSink>(new LineSink(fd, "")); }

LineSink::~LineSink() {
  if (is_file() && fd_ >= 0) close(fd_);
}

absl::Status LineSink::Failed(absl::string_view what, int error) const {
  return absl::UnavailableError(absl::StrCat("the audit stream ", is_file() ? path_ : "on standard output", " ", what,
                                             ": ", std::strerror(error)));
}

absl::StatusOr<LineSink::Place> LineSink::FindPlace() const {
  struct stat info = {};
  if (fstat(fd_, &info) != 0) return Failed("cannot be looked at", errno);
  return Place{info.st_dev, info.st_ino, info.st_size};
}

absl::Status LineSink::Truncate(int64_t size) {
  if (ftruncate(fd_, size) != 0) return Failed("cannot be cut back", errno);
  return absl::OkStatus();
}

absl::Status LineSink::WriteToFile(absl::string_view lines) {
  ASSIGN_OR_RETURN(const Place before, FindPlace());
  while (!lines.empty()) {
    const ssize_t count = write(fd_, lines.data(), lines.size());
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      const int error = count < 0 ? errno : ENOSPC;
      // The same lines come again.
      RETURN_IF_ERROR(Truncate(before.size));
      return Failed("cannot be written", error);
    }
    lines.remove_prefix(static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status LineSink::Write(absl::string_view lines) {
  if (is_file()) return WriteToFile(lines);
  RETURN_IF_ERROR(Flush());
  rest_.assign(lines.data(), lines.size());
  Flush().IgnoreError();
  return absl::OkStatus();
}

absl::Status LineSink::Flush() {
  while (!rest_.empty()) {
    // So many bytes never block once a pipe says that it has room.
    pollfd ready = {fd_, POLLOUT, 0};
    const int polled = poll(&ready, 1, kPollMilliseconds);
    if (polled < 0 && errno == EINTR) continue;
    if (polled <= 0) return Failed("takes no more", polled < 0 ? errno : EAGAIN);
    const ssize_t count = write(fd_, rest_.data(), std::min<size_t>(rest_.size(), PIPE_BUF));
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) return Failed("cannot be written", count < 0 ? errno : EIO);
    rest_.erase(0, static_cast<size_t>(count));
  }
  return absl::OkStatus();
}

absl::Status LineSink::Sync() {
  if (is_file() && fdatasync(fd_) != 0) return Failed("cannot be synced", errno);
  return absl::OkStatus();
}

}  // namespace keyferry::server
