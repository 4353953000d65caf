#ifndef KEYFERRY_SERVER_BACKUPS_RESTORE_COMMAND_H_
#define KEYFERRY_SERVER_BACKUPS_RESTORE_COMMAND_H_

#include <ostream>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/crypto/key_provider.h"

namespace keyferry::server {

struct RestoreRequest {
  // The backup's own directory.
  std::string backup;
  std::string data_dir;
  // What becomes of the tokens and sessions that the backup holds: revoked ones among them come back to life.
  enum Access { kKeep, kRevoke } access = kRevoke;
  bool check_only = false;
  absl::Time now;
};

// Restores a backup to a new data directory (storage/backup/restore.h), writes an entry to each audit log, and says on
// `out` what was restored and what to do next. Errors as RestoreBackup.
absl::Status RestoreAndReport(const RestoreRequest& request, const storage::KeyProvider& key_provider,
                              std::ostream& out);

// Checks a backup's manifest and files, and says on `out` what it is.
absl::Status VerifyBackupAndReport(const std::string& backup, const storage::KeyProvider& key_provider,
                                   std::ostream& out);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_BACKUPS_RESTORE_COMMAND_H_
