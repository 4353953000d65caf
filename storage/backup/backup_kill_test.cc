// kill -9 at every step of a backup and of a restore. RocksDB's threads do not survive a fork, so everything that opens
// a store runs in a process of its own, and this one never does.
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/backup/testing_backup.h"

namespace keyferry::storage {
namespace {

constexpr int kMostOperations = 200;
const std::string* const kLastValue = new std::string(absl::StrCat(2999, std::string(10, 'v')));

class BackupKillTest : public BackupTest {
 protected:
  enum End { kTrue, kFalse, kKilled };

  // Runs `work` in a process of its own, which is killed at the n-th operation if n is not 0.
  End Run(int n, const std::function<bool()>& work) {
    const pid_t child = fork();
    if (child == 0) {
      int left = n;
      gate_ = [&left](absl::string_view, const std::string&) {
        if (--left == 0) kill(getpid(), SIGKILL);
        return absl::OkStatus();
      };
      _exit(work() && !HasFailure() ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) return kKilled;
    return WEXITSTATUS(status) == 0 ? kTrue : kFalse;
  }

  bool MakeStore() {
    return Run(0, [this] {
             Start();
             PutMany(2850, 150, 10);
             PutMany(0, 60, 3000);
             Stop();
             return true;
           }) == kTrue;
  }
  bool BackUp() {
    Start();
    const bool made = TryBackup().ok();
    Stop();
    return made;
  }
  bool AnyPartial() {
    for (const std::string& name : NamesIn(backups_)) {
      if (absl::StartsWith(name, ".partial")) return true;
    }
    return false;
  }
};

TEST_F(BackupKillTest, AtAnyPointOfABackup) {
  ASSERT_TRUE(MakeStore());
  int n = 1;
  int halves = 0;
  while (n < kMostOperations && Run(n, [this] { return BackUp(); }) == kKilled) {
    for (const std::string& backup : Backups()) ASSERT_TRUE(Check(backup).ok()) << n << " " << Check(backup);
    if (AnyPartial()) ++halves;
    ++n;
  }
  EXPECT_GT(n, 10);
  EXPECT_LT(n, kMostOperations);
  EXPECT_GT(halves, 5) << "nothing was interrupted";
  EXPECT_FALSE(AnyPartial()) << "the last one, which nobody killed, removed them";
  ASSERT_FALSE(Backups().empty());
  for (const std::string& backup : Backups()) EXPECT_TRUE(Check(backup).ok());
}

TEST_F(BackupKillTest, AtAnyPointOfARestore) {
  ASSERT_TRUE(MakeStore());
  ASSERT_EQ(Run(0, [this] { return BackUp(); }), kTrue);
  const std::string backup = Backups()[0];
  const auto whole = [this] { return Restored("K2999") == *kLastValue; };
  int n = 1;
  int halves = 0;
  while (n < kMostOperations && Run(n, [&] { return Restore(backup).ok(); }) == kKilled) {
    SCOPED_TRACE(n);
    if (std::filesystem::exists(target_ + ".restoring")) ++halves;
    if (std::filesystem::exists(target_)) {
      ASSERT_EQ(Run(0, whole), kTrue);
      std::filesystem::remove_all(target_);
    }
    ++n;
  }
  EXPECT_GE(n, 4);
  EXPECT_LT(n, kMostOperations);
  EXPECT_GT(halves, 1) << "nothing was interrupted";
  EXPECT_EQ(Run(0, whole), kTrue) << "the last one, which nobody killed";
  EXPECT_FALSE(std::filesystem::exists(target_ + ".restoring"));
}

}  // namespace
}  // namespace keyferry::storage
