#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "openssl/base64.h"
#include "storage/crypto/aead.h"
#include "storage/crypto/key_provider.h"
#include "storage/crypto/secret_file.h"
#include "storage/crypto/wrapping.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

// 32 bytes in base64, without the newline.
constexpr size_t kKekTextSize = 44;

class FileKeyProvider : public KeyProvider {
 public:
  FileKeyProvider(std::string path, SecretBytes kek) : path_(std::move(path)), kek_(std::move(kek)) {}

  std::string Description() const override { return absl::StrCat("file ", path_); }

  absl::StatusOr<std::string> Wrap(const SecretBytes& root_key, absl::string_view associated_data) const override {
    return WrapWith(kek_, WrapKind::kFile, /*parameters=*/"", root_key, associated_data);
  }

  absl::StatusOr<SecretBytes> Unwrap(absl::string_view wrapped, absl::string_view associated_data) const override {
    ASSIGN_OR_RETURN(WrappedParts parts, ParseWrapped(wrapped, WrapKind::kFile));
    return UnwrapWith(kek_, parts, associated_data);
  }

 private:
  const std::string path_;
  const SecretBytes kek_;
};

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }

 private:
  const int fd_;
};

absl::Status CheckOwnerAndMode(int fd, const std::string& path) {
  struct stat info;
  if (fstat(fd, &info) != 0) return absl::UnavailableError(absl::StrCat("cannot examine KEK file ", path));
  if (!S_ISREG(info.st_mode))
    return absl::InvalidArgumentError(absl::StrCat("KEK file ", path, " is not a plain file"));
  return CheckSecretFile(info, geteuid(), "KEK file", path);
}

absl::StatusOr<SecretBytes> DecodeKek(const SecretBytes& text, const std::string& path) {
  absl::string_view line = text.Expose();
  if (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  SecretBytes kek(kKekTextSize);
  size_t size = 0;
  if (line.size() != kKekTextSize ||
      EVP_DecodeBase64(kek.ExposeMutable().data(), &size, kek.size(), reinterpret_cast<const uint8_t*>(line.data()),
                       line.size()) != 1 ||
      size != Aead::kKeySize) {
    return absl::InvalidArgumentError(
        absl::StrCat("KEK file ", path,
                     " does not hold a KEK: one line of base64 that stands for 32 bytes; put the KEK of the store "
                     "there, from where it is kept"));
  }
  kek.Truncate(size);
  return kek;
}

absl::Status WriteAll(int fd, absl::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return absl::UnavailableError(absl::StrCat("cannot write: ", std::strerror(errno)));
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (fsync(fd) != 0) return absl::UnavailableError(absl::StrCat("cannot sync: ", std::strerror(errno)));
  return absl::OkStatus();
}

absl::Status SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const Descriptor file(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.get() < 0 || fsync(file.get()) != 0) {
    return absl::UnavailableError(absl::StrCat("cannot sync folder ", folder, ": ", std::strerror(errno)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::unique_ptr<KeyProvider>> LoadFileKeyProvider(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK));
  if (file.get() < 0) {
    const int error = errno;
    const std::string message = absl::StrCat("cannot open KEK file ", path, ": ", std::strerror(error));
    if (error != ENOENT) return absl::FailedPreconditionError(message);
    return absl::NotFoundError(absl::StrCat(message, "; put the KEK of the store there, from where it is kept"));
  }
  RETURN_IF_ERROR(CheckOwnerAndMode(file.get(), path));
  SecretBytes text(kKekTextSize + 2);
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t count = read(file.get(), text.ExposeMutable().data() + size, text.size() - size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return absl::UnavailableError(absl::StrCat("cannot read KEK file ", path));
    if (count == 0) break;
    size += static_cast<size_t>(count);
  }
  text.Truncate(size);
  ASSIGN_OR_RETURN(SecretBytes kek, DecodeKek(text, path));
  return std::make_unique<FileKeyProvider>(path, std::move(kek));
}

absl::Status CreateKekFile(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) {
    const std::string message = absl::StrCat("cannot create KEK file ", path, ": ", std::strerror(errno));
    return errno == EEXIST ? absl::AlreadyExistsError(message) : absl::FailedPreconditionError(message);
  }
  SecretBytes kek(Aead::kKeySize);
  RandomBytes(kek.ExposeMutable());
  SecretBytes text(kKekTextSize + 1);
  EVP_EncodeBlock(text.ExposeMutable().data(), kek.ExposeMutable().data(), kek.size());
  text.ExposeMutable()[kKekTextSize] = '\n';
  absl::Status status = WriteAll(file.get(), text.Expose());
  if (status.ok()) status = SyncFolderOf(path);
  // A KEK file that may not survive must not stay: a store made under it could never be opened again.
  if (!status.ok()) unlink(path.c_str());
  return status;
}

}  // namespace keyferry::storage
