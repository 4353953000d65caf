// Whatever fails while a backup is made or restored, at whichever operation: there is a whole backup or none, a whole
// store or none, and the next try succeeds.
#include <filesystem>

#include "absl/strings/str_cat.h"
#include "storage/backup/testing_backup.h"

namespace keyferry::storage {
namespace {

constexpr int kMostOperations = 200;

TEST_F(BackupTest, AFullDiskAtAnyPointLeavesNoBackupAndTheStoreGoesOn) {
  Start();
  PutMany(0, 150, 1000);
  int n = 1;
  for (; n < kMostOperations; ++n) {
    SCOPED_TRACE(n);
    const size_t before = Backups().size();
    NthFails full(n, absl::StatusCode::kResourceExhausted);
    gate_ = full.gate();
    const auto backup = TryBackup();
    if (!full.fired()) break;
    ASSERT_EQ(backup.status().code(), absl::StatusCode::kResourceExhausted) << backup.status();
    const std::vector<std::string> after = Backups();
    // Its last step, once it has its name, makes only sure that the name survives a power loss.
    if (after.size() == before + 1) {
      EXPECT_TRUE(Check(after.back()).ok());
    } else {
      EXPECT_EQ(after.size(), before);
    }
    Put("GOES_ON", absl::StrCat(n));
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(n, 10);
  EXPECT_LT(n, kMostOperations);
  gate_ = nullptr;
  const std::string backup = Backup().path;
  EXPECT_TRUE(Check(backup).ok());
  for (const std::string& name : NamesIn(backups_)) EXPECT_EQ(name.rfind(".partial", 0), std::string::npos);
  ASSERT_TRUE(Restore(backup).ok());
  EXPECT_EQ(Restored("GOES_ON"), absl::StrCat(n - 1));
}

TEST_F(BackupTest, AFailureAtAnyPointOfARestoreLeavesTheTargetAsItWas) {
  Start();
  PutMany(0, 3000, 10);
  const std::string backup = Backup().path;
  Stop();
  int n = 1;
  for (; n < kMostOperations; ++n) {
    SCOPED_TRACE(n);
    NthFails failing(n);
    gate_ = failing.gate();
    const absl::Status restored = Restore(backup);
    if (!failing.fired()) break;
    ASSERT_FALSE(restored.ok());
    // The last step comes after the rename.
    if (std::filesystem::exists(target_)) {
      EXPECT_EQ(Restored("K2999"), absl::StrCat(2999, std::string(10, 'v')));
      std::filesystem::remove_all(target_);
    }
  }
  EXPECT_GE(n, 5);
  EXPECT_LT(n, kMostOperations);
  EXPECT_EQ(Restored("K2999"), absl::StrCat(2999, std::string(10, 'v')));
}

}  // namespace
}  // namespace keyferry::storage
