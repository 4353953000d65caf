#include "storage/backup/backup_writer.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <system_error>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "storage/backup/backup_reader.h"
#include "storage/backup/format.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/crypto/sha256_stream.h"
#include "storage/format.h"
#include "storage/header.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kBackupIdSize = 8;
constexpr char kLockName[] = "/.lock";
constexpr char kPartialPrefix[] = ".partial-";

// Whether `path` is `directory` or lies in it, whatever links lead there.
bool LiesIn(const std::string& path, const std::string& directory) {
  std::error_code error;
  const std::string inner = std::filesystem::weakly_canonical(path, error).string();
  const std::string outer = std::filesystem::weakly_canonical(directory, error).string();
  return inner == outer || absl::StartsWith(inner, outer + "/");
}

// Writes the files of entries, no faster than is allowed.
class EntriesWriter {
 public:
  EntriesWriter(const BackupOptions& options, const PrivateFiles& files, std::string directory)
      : options_(options), files_(files), directory_(std::move(directory)), begun_(options.clock()) {}

  absl::Status Add(const EngineEntry& entry) {
    if (entry.key.size() > kMaxKeySize || entry.value.size() > kMaxValueSize) {
      return absl::DataLossError("a stored entry is larger than an engine takes");
    }
    if (file_ == nullptr) RETURN_IF_ERROR(Begin());
    AppendUint16(static_cast<uint16_t>(entry.key.size()), buffer_);
    AppendUint32(static_cast<uint32_t>(entry.value.size()), buffer_);
    absl::StrAppend(&buffer_, entry.key, entry.value);
    ++progress_.entries;
    if (buffer_.size() >= kPieceBytes) RETURN_IF_ERROR(WritePiece());
    return current_.bytes + buffer_.size() >= options_.file_bytes ? End() : absl::OkStatus();
  }

  absl::Status Finish(BackupManifest* manifest) {
    if (file_ != nullptr) RETURN_IF_ERROR(End());
    manifest->entries = progress_.entries;
    manifest->files = std::move(done_);
    return absl::OkStatus();
  }

 private:
  absl::Status Begin() {
    current_ = BackupManifest::File();
    current_.name = absl::StrFormat("entries-%06d", done_.size() + 1);
    hash_ = Sha256Stream();
    buffer_ = std::string(kEntriesMagic);
    ASSIGN_OR_RETURN(file_, files_.Create(absl::StrCat(directory_, "/", current_.name)));
    return absl::OkStatus();
  }

  absl::Status WritePiece() {
    hash_.Update(buffer_);
    RETURN_IF_ERROR(file_->Append(buffer_));
    current_.bytes += buffer_.size();
    progress_.bytes += buffer_.size();
    buffer_.clear();
    if (options_.progress != nullptr && !options_.progress(progress_)) {
      return absl::CancelledError("the backup was given up: the server stops; begin it again");
    }
    if (options_.bytes_per_second == 0) return absl::OkStatus();
    const absl::Time due = begun_ + absl::Seconds(1.0 * progress_.bytes / options_.bytes_per_second);
    const absl::Duration ahead = due - options_.clock();
    if (ahead > absl::ZeroDuration()) options_.sleep(ahead);
    return absl::OkStatus();
  }

  absl::Status End() {
    RETURN_IF_ERROR(WritePiece());
    RETURN_IF_ERROR(file_->Finish());
    file_.reset();
    current_.sha256 = hash_.Finish();
    done_.push_back(current_);
    return absl::OkStatus();
  }

  const BackupOptions& options_;
  const PrivateFiles& files_;
  const std::string directory_;
  const absl::Time begun_;
  std::unique_ptr<PrivateFiles::Output> file_;
  BackupManifest::File current_;
  Sha256Stream hash_;
  std::string buffer_;
  BackupProgress progress_;
  std::vector<BackupManifest::File> done_;
};

// A backup in a directory whose own name a power loss takes away would be lost with it.
absl::Status MakeDurableDirectory(const std::string& directory, const PrivateFiles& files) {
  RETURN_IF_ERROR(files.MakeDirectory(directory));
  const absl::Status synced = files.SyncDirectory(ParentOf(directory));
  // So that the next try makes and syncs it again.
  if (!synced.ok()) rmdir(directory.c_str());
  return synced;
}

absl::Status PrepareDirectory(const BackupOptions& options, const PrivateFiles& files) {
  const std::string& directory = options.directory;
  if (!absl::StartsWith(directory, "/")) {
    return absl::InvalidArgumentError(
        absl::StrCat("the directory for backups, ", directory, ", is not an absolute path: begin it with /"));
  }
  if (LiesIn(directory, options.data_dir)) {
    return absl::FailedPreconditionError(absl::StrCat("the directory for backups, ", directory,
                                                      ", lies in the data directory ", options.data_dir,
                                                      ": name one elsewhere, best on another disk"));
  }
  std::error_code error;
  if (!std::filesystem::exists(directory, error)) RETURN_IF_ERROR(MakeDurableDirectory(directory, files));
  return CheckPrivateDirectory(directory);
}

