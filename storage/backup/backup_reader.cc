#include "storage/backup/backup_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/str_cat.h"
#include "storage/backup/entry_parser.h"
#include "storage/backup/format.h"
#include "storage/backup/private_files.h"
#include "storage/crypto/sha256_stream.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

constexpr size_t kReadBytes = size_t{1} << 20;
constexpr size_t kMaxManifestBytes = size_t{16} << 20;

absl::Status Damaged(const std::string& file, absl::string_view what) {
  return absl::DataLossError(absl::StrCat("the backup's file ", file, " ", what, ": use another backup"));
}

absl::StatusOr<std::string> ReadManifest(const std::string& path) {
  struct stat info = {};
  if (stat(path.c_str(), &info) != 0 || !S_ISDIR(info.st_mode)) {
    return absl::NotFoundError(absl::StrCat("there is no backup ", path, ": name the directory of one"));
  }
  const std::string file = absl::StrCat(path, "/", kManifestName);
  absl::StatusOr<std::string> text = ReadRegularFile(file, kMaxManifestBytes);
  if (absl::IsNotFound(text.status())) {
    return absl::NotFoundError(
        absl::StrCat("there is no backup in ", path, ", since it has no MANIFEST: name the directory of one backup"));
  }
  return text;
}

absl::Status InBackup(const std::string& path, const absl::Status& status) {
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("backup ", path, ": ", status.message()));
}

// Hands the file's bytes on piece by piece, and checks at its end that it was the one of the manifest.
absl::Status ReadChecked(const std::string& path, const BackupManifest::File& file,
                         const std::function<absl::Status(absl::string_view)>& visit) {
  const std::string full = absl::StrCat(path, "/", file.name);
  const int fd = open(full.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  if (fd < 0 && errno == ENOENT) return Damaged(full, "is missing");
  if (fd < 0) return FileError("open", full);
  const absl::Cleanup close_fd = [fd] { close(fd); };
  struct stat info = {};
  if (fstat(fd, &info) != 0) return FileError("examine", full);
  if (!S_ISREG(info.st_mode)) return Damaged(full, "is no regular file");
  const uint64_t size = static_cast<uint64_t>(info.st_size);
  if (size < file.bytes) return Damaged(full, absl::StrCat("was cut short: ", size, " of ", file.bytes, " bytes"));
  if (size > file.bytes) return Damaged(full, absl::StrCat("is too long: ", size, ", not ", file.bytes, " bytes"));
  Sha256Stream hash;
  std::string buffer(kReadBytes, '\0');
  while (true) {
    const ssize_t got = read(fd, buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return FileError("read", full);
    if (got == 0) break;
    const absl::string_view piece(buffer.data(), static_cast<size_t>(got));
    hash.Update(piece);
    if (visit != nullptr) RETURN_IF_ERROR(visit(piece));
  }
  if (hash.Finish() != file.sha256) return Damaged(full, "was changed, or is of another backup");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<BackupReader> BackupReader::Open(const std::string& path, const KeyProvider& key_provider) {
  ASSIGN_OR_RETURN(const std::string text, ReadManifest(path));
  absl::StatusOr<BackupManifest> manifest = BackupManifest::Parse(text);
  RETURN_IF_ERROR(InBackup(path, manifest.status()));
  const auto key = BackupKey::Unwrap(manifest->header, key_provider);
  if (absl::IsPermissionDenied(key.status())) {
    return absl::PermissionDeniedError(
        absl::StrCat("backup ", path, ": ", key.status().message(), ", or, for a backup, the one it had at that time"));
  }
  RETURN_IF_ERROR(InBackup(path, key.status()));
  RETURN_IF_ERROR(InBackup(path, manifest->Authenticate(text, **key)));
  return BackupReader(path, *std::move(manifest));
}

absl::StatusOr<BackupReader> BackupReader::OpenWith(const std::string& path, std::shared_ptr<const BackupKey> key) {
  ASSIGN_OR_RETURN(const std::string text, ReadManifest(path));
  absl::StatusOr<BackupManifest> manifest = BackupManifest::Parse(text);
  RETURN_IF_ERROR(InBackup(path, manifest.status()));
  RETURN_IF_ERROR(InBackup(path, manifest->Authenticate(text, *key)));
  return BackupReader(path, *std::move(manifest));
}

absl::Status BackupReader::CheckNames() const {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(path_));
  std::set<std::string> known = {std::string(kManifestName)};
  for (const BackupManifest::File& file : manifest_.files) known.insert(file.name);
  for (const std::string& name : names) {
    if (known.count(name) == 0) {
      return absl::DataLossError(
          absl::StrCat(path_, "/", name, " is no file of this backup: take it away if you put it there"));
    }
  }
  return absl::OkStatus();
}

absl::Status BackupReader::VerifyFiles(const std::function<bool()>& go_on) const {
  RETURN_IF_ERROR(CheckNames());
  const auto check = [&go_on](absl::string_view) {
    if (go_on == nullptr || go_on()) return absl::OkStatus();
    return absl::CancelledError("the check was given up: the server stops; begin it again");
  };
  for (const BackupManifest::File& file : manifest_.files) RETURN_IF_ERROR(ReadChecked(path_, file, check));
  return absl::OkStatus();
}

absl::Status BackupReader::ForEachEntry(
    const std::function<absl::Status(absl::string_view key, absl::string_view value)>& visit) const {
  uint64_t entries = 0;
  for (const BackupManifest::File& file : manifest_.files) {
    EntryParser parser([&](absl::string_view key, absl::string_view value) {
      ++entries;
      return visit(key, value);
    });
    const absl::Status read =
        ReadChecked(path_, file, [&parser](absl::string_view piece) { return parser.Feed(piece); });
    RETURN_IF_ERROR(read);
    if (!parser.AtEnd()) return Damaged(absl::StrCat(path_, "/", file.name), "ends within an entry");
  }
  if (entries == manifest_.entries) return absl::OkStatus();
  return absl::DataLossError(absl::StrCat("backup ", path_, " holds ", entries, " entries instead of ",
                                          manifest_.entries, ": use another backup"));
}

absl::StatusOr<std::vector<ListedBackup>> ListBackups(const std::string& directory) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
  std::vector<ListedBackup> backups;
  for (const std::string& name : names) {
    if (name[0] == '.') continue;
    const std::string path = absl::StrCat(directory, "/", name);
    const absl::StatusOr<std::string> text = ReadManifest(path);
    if (text.ok()) {
      backups.push_back({path, BackupManifest::Parse(*text)});
    } else {
      backups.push_back({path, text.status()});
    }
  }
  return backups;
}

}  // namespace keyferry::storage
