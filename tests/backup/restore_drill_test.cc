// The whole way with the real programs: a server under load, a backup, a crash, a restore, and a server on what was
// restored.
#include <signal.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/backup/drill.h"
#include "tests/disk/needles.h"

namespace keyferry::testing {
namespace {

std::string ValueOf(int i) { return absl::StrCat("value-of-the-drill-", i, "-0123456789abcdef"); }
std::string NameOf(int i) { return absl::StrCat("DRILL_", i); }

TEST_F(Drill, WhatWasAcknowledgedBeforeTheBackupResolvesAfterACrashAndARestore) {
  StartServer();
  Admin admin(*server_);
  std::atomic<int> acknowledged{0};
  std::atomic<bool> stop{false};
  std::thread writer([&] {
    for (int i = 0; !stop && admin.Create(NameOf(i), ValueOf(i)); ++i) acknowledged = i + 1;
  });
  while (acknowledged < 40) std::this_thread::yield();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(admin.Delete(NameOf(i)));
  const int before = acknowledged;
  const std::string backup = MakeBackup();
  const int during = acknowledged;
  while (acknowledged < during + 20) std::this_thread::yield();
  ASSERT_TRUE(admin.Delete(NameOf(10)));
  const Outcome verified = Backup({"verify", backup});
  EXPECT_EQ(verified.code, 0) << verified.err;
  server_->Kill();
  stop = true;
  writer.join();

  // Deleted before or not, nothing of a value is in the backup in any form that can be read.
  Needles needles;
  for (int i = 0; i < before; ++i) needles.Add(ValueOf(i));
  size_t bytes = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(backups_)) {
    if (!entry.is_regular_file()) continue;
    const std::string content = ReadWholeFile(entry.path());
    bytes += content.size();
    EXPECT_TRUE(needles.FindIn(content).empty()) << entry.path();
  }
  EXPECT_GT(bytes, 10000u);

  const Outcome checked = Keyferryd({"restore", "--from", backup, "--to", root_ + "/nowhere", "--check"});
  EXPECT_EQ(checked.code, 0) << checked.err;
  EXPECT_FALSE(std::filesystem::exists(root_ + "/nowhere"));
  const Outcome restored = Restore(backup, "keep");
  ASSERT_EQ(restored.code, 0) << restored.err;
  EXPECT_TRUE(absl::StrContains(restored.out, "orgs/dev: 1 users")) << restored.out;
  const Outcome whole = Keyferryd({"verify", "--data-dir", restored_dir_ + "/store"});
  EXPECT_EQ(whole.code, 0) << whole.err;
  const Outcome audit = Keyferryd({"audit", "--org", "dev", "--data-dir", restored_dir_ + "/store"});
  EXPECT_EQ(audit.code, 0) << audit.err;
  EXPECT_TRUE(absl::StrContains(audit.out, "keyferryd/Restore")) << "the audit log says that it was";

