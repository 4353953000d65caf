#include "server/config/backup_config.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyferry::server {
namespace {

constexpr uint32_t kDefaultKeep = 7;
constexpr uint32_t kDefaultMibPerSecond = 64;
constexpr uint32_t kMaxEveryHours = 24 * 366;

struct KeyHelp {
  const char* path;
  const char* help;
};

constexpr KeyHelp kHelp[] = {
    {"backup.directory", "Absolute path of the directory for backups, outside the data directory; made with mode 0700"},
    {"backup.every_hours", "Make a backup there every so many hours (default 0: only when asked)"},
    {"backup.keep", "How many backups of this store such a backup leaves (default 7; 0: all)"},
    {"backup.max_mib_per_second", "How fast a backup is written, in MiB per second (default 64; 0: no limit)"},
};

}  // namespace

const char* BackupKeyHelp(absl::string_view path) {
  for (const KeyHelp& help : kHelp) {
    if (path == help.path) return help.help;
  }
  return nullptr;
}

absl::Status CompleteBackup(config::Backup* backup) {
  if (!backup->has_keep()) backup->set_keep(kDefaultKeep);
  if (!backup->has_max_mib_per_second()) backup->set_max_mib_per_second(kDefaultMibPerSecond);
  if (!backup->directory().empty() && !absl::StartsWith(backup->directory(), "/")) {
    return absl::InvalidArgumentError("`backup.directory` is not an absolute path; begin it with /");
  }
  if (backup->every_hours() > 0 && backup->directory().empty()) {
    return absl::InvalidArgumentError("`backup.every_hours` is set and `backup.directory` is not; set both or none");
  }
  if (backup->every_hours() > kMaxEveryHours) {
    return absl::InvalidArgumentError(absl::StrCat("`backup.every_hours` is more than ", kMaxEveryHours, "; lower it"));
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
