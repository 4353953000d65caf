#include "server/backups/running_backups.h"

#include <utility>

#include "absl/memory/memory.h"
#include "server/backups/operator_requests.h"
#include "server/status_macros.h"

namespace keyferry::server {

BackupSettings BackupSettingsOf(const config::Backup& config, const std::string& data_dir) {
  BackupSettings settings;
  settings.data_dir = data_dir;
  settings.directory = config.directory();
  settings.bytes_per_second = uint64_t{config.max_mib_per_second()} << 20;
  settings.keep = config.keep();
  return settings;
}

absl::StatusOr<std::unique_ptr<RunningBackups>> RunningBackups::Start(
    const config::Backup& config, const std::string& data_dir, storage::Store* store, storage::BackupSource* source,
    std::function<absl::Time()> clock, Logger* logger) {
  auto running = absl::WrapUnique(new RunningBackups(store, source, BackupSettingsOf(config, data_dir), clock, logger));
  Backups* const backups = &running->backups_;
  ASSIGN_OR_RETURN(running->socket_,
                   OperatorSocket::Listen(data_dir, [backups](const std::string& request, const auto& send) {
                     AnswerOperator(backups, request, send);
                   }));
  if (config.every_hours() > 0) {
    running->schedule_ = std::make_unique<BackupSchedule>(backups, absl::Hours(config.every_hours()), std::move(clock));
  }
  return running;
}

RunningBackups::~RunningBackups() { backups_.Stop(); }

}  // namespace keyferry::server