  StartRestored();
  Admin after(*restored_);
  for (int i = 0; i < 10; ++i) EXPECT_FALSE(after.Exists(NameOf(i))) << "deleted before the backup: " << i;
  for (int i = 10; i < before; ++i) {
    ASSERT_EQ(after.Resolve(NameOf(i)), ValueOf(i)) << "acknowledged before the backup: " << i;
  }
  EXPECT_FALSE(after.Exists(NameOf(during + 19))) << "written after it";
  EXPECT_TRUE(after.Create("GOES_ON", "goes on"));
}

TEST_F(Drill, TokensThatWereRevokedSinceAreKeptOnlyOnDemandAndAloud) {
  StartServer();
  const auto [token, name] = Admin(*server_).MakeToken();
  const std::string backup = MakeBackup();
  ASSERT_TRUE(Admin(*server_).Revoke(name));
  ASSERT_EQ(server_->Stop(), 0);
  const std::string token_file = root_ + "/token";
  std::ofstream(token_file) << token;
  std::filesystem::permissions(token_file, std::filesystem::perms::owner_read);

  const Outcome undecided = Keyferryd({"restore", "--from", backup, "--to", root_ + "/nowhere"});
  EXPECT_EQ(undecided.code, 2);
  EXPECT_TRUE(absl::StrContains(undecided.err, "--tokens revoke")) << undecided.err;

  const Outcome kept = Restore(backup, "keep");
  ASSERT_EQ(kept.code, 0) << kept.err;
  EXPECT_TRUE(absl::StrContains(kept.out, name.substr(name.rfind('/') + 1))) << kept.out;
  EXPECT_TRUE(absl::StrContains(kept.out, "ALSO THOSE THAT WERE REVOKED SINCE")) << kept.out;
  EXPECT_FALSE(absl::StrContains(kept.out, token)) << "its text is shown";
  StartRestored();
  EXPECT_EQ(Admin(restored_->ConnectWith(token_file)).WhoAmI(), grpc::OK) << "it is back";
  ASSERT_EQ(restored_->Stop(), 0);

  const Outcome revoked = Restore(backup, "revoke");
  ASSERT_EQ(revoked.code, 0) << revoked.err;
  // The development server issues a token for its admin, as `init` does, when the one it kept does not open.
  StartRestored();
  EXPECT_EQ(Admin(restored_->ConnectWith(token_file)).WhoAmI(), grpc::UNAUTHENTICATED);
  EXPECT_EQ(Admin(*restored_).WhoAmI(), grpc::OK);
}

TEST_F(Drill, KilledWhileItMakesABackup) {
  // A backup that takes several seconds.
  ASSERT_EQ(setenv("KEYFERRYD_BACKUP_MAX_MIB_PER_SECOND", "1", /*overwrite=*/1), 0);
  StartServer();
  {
    Admin admin(*server_);
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(admin.Create(NameOf(i), std::string(60000, 'v') + ValueOf(i)));
  }
  const auto asking = ChildProcess::Start(
      {std::getenv("KEYFERRY"), "backup", "create", "--to", backups_, "--data-dir", data_dir_}, root_ + "/asking.err");
  const auto begun = [this] {
    if (!std::filesystem::exists(backups_)) return false;
    for (const auto& entry : std::filesystem::directory_iterator(backups_)) {
      if (absl::StartsWith(entry.path().filename().string(), ".partial")) return true;
    }
    return false;
  };
  while (!begun()) std::this_thread::yield();
  server_->Kill();
  EXPECT_EQ(asking->Wait(), 69);
  EXPECT_TRUE(absl::StrContains(ReadWholeFile(root_ + "/asking.err"), "the server ended"));
  EXPECT_TRUE(Backups().empty()) << "half a backup passes for a whole one";
  EXPECT_TRUE(begun()) << "killed too late";

  ASSERT_EQ(unsetenv("KEYFERRYD_BACKUP_MAX_MIB_PER_SECOND"), 0);
  StartServer();
  const std::string backup = MakeBackup();
  EXPECT_FALSE(begun()) << "what the crash left is still there";
  EXPECT_EQ(Backup({"verify", backup}).code, 0);
  EXPECT_TRUE(absl::EndsWith(Admin(*server_).Resolve(NameOf(99)), ValueOf(99)));
}

TEST_F(Drill, KilledWhileItRestores) {
  StartServer();
  {
    Admin admin(*server_);
    for (int i = 0; i < 100; ++i) ASSERT_TRUE(admin.Create(NameOf(i), std::string(60000, 'v')));
  }
  const std::string backup = MakeBackup();
  ASSERT_EQ(server_->Stop(), 0);
  const std::string target = root_ + "/target";
  const auto restoring = ChildProcess::Start({std::getenv("KEYFERRYD"), "restore", "--from", backup, "--to", target,
                                              "--tokens", "revoke", "--key-provider-file", data_dir_ + "/dev/kek"},
                                             root_ + "/restoring.err");
  while (!std::filesystem::exists(target + ".restoring") && !std::filesystem::exists(target)) std::this_thread::yield();
  restoring->Signal(SIGKILL);
  restoring->Wait();
  // Killed in time or not: it is whole or not there.
  if (std::filesystem::exists(target)) {
    EXPECT_EQ(Keyferryd({"verify", "--data-dir", target}).code, 0);
    std::filesystem::remove_all(target);
  }
  const Outcome again = Keyferryd({"restore", "--from", backup, "--to", target, "--tokens", "revoke"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_FALSE(std::filesystem::exists(target + ".restoring"));
  EXPECT_EQ(Keyferryd({"verify", "--data-dir", target}).code, 0);
}

TEST_F(Drill, RefusalsAreOneLineThatSaysWhatToDo) {
  StartServer();
  const std::string backup = MakeBackup();
  struct Case {
    std::string name;
    Outcome outcome;
    std::string words;
  };
  std::filesystem::copy(backup, root_ + "/cut", std::filesystem::copy_options::recursive);
  std::filesystem::resize_file(root_ + "/cut/entries-000001", 100);
  for (const Case& c : {
           Case{"in the data directory", Backup({"create", "--to", data_dir_ + "/store/b"}),
                "lies in the data directory"},
           Case{"no directory", Backup({"create"}), "backup.directory"},
           Case{"not a backup", Backup({"verify", root_}), "no MANIFEST"},
           Case{"cut short", Backup({"verify", root_ + "/cut"}), "entries-000001 was cut short"},
           Case{"the server runs", Keyferryd({"backup", "--to", backups_, "--data-dir", data_dir_ + "/store"}),
                "in use by another process"},
           Case{"restored over a store",
                Keyferryd({"restore", "--from", backup, "--to", data_dir_ + "/store", "--tokens", "keep"}),
                "is not empty"},
           Case{"restored from what was cut",
                Keyferryd({"restore", "--from", root_ + "/cut", "--to", root_ + "/new", "--tokens", "keep"}),
                "entries-000001 was cut short"},
       }) {
    SCOPED_TRACE(c.name);
    EXPECT_NE(c.outcome.code, 0);
    EXPECT_TRUE(absl::StrContains(c.outcome.err, c.words)) << c.outcome.err;
    EXPECT_EQ(c.outcome.err.find('\n'), c.outcome.err.size() - 1) << c.outcome.err;
  }
  EXPECT_FALSE(std::filesystem::exists(root_ + "/new"));
  const Outcome status = Backup({"status", "-o", "json"});
  EXPECT_EQ(status.code, 0) << status.err;
  EXPECT_TRUE(absl::StrContains(status.out, "lastSuccessTime")) << status.out;
  const Outcome list = Backup({"list", "--to", backups_, "-o", "json"});
  EXPECT_TRUE(absl::StrContains(list.out, backup)) << list.out;
}

}  // namespace
}  // namespace keyferry::testing
