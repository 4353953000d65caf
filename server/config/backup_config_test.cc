#include "server/config/backup_config.h"

#include <string>

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

TEST(CompleteBackupTest, HasDefaultsAndZeroIsSaid) {
  config::Backup backup;
  ASSERT_TRUE(CompleteBackup(&backup).ok());
  EXPECT_EQ(backup.keep(), 7u);
  EXPECT_EQ(backup.max_mib_per_second(), 64u);
  EXPECT_EQ(backup.every_hours(), 0u);
  backup.set_keep(0);
  backup.set_max_mib_per_second(0);
  ASSERT_TRUE(CompleteBackup(&backup).ok());
  EXPECT_EQ(backup.keep(), 0u);
  EXPECT_EQ(backup.max_mib_per_second(), 0u);
}

TEST(CompleteBackupTest, SaysWhatIsWrong) {
  struct Case {
    std::string directory;
    uint32_t every_hours;
    std::string message;
  };
  for (const Case& c : {
           Case{"backups", 0, "`backup.directory` is not an absolute path; begin it with /"},
           Case{"", 24, "`backup.every_hours` is set and `backup.directory` is not; set both or none"},
           Case{"/b", 1000000, "`backup.every_hours` is more than 8784; lower it"},
       }) {
    config::Backup backup;
    backup.set_directory(c.directory);
    backup.set_every_hours(c.every_hours);
    const absl::Status status = CompleteBackup(&backup);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), c.message);
  }
}

TEST(BackupKeyHelpTest, KnowsItsKeysAlone) {
  EXPECT_NE(BackupKeyHelp("backup.keep"), nullptr);
  EXPECT_EQ(BackupKeyHelp("audit.stream"), nullptr);
}

}  // namespace
}  // namespace keyferry::server
