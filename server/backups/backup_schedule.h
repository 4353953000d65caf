#ifndef KEYFERRY_SERVER_BACKUPS_BACKUP_SCHEDULE_H_
#define KEYFERRY_SERVER_BACKUPS_BACKUP_SCHEDULE_H_

#include <functional>
#include <thread>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/backups/backups.h"

namespace keyferry::server {

// When the next backup is due: `every` after the newest of the directory or of this process, at once if there is none,
// and after a failure not before a while.
absl::Time NextBackupTime(absl::Time newest, const BackupState& state, absl::Duration every, absl::Time now);

// Makes a backup whenever one is due, on a thread of its own, until it is destroyed.
class BackupSchedule {
 public:
  // `backups` outlives this.
  BackupSchedule(Backups* backups, absl::Duration every, std::function<absl::Time()> clock);
  // Gives up a backup that is being made.
  ~BackupSchedule();

 private:
  void Run() ABSL_LOCKS_EXCLUDED(mutex_);

  Backups* const backups_;
  const absl::Duration every_;
  const std::function<absl::Time()> clock_;
  absl::Mutex mutex_;
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  std::thread thread_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_BACKUPS_BACKUP_SCHEDULE_H_
