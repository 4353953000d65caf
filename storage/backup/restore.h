#ifndef KEYFERRY_STORAGE_BACKUP_RESTORE_H_
#define KEYFERRY_STORAGE_BACKUP_RESTORE_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/backup/manifest.h"
#include "storage/backup/private_files.h"
#include "storage/crypto/key_provider.h"
#include "storage/store.h"

namespace keyferry::storage {

struct RestoreOptions {
  // The backup's own directory.
  std::string backup;
  // Where the store is to be: a path that does not exist, or an empty directory. Its parent must exist.
  std::string data_dir;
  // Does everything but the last step: what was restored is removed again.
  bool check_only = false;
  // Called with the restored store once every record of it was verified and before it has its place; an error ends the
  // restore. Null: none.
  std::function<absl::Status(const BackupManifest&, Store&)> inspect;
  PrivateFiles::Gate gate;
};

// Verifies the backup's manifest and files, loads them into a new store beside `data_dir` ("DATA_DIR.restoring"), opens
// that with the KEK, verifies every record and every journal in it, and only then renames it into place. Until then,
// and after an error, `data_dir` is as it was. What a crash leaves beside it is removed by the next restore. One
// restore at a time works beside a `data_dir`; the empty file that it locks ("DATA_DIR.restoring.lock") stays.
//
// Errors: as BackupReader and OpenStore; FAILED_PRECONDITION if `data_dir` holds something, or another restore is about
// to make it.
absl::StatusOr<BackupManifest> RestoreBackup(const RestoreOptions& options, const KeyProvider& key_provider);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_BACKUP_RESTORE_H_