// What crashes left. Only the holder of the directory's lock may.
absl::Status RemovePartial(const std::string& directory, const PrivateFiles& files) {
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(directory));
  for (const std::string& name : names) {
    if (absl::StartsWith(name, kPartialPrefix)) RETURN_IF_ERROR(files.RemoveTree(absl::StrCat(directory, "/", name)));
  }
  return absl::OkStatus();
}

absl::Status WriteEntries(const EngineSnapshot& snapshot, EntriesWriter& writer, BackupManifest* manifest) {
  absl::Status written;
  RETURN_IF_ERROR(snapshot.Scan(/*prefix=*/"", /*after=*/"", [&](const EngineEntry& entry) {
    written = writer.Add(entry);
    return written.ok();
  }));
  RETURN_IF_ERROR(written);
  return writer.Finish(manifest);
}

}  // namespace

absl::StatusOr<BackupResult> WriteBackup(BackupSource& source, const BackupOptions& options) {
  const PrivateFiles files(options.gate);
  RETURN_IF_ERROR(PrepareDirectory(options, files));
  ASSIGN_OR_RETURN(const std::shared_ptr<void> lock, LockFile(options.directory + kLockName, "backup"));
  RETURN_IF_ERROR(RemovePartial(options.directory, files));

  ASSIGN_OR_RETURN(BackupView view, source.TakeBackupView());
  ASSIGN_OR_RETURN(const StoreHeader header, StoreHeader::Parse(view.header));
  BackupResult result;
  BackupManifest& manifest = result.manifest;
  manifest.store_id = absl::BytesToHexString(header.store_id);
  manifest.backup_id = absl::BytesToHexString(RandomString(kBackupIdSize));
  manifest.time = absl::FromUnixSeconds(absl::ToUnixSeconds(options.clock()));
  manifest.revision = view.snapshot->revision();
  manifest.header = view.header;

  const std::string name =
      absl::StrCat(absl::FormatTime("%Y%m%dT%H%M%SZ", manifest.time, absl::UTCTimeZone()), "-", manifest.backup_id);
  const std::string partial = absl::StrCat(options.directory, "/", kPartialPrefix, name);
  absl::Cleanup remove_partial = [&] { PrivateFiles().RemoveTree(partial).IgnoreError(); };
  RETURN_IF_ERROR(files.MakeDirectory(partial));
  EntriesWriter writer(options, files, partial);
  RETURN_IF_ERROR(WriteEntries(*view.snapshot, writer, &manifest));
  view.snapshot.reset();
  RETURN_IF_ERROR(files.WriteFile(absl::StrCat(partial, "/", kManifestName), manifest.Encode(*view.key)));
  RETURN_IF_ERROR(files.SyncDirectory(partial));
  if (options.before_publishing != nullptr) RETURN_IF_ERROR(options.before_publishing(manifest));
  result.path = absl::StrCat(options.directory, "/", name);
  RETURN_IF_ERROR(files.Rename(partial, result.path));
  std::move(remove_partial).Cancel();
  RETURN_IF_ERROR(files.SyncDirectory(options.directory));
  return result;
}

absl::StatusOr<int> PruneBackups(const std::string& directory, const std::shared_ptr<const BackupKey>& key, size_t keep,
                                 const std::string& made, const PrivateFiles::Gate& gate) {
  const PrivateFiles files(gate);
  ASSIGN_OR_RETURN(const std::shared_ptr<void> lock, LockFile(directory + kLockName, "backup"));
  ASSIGN_OR_RETURN(const std::vector<ListedBackup> listed, ListBackups(directory));
  std::vector<std::tuple<Revision, absl::Time, std::string>> own;
  for (const ListedBackup& backup : listed) {
    const auto reader = BackupReader::OpenWith(backup.path, key);
    if (reader.ok()) own.emplace_back(reader->manifest().revision, reader->manifest().time, backup.path);
  }
  std::sort(own.begin(), own.end());
  int removed = 0;
  for (size_t i = 0; i + keep < own.size(); ++i) {
    const std::string& path = std::get<std::string>(own[i]);
    if (path == made) continue;
    // Under this name the next backup removes what a crash leaves of it.
    const std::string partial = absl::StrCat(directory, "/", kPartialPrefix, path.substr(path.rfind('/') + 1));
    RETURN_IF_ERROR(files.Rename(path, partial));
    RETURN_IF_ERROR(files.RemoveTree(partial));
    ++removed;
  }
  return removed;
}

}  // namespace keyferry::storage
