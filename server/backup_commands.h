#ifndef KEYFERRY_SERVER_BACKUP_COMMANDS_H_
#define KEYFERRY_SERVER_BACKUP_COMMANDS_H_

#include "absl/status/status.h"
#include "server/command_line.h"

namespace keyferry::server {

// The commands about backups, for which no server may run on the store that they open.
absl::Status MakeBackup(const CommandLine& command_line);
absl::Status VerifyBackup(const CommandLine& command_line);
absl::Status Restore(const CommandLine& command_line);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_BACKUP_COMMANDS_H_
