#include "server/backup_commands.h"

#include <functional>
#include <iostream>
#include <memory>

#include "absl/time/clock.h"
#include "server/backups/restore_command.h"
#include "server/backups/running_backups.h"
#include "server/configured_store.h"
#include "server/log.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

// A backup may be older than the last change of the KEK.
absl::Status WithBackupKek(const config::Config& config,
                           const std::function<absl::Status(const storage::KeyProvider&)>& work) {
  ASSIGN_OR_RETURN(const auto current, LoadKeyProvider(config.key_provider()));
  absl::Status done = work(*current);
  if (!absl::IsPermissionDenied(done) || !IsSet(config.previous_key_provider())) return done;
  ASSIGN_OR_RETURN(const auto previous, LoadKeyProvider(config.previous_key_provider()));
  return work(*previous);
}

}  // namespace

absl::Status MakeBackup(const CommandLine& command_line) {
  const config::Config& config = command_line.config;
  const std::unique_ptr<Logger> warnings = MakeStderrLogger(LogLevel::kWarning);
  ASSIGN_OR_RETURN(const storage::OpenedStore opened, OpenConfiguredStore(config, /*create=*/false, warnings.get()));
  const std::unique_ptr<Logger> logger = MakeSilentLogger();
  Backups backups(opened.store.get(), opened.backups, BackupSettingsOf(config.backup(), config.data_dir()), absl::Now,
                  logger.get());
  ASSIGN_OR_RETURN(const storage::BackupResult made, backups.Create(command_line.backup, /*progress=*/nullptr));
  std::cout << made.path << "\n" << std::flush;
  return absl::OkStatus();
}

absl::Status VerifyBackup(const CommandLine& command_line) {
  return WithBackupKek(command_line.config, [&](const storage::KeyProvider& kek) {
    return VerifyBackupAndReport(command_line.backup, kek, std::cout);
  });
}

absl::Status Restore(const CommandLine& command_line) {
  RestoreRequest request;
  request.backup = command_line.backup;
  request.data_dir = command_line.config.data_dir();
  request.access = command_line.keep_tokens ? RestoreRequest::kKeep : RestoreRequest::kRevoke;
  request.check_only = command_line.check_only;
  request.now = absl::Now();
  return WithBackupKek(command_line.config,
                       [&](const storage::KeyProvider& kek) { return RestoreAndReport(request, kek, std::cout); });
}

}  // namespace keyferry::server
