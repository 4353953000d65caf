#ifndef KEYFERRY_SERVER_BACKUPS_BACKUPS_H_
#define KEYFERRY_SERVER_BACKUPS_BACKUPS_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/log.h"
#include "storage/backup/backup_reader.h"
#include "storage/backup/backup_source.h"
#include "storage/backup/backup_writer.h"
#include "storage/store.h"

namespace keyferry::server {

struct BackupSettings {
  // The store's own directory.
  std::string data_dir;
  // Where backups go unless the caller names a directory; empty: they must.
  std::string directory;
  uint64_t bytes_per_second = 0;
  // How many a scheduled backup leaves; 0: all.
  uint32_t keep = 0;
};

// What is known of the backups that this process made.
struct BackupState {
  // The last that succeeded; InfinitePast if none did.
  absl::Time last_success = absl::InfinitePast();
  std::string last_path;
  // Why the last one failed; OK if it succeeded or there was none.
  absl::Status last_failure;
  absl::Time last_failure_time = absl::InfinitePast();
};

// What the operator of the machine does about backups while the server runs. No method of the API reaches this: a
// backup holds every organization. Each backup, made or failed, has an entry in the system's audit log. Thread-safe.
class Backups {
 public:
  // The pointers outlive this.
  Backups(storage::Store* store, storage::BackupSource* source, BackupSettings settings,
          std::function<absl::Time()> clock, Logger* logger);

  // Makes one in `directory`, or in the configured one if that is empty. One whose audit entry cannot be stored fails.
  // Errors as WriteBackup.
  absl::StatusOr<storage::BackupResult> Create(const std::string& directory,
                                               const std::function<void(const storage::BackupProgress&)>& progress)
      ABSL_LOCKS_EXCLUDED(mutex_);

  // Create in the configured directory, then Prune.
  absl::Status CreateScheduled() ABSL_LOCKS_EXCLUDED(mutex_);

  absl::StatusOr<std::vector<storage::ListedBackup>> List(const std::string& directory) const;

  // Checks manifest and files of a backup of this store, and answers its manifest. CANCELLED after Stop.
  absl::StatusOr<storage::BackupManifest> Verify(const std::string& path) const;

  // When the newest backup of this store in the configured directory was made, those of the future left out;
  // InfinitePast if there is none.
  absl::Time NewestTime() const;

  BackupState state() const ABSL_LOCKS_EXCLUDED(mutex_);
  const BackupSettings& settings() const { return settings_; }

  // Gives up what is being made or checked, and everything later.
  void Stop() { stopped_ = true; }

 private:
  // Of the store's backups.
  absl::StatusOr<std::shared_ptr<const storage::BackupKey>> Key() const;
  absl::StatusOr<std::string> DirectoryFor(const std::string& directory) const;
  absl::Status Audit(const std::string& backup_id, const absl::Status& outcome) const;

  storage::Store* const store_;
  storage::BackupSource* const source_;
  const BackupSettings settings_;
  const std::function<absl::Time()> clock_;
  Logger* const logger_;
  std::atomic<bool> stopped_{false};
  mutable absl::Mutex mutex_;
  BackupState state_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_BACKUPS_BACKUPS_H_
