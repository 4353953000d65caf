#include "injector/agent/socket_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "absl/strings/str_cat.h"

namespace keyferry::injector::agent {
namespace {

constexpr int kBacklog = 16;

absl::Status Wrong(const std::string& what, const std::string& path, const std::string& todo) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", path, "; ", todo));
}

std::pair<dev_t, ino_t> IdentityOf(const struct stat& found) { return {found.st_dev, found.st_ino}; }

}  // namespace

absl::StatusOr<SocketDirectory> SocketDirectory::Open(const std::string& path, mode_t mode) {
  const mode_t before = umask(0);
  const int made = mkdir(path.c_str(), mode);
  const int error = errno;
  umask(before);
  if (made != 0 && error != EEXIST) {
    return Wrong("the directory cannot be made", path, absl::StrCat(strerror(error), "; make it, or mount one there"));
  }
  Descriptor directory(open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) {
    const bool link = errno == ELOOP || errno == ENOTDIR;
    return Wrong("the directory cannot be opened", path,
                 link ? "name the directory itself, not a symbolic link or a file" : strerror(errno));
  }
  struct stat found = {};
  if (fstat(directory.get(), &found) != 0) return Wrong("the directory cannot be read", path, strerror(errno));
  if (found.st_uid != 0 && found.st_uid != geteuid()) {
    return Wrong("the directory is another user's", path, "it must be this process's own, or root's as a volume is");
  }
  return SocketDirectory(path, std::move(directory), IdentityOf(found));
}

SocketDirectory::~SocketDirectory() {
  if (!directory_.valid() || bound_.empty()) return;
  struct stat found = {};
  if (fstatat(directory_.get(), bound_.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) return;
  if (IdentityOf(found) == bound_identity_) unlinkat(directory_.get(), bound_.c_str(), 0);
}

std::string SocketDirectory::Name(const std::string& name) const {
  return absl::StrCat("/proc/self/fd/", directory_.get(), "/", name);
}

absl::Status SocketDirectory::RemoveStale(const std::string& name) const {
  const std::string shown = absl::StrCat(path_, "/", name);
  struct stat found = {};
  if (fstatat(directory_.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0) {
    return errno == ENOENT ? absl::OkStatus() : Wrong("the socket cannot be looked at", shown, strerror(errno));
  }
  if (!S_ISSOCK(found.st_mode)) {
    return Wrong("this is not a socket", shown, "remove it, or give the container another directory");
  }
  const Descriptor probe(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  strncpy(address.sun_path, Name(name).c_str(), sizeof(address.sun_path) - 1);
  if (connect(probe.get(), reinterpret_cast<const struct sockaddr*>(&address), sizeof(address)) == 0 ||
      errno == EAGAIN) {
    return absl::UnavailableError(
        absl::StrCat("another process serves this socket: ", shown, "; stop it, or give each agent its own directory"));
  }
  if (unlinkat(directory_.get(), name.c_str(), 0) != 0 && errno != ENOENT) {
    return Wrong("the old socket cannot be removed", shown, strerror(errno));
  }
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> SocketDirectory::Listen(const std::string& name, mode_t mode) {
  if (absl::Status status = RemoveStale(name); !status.ok()) return status;
  const std::string shown = absl::StrCat(path_, "/", name);
  Descriptor listener(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  const std::string place = Name(name);
  if (!listener.valid() || place.size() >= sizeof(address.sun_path)) {
    return Wrong("the socket cannot be made", shown, strerror(errno));
  }
  strncpy(address.sun_path, place.c_str(), sizeof(address.sun_path) - 1);
  // It is never more open than `mode`, not even for a moment.
  const mode_t before = umask(0777 & ~mode);
  const int bound = bind(listener.get(), reinterpret_cast<const struct sockaddr*>(&address), sizeof(address));
  const int error = errno;
  umask(before);
  if (bound != 0) return Wrong("the socket cannot be bound", shown, strerror(error));
  struct stat found = {};
  if (fstatat(directory_.get(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISSOCK(found.st_mode)) {
    return Wrong("the socket was taken away", shown, "see who else writes into this directory");
  }
  bound_ = name;
  bound_identity_ = IdentityOf(found);
  if (listen(listener.get(), kBacklog) != 0) return Wrong("nobody can connect", shown, strerror(errno));
  return listener;
}

}  // namespace keyferry::injector::agent
