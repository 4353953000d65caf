#ifndef KEYFERRY_STORAGE_BACKUP_BACKUP_READER_H_
#define KEYFERRY_STORAGE_BACKUP_BACKUP_READER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/backup/backup_key.h"
#include "storage/backup/manifest.h"
#include "storage/crypto/key_provider.h"

namespace keyferry::storage {

// A backup whose manifest is authentic. Thread-safe.
//
// Errors: NOT_FOUND (no backup there), PERMISSION_DENIED (the KEK is not the one that it was made under), DATA_LOSS
// (something of it is missing, changed or of another backup; the message names it), FAILED_PRECONDITION (a later
// version wrote it), UNAVAILABLE (I/O).
class BackupReader {
 public:
  static absl::StatusOr<BackupReader> Open(const std::string& path, const KeyProvider& key_provider);
  // With the key of a store that is open, for a backup of that store.
  static absl::StatusOr<BackupReader> OpenWith(const std::string& path, std::shared_ptr<const BackupKey> key);

  const BackupManifest& manifest() const { return manifest_; }

  // Checks that the files are those of the manifest, each whole and unchanged, and that there is nothing else.
  // `go_on` is asked for each piece of about a megabyte; a false answer ends it with CANCELLED. Null: goes on.
  absl::Status VerifyFiles(const std::function<bool()>& go_on = nullptr) const;

  // Checks them once more while reading them. What `visit` was given is authentic only once this has returned OK; an
  // error of `visit` ends it.
  absl::Status ForEachEntry(
      const std::function<absl::Status(absl::string_view key, absl::string_view value)>& visit) const;

 private:
  BackupReader(std::string path, BackupManifest manifest) : path_(std::move(path)), manifest_(std::move(manifest)) {}

  absl::Status CheckNames() const;

  std::string path_;
  BackupManifest manifest_;
};

// A backup as `ListBackups` sees it, without a key: nothing of it is authenticated.
struct ListedBackup {
  std::string path;
  // Of a backup that cannot be read, why.
  absl::StatusOr<BackupManifest> manifest;
};

// The backups in a directory, oldest first by name. Names that begin with a dot are left out.
absl::StatusOr<std::vector<ListedBackup>> ListBackups(const std::string& directory);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_BACKUP_BACKUP_READER_H_
