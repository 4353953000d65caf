#ifndef KEYFERRY_STORAGE_BACKUP_BACKUP_WRITER_H_
#define KEYFERRY_STORAGE_BACKUP_BACKUP_WRITER_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "storage/backup/backup_source.h"
#include "storage/backup/manifest.h"
#include "storage/backup/private_files.h"

namespace keyferry::storage {

struct BackupProgress {
  uint64_t entries = 0;
  uint64_t bytes = 0;
};

struct BackupOptions {
  // Absolute path of the directory that holds the backups, each in a directory of its own; made with mode 0700 if it
  // does not exist (its parent must).
  std::string directory;
  // The store's directory, in which no backup may lie.
  std::string data_dir;
  // Bytes that are written in a second, in the long run; 0: as fast as it goes.
  uint64_t bytes_per_second = 0;
  // After this many bytes the next file is begun.
  uint64_t file_bytes = uint64_t{64} << 20;
  std::function<absl::Time()> clock;
  std::function<void(absl::Duration)> sleep;
  // Called after each piece of about a megabyte. A false answer ends the backup with CANCELLED. Null: none.
  std::function<bool(const BackupProgress&)> progress;
  // Called once the backup is complete, before it gets its name; an error ends it. Null: none.
  std::function<absl::Status(const BackupManifest&)> before_publishing;
  PrivateFiles::Gate gate;
};

struct BackupResult {
  // The backup's own directory.
  std::string path;
  BackupManifest manifest;
};

// Copies one state of the store, as it is sealed, while the store is in use: what every commit that was acknowledged
// before the call has written, and nothing that was deleted or replaced before it. Nothing is opened.
//
// The backup has its final name only once it is complete and synced; what a crash leaves of one is removed by the next
// in that directory. Where several run in one directory, one goes on and the others fail with FAILED_PRECONDITION.
//
// Errors: as PrivateFiles; DATA_LOSS if what is stored fails the engine's checksums; FAILED_PRECONDITION if the
// directory lies in the data directory or others can use it; CANCELLED.
absl::StatusOr<BackupResult> WriteBackup(BackupSource& source, const BackupOptions& options);

// Removes all but the newest `keep` backups of the store whose key this is. The store's revision tells which is newer,
// not the time, since a clock can be wrong. `made`, the path of a backup ("": none), is never removed. What does not
// authenticate is left alone and does not count. Answers how many were removed.
absl::StatusOr<int> PruneBackups(const std::string& directory, const std::shared_ptr<const BackupKey>& key, size_t keep,
                                 const std::string& made, const PrivateFiles::Gate& gate = nullptr);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_BACKUP_BACKUP_WRITER_H_
