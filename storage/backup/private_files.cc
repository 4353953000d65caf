#include "storage/backup/private_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "storage/status_macros.h"

namespace keyferry::storage {

absl::Status FileError(absl::string_view what, const std::string& path) {
  const int error = errno;
  const std::string message = absl::StrCat("cannot ", what, " ", path, ": ", std::strerror(error));
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return absl::ResourceExhaustedError(absl::StrCat(message, "; make room, or use another disk"));
    case ENOENT:
      return absl::NotFoundError(message);
    case EACCES:
    case EPERM:
    case EROFS:
    case EEXIST:
    case ENOTEMPTY:
    case ENOTDIR:
    case ELOOP:
      return absl::FailedPreconditionError(message);
    default:
      return absl::UnavailableError(message);
  }
}

class PrivateFiles::FileOutput : public PrivateFiles::Output {
 public:
  FileOutput(const PrivateFiles* files, std::string path, int fd) : files_(files), path_(std::move(path)), fd_(fd) {}
  ~FileOutput() override {
    if (fd_ >= 0) close(fd_);
  }

  absl::Status Append(absl::string_view bytes) override {
    RETURN_IF_ERROR(files_->Ask("write", path_));
    while (!bytes.empty()) {
      const ssize_t written = write(fd_, bytes.data(), bytes.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) return FileError("write", path_);
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    return absl::OkStatus();
  }

  absl::Status Finish() override {
    RETURN_IF_ERROR(files_->Ask("sync", path_));
    if (fsync(fd_) != 0) return FileError("sync", path_);
    const int fd = std::exchange(fd_, -1);
    return close(fd) == 0 ? absl::OkStatus() : FileError("close", path_);
  }

 private:
  const PrivateFiles* const files_;
  const std::string path_;
  int fd_;
};

absl::Status PrivateFiles::Ask(absl::string_view operation, const std::string& path) const {
  return gate_ == nullptr ? absl::OkStatus() : gate_(operation, path);
}

absl::Status PrivateFiles::MakeDirectory(const std::string& path) const {
  RETURN_IF_ERROR(Ask("make", path));
  return mkdir(path.c_str(), 0700) == 0 ? absl::OkStatus() : FileError("make directory", path);
}

absl::StatusOr<std::unique_ptr<PrivateFiles::Output>> PrivateFiles::Create(const std::string& path) const {
  RETURN_IF_ERROR(Ask("create", path));
  const int fd = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return FileError("create", path);
  return std::make_unique<FileOutput>(this, path, fd);
}

absl::Status PrivateFiles::WriteFile(const std::string& path, absl::string_view content) const {
  ASSIGN_OR_RETURN(const std::unique_ptr<Output> file, Create(path));
  RETURN_IF_ERROR(file->Append(content));
  return file->Finish();
}

absl::Status PrivateFiles::Rename(const std::string& from, const std::string& to) const {
  RETURN_IF_ERROR(Ask("rename", to));
  return rename(from.c_str(), to.c_str()) == 0 ? absl::OkStatus() : FileError("put into place", to);
}

absl::Status PrivateFiles::SyncDirectory(const std::string& path) const {
  RETURN_IF_ERROR(Ask("sync", path));
  const int fd = open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) return FileError("open", path);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  return fsync(fd) == 0 ? absl::OkStatus() : FileError("sync", path);
}

absl::Status PrivateFiles::RemoveTree(const std::string& path) const {
  RETURN_IF_ERROR(Ask("remove", path));
  std::error_code error;
  std::filesystem::remove_all(path, error);
  if (!error) return absl::OkStatus();
  errno = error.value();
  return FileError("remove", path);
}

absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path) {
  DIR* directory = opendir(path.c_str());
  if (directory == nullptr) return FileError("read directory", path);
  const absl::Cleanup close_directory = [directory] { closedir(directory); };
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = readdir(directory)) {
    const std::string name = entry->d_name;
    if (name != "." && name != "..") names.push_back(name);
  }
  if (errno != 0) return FileError("read directory", path);
  std::sort(names.begin(), names.end());
  return names;
}

absl::StatusOr<std::string> ReadRegularFile(const std::string& path, size_t limit) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0) return FileError("open", path);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat info = {};
  if (fstat(fd, &info) != 0) return FileError("examine", path);
  if (!S_ISREG(info.st_mode) || static_cast<size_t>(info.st_size) > limit) {
    return absl::DataLossError(absl::StrCat(path, " is no file of at most ", limit, " bytes"));
  }
  std::string content(static_cast<size_t>(info.st_size), '\0');
  size_t size = 0;
  while (size < content.size()) {
    const ssize_t got = read(fd, content.data() + size, content.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read", path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  content.resize(size);
  return content;
}

std::string ParentOf(absl::string_view path) {
  while (path.size() > 1 && path.back() == '/') path.remove_suffix(1);
  const size_t slash = path.rfind('/');
  if (slash == absl::string_view::npos) return ".";
  return slash == 0 ? "/" : std::string(path.substr(0, slash));
}

absl::Status CheckPrivateDirectory(const std::string& path) {
  struct stat info = {};
  if (lstat(path.c_str(), &info) != 0) return FileError("examine", path);
  if (!S_ISDIR(info.st_mode)) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is not a directory: name a directory"));
  }
  if (info.st_uid != geteuid()) {
    return absl::FailedPreconditionError(absl::StrCat(path, " is owned by user ", info.st_uid, ", not by user ",
                                                      geteuid(), " who runs this: use a directory of your own"));
  }
  if ((info.st_mode & 077) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(path, " can be used by others: run chmod 700 ", path));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<void>> LockFile(const std::string& path, absl::string_view who) {
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return FileError("open lock file", path);
  std::shared_ptr<void> lock(nullptr, [fd](void*) { close(fd); });
  if (flock(fd, LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return FileError("lock", path);
  return absl::FailedPreconditionError(absl::StrCat("another ", who, " uses ", path, ": wait until it has ended"));
}

}  // namespace keyferry::storage
