#ifndef KEYFERRY_STORAGE_BACKUP_BACKUP_SOURCE_H_
#define KEYFERRY_STORAGE_BACKUP_BACKUP_SOURCE_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/backup/backup_key.h"
#include "storage/engine/engine.h"

namespace keyferry::storage {

// One consistent state of a store in its sealed form. It keeps what is deleted meanwhile in the store's files: drop it
// as soon as it was read.
struct BackupView {
  std::shared_ptr<const EngineSnapshot> snapshot;
  // Serialized.
  std::string header;
  std::shared_ptr<const BackupKey> key;
};

// What backups are made of. Thread-safe.
class BackupSource {
 public:
  virtual ~BackupSource() = default;

  // Every commit that was acknowledged before is in it.
  virtual absl::StatusOr<BackupView> TakeBackupView() = 0;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_BACKUP_BACKUP_SOURCE_H_
