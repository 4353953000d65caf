#include "server/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxFileBytes = size_t{64} << 10;

absl::Status Failed(const std::string& path, absl::string_view what, int error) {
  const std::string message = absl::StrCat(path, ": ", what, ": ", std::strerror(error));
  if (error == ENOENT) return absl::NotFoundError(message);
  if (error == EACCES || error == EPERM) return absl::PermissionDeniedError(message);
  return absl::UnavailableError(message);
}

bool WriteAll(int fd, absl::string_view content) {
  while (!content.empty()) {
    const ssize_t written = write(fd, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    content.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

absl::Status SyncDirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const int fd = open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return Failed(directory, "cannot be opened", errno);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  return fsync(fd) == 0 ? absl::OkStatus() : Failed(directory, "cannot be synced", errno);
}

}  // namespace

absl::StatusOr<storage::SecretBytes> ReadSmallFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Failed(path, "cannot be opened", errno);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  storage::SecretBytes content(kMaxFileBytes + 1);
  size_t size = 0;
  while (size <= kMaxFileBytes) {
    const ssize_t got = read(fd, content.ExposeMutable().data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Failed(path, "cannot be read", errno);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > kMaxFileBytes) return absl::InvalidArgumentError(absl::StrCat(path, ": larger than 64 KiB"));
  content.Truncate(size);
  return content;
}

absl::Status WritePrivateFile(const std::string& path, absl::string_view content) {
  const std::string temporary = absl::StrCat(path, ".new");
  unlink(temporary.c_str());
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return Failed(temporary, "cannot be made", errno);
  const bool written = WriteAll(fd, content) && fsync(fd) == 0;
  const int error = errno;
  close(fd);
  if (!written) {
    unlink(temporary.c_str());
    return Failed(path, "cannot be written", error);
  }
  if (rename(temporary.c_str(), path.c_str()) != 0) return Failed(path, "cannot be replaced", errno);
  return SyncDirectoryOf(path);
}

absl::StatusOr<bool> IsEmptyDirectory(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return Failed(path, "cannot be read", errno);
  const absl::Cleanup close_directory = [directory] { closedir(directory); };
  while (const dirent* entry = readdir(directory)) {
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) return false;
  }
  return true;
}

absl::Status EnsurePrivateDirectory(const std::string& path) {
  if (mkdir(path.c_str(), 0700) == 0) return absl::OkStatus();
  if (errno != EEXIST) return Failed(path, "cannot be made", errno);
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return Failed(path, "cannot be read", errno);
  if (!S_ISDIR(info.st_mode)) return absl::FailedPreconditionError(absl::StrCat(path, ": is not a directory"));
  if (info.st_uid != geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat(path, ": belongs to another user; use a directory of your own"));
  }
  if ((info.st_mode & 077) == 0) return absl::OkStatus();
  const absl::StatusOr<bool> empty = IsEmptyDirectory(path);
  if (!empty.ok()) return empty.status();
  if (!*empty) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": can be read by others; run `chmod 700 ", path, "` if nobody else used it"));
  }
  return chmod(path.c_str(), 0700) == 0 ? absl::OkStatus() : Failed(path, "cannot be narrowed to mode 0700", errno);
}

absl::Status CheckPrivateFile(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0) return Failed(path, "cannot be read", errno);
  if ((info.st_mode & 077) != 0 || info.st_uid != geteuid()) {
    return absl::FailedPreconditionError(
        absl::StrCat(path, ": can be read by others; run `chmod 600 ", path, "` as its owner"));
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
