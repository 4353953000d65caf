#include "client/files.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace keyferry::client {
namespace {

constexpr size_t kMaxTokenFile = 16 * 1024;

enum class Privacy { kAny, kOthersCannotReadOrWrite, kOnlyOwnerWrites };

class FileDescriptor {
 public:
  explicit FileDescriptor(int fd) : fd_(fd) {}
  ~FileDescriptor() {
    if (fd_ >= 0) close(fd_);
  }
  FileDescriptor(const FileDescriptor&) = delete;
  FileDescriptor& operator=(const FileDescriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status Problem(absl::string_view what, absl::string_view problem, const std::string& path,
                     absl::string_view next_step) {
  return absl::InvalidArgumentError(absl::StrCat("the ", what, " ", problem, ": ", path, "; ", next_step));
}

std::string ErrorText(int error) {
  // strerror_r of glibc may return a static text instead of filling the buffer.
  char buffer[128];
  return strerror_r(error, buffer, sizeof(buffer));
}

absl::Status CheckPrivacy(const struct stat& info, Privacy privacy, absl::string_view what, const std::string& path) {
  const std::string mode = absl::StrFormat("%04o", info.st_mode & 07777);
  if (privacy == Privacy::kOthersCannotReadOrWrite && (info.st_mode & (S_IROTH | S_IWOTH)) != 0) {
    return Problem(what, absl::StrCat("is open to other users (mode ", mode, ")"), path,
                   absl::StrCat("run: chmod 600 ", path));
  }
  if (privacy == Privacy::kOnlyOwnerWrites) {
    if ((info.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
      return Problem(what, absl::StrCat("can be written by others (mode ", mode, ")"), path,
                     absl::StrCat("run: chmod 600 ", path));
    }
    if (info.st_uid != geteuid() && info.st_uid != 0) {
      return Problem(what, "belongs to another user", path, "use a file of your own");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<SecretText> Read(const std::string& path, absl::string_view what, size_t max_size, Privacy privacy) {
  // O_NONBLOCK: opening a FIFO must not wait for a writer.
  FileDescriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.get() < 0) {
    const int error = errno;
    return Problem(what, absl::StrCat("cannot be opened (", ErrorText(error), ")"), path,
                   error == ENOENT ? "check the file's name" : "check the permissions");
  }
  struct stat info;
  if (fstat(file.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return Problem(what, "is not a regular file", path, "name a file");
  }
  absl::Status allowed = CheckPrivacy(info, privacy, what, path);
  if (!allowed.ok()) return allowed;
  // One byte more than the file should have, to notice that it grew. Files of /proc say 0.
  const size_t expected = static_cast<size_t>(info.st_size);
  SecretText text(std::min(std::max(expected, size_t{4096}), max_size) + 1);
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = read(file.get(), text.ExposeMutable() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Problem(what, absl::StrCat("cannot be read (", ErrorText(errno), ")"), path, "try again");
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  if (size == text.size()) {
    return Problem(what, absl::StrCat("is longer than ", text.size() - 1, " bytes"), path, "name another file");
  }
  text.Truncate(size);
  return text;
}

absl::StatusOr<std::string> ReadString(const std::string& path, absl::string_view what, size_t max_size,
                                       Privacy privacy) {
  absl::StatusOr<SecretText> text = Read(path, what, max_size, privacy);
  if (!text.ok()) return text.status();
  return std::string(text->Expose());
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, absl::string_view what, size_t max_size) {
  return ReadString(path, what, max_size, Privacy::kAny);
}

absl::StatusOr<SecretText> ReadSecretFile(const std::string& path, absl::string_view what, size_t max_size) {
  return Read(path, what, max_size, Privacy::kOthersCannotReadOrWrite);
}

absl::StatusOr<std::string> ReadOwnFile(const std::string& path, absl::string_view what, size_t max_size) {
  return ReadString(path, what, max_size, Privacy::kOnlyOwnerWrites);
}

absl::StatusOr<SecretText> ReadTokenFile(const std::string& path, absl::string_view what) {
  absl::StatusOr<SecretText> text = ReadSecretFile(path, what, kMaxTokenFile);
  if (!text.ok()) return text.status();
  const absl::string_view token = text->Expose();
  if (!token.empty() && token.back() == '\n') text->Truncate(token.size() - 1);
  if (text->empty()) return Problem(what, "is empty", path, "write the token's text to it");
  for (const char c : text->Expose()) {
    if (c <= ' ' || c > '~') {
      return Problem(what, "holds more than a token (spaces, line breaks or other characters)", path,
                     "write nothing but the token's text to it");
    }
  }
  return text;
}

}  // namespace keyferry::client
