#ifndef KEYFERRY_SERVER_BACKUPS_RUNNING_BACKUPS_H_
#define KEYFERRY_SERVER_BACKUPS_RUNNING_BACKUPS_H_

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/backups/backup_schedule.h"
#include "server/backups/backups.h"
#include "server/backups/operator_socket.h"
#include "server/config/config.pb.h"

namespace keyferry::server {

// What the configuration says, for the store in `data_dir`.
BackupSettings BackupSettingsOf(const config::Backup& config, const std::string& data_dir);

// The backups of a server that runs: the operator's socket, and the schedule if there is one. Gives up a backup that is
// being made when it is destroyed.
class RunningBackups {
 public:
  // The pointers outlive this.
  static absl::StatusOr<std::unique_ptr<RunningBackups>> Start(const config::Backup& config,
                                                               const std::string& data_dir, storage::Store* store,
                                                               storage::BackupSource* source,
                                                               std::function<absl::Time()> clock, Logger* logger);
  ~RunningBackups();

 private:
  RunningBackups(storage::Store* store, storage::BackupSource* source, BackupSettings settings,
                 std::function<absl::Time()> clock, Logger* logger)
      : backups_(store, source, std::move(settings), std::move(clock), logger) {}

  Backups backups_;
  std::unique_ptr<OperatorSocket> socket_;
  std::unique_ptr<BackupSchedule> schedule_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_BACKUPS_RUNNING_BACKUPS_H_
