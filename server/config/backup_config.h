#ifndef KEYFERRY_SERVER_CONFIG_BACKUP_CONFIG_H_
#define KEYFERRY_SERVER_CONFIG_BACKUP_CONFIG_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/config/config.pb.h"

namespace keyferry::server {

// What a key of the section `backup` means, e.g. of "backup.keep"; null for any other path.
const char* BackupKeyHelp(absl::string_view path);

// Fills in defaults and checks the section. INVALID_ARGUMENT names the key.
absl::Status CompleteBackup(config::Backup* backup);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CONFIG_BACKUP_CONFIG_H_
