// Online backup and restore of a real store.
#include <sys/stat.h>

#include <atomic>
#include <filesystem>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/backup/format.h"
#include "storage/backup/testing_backup.h"
#include "storage/engine/rocksdb/fault_fs.h"

namespace keyferry::storage {
namespace {

void ExpectStatus(const absl::Status& status, absl::StatusCode code, absl::string_view words) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_TRUE(absl::StrContains(status.message(), words)) << status;
}

TEST_F(BackupTest, RestoresTheStateOfItsSnapshot) {
  Start();
  PutMany(0, 300, 1000);
  Delete("K7");
  const BackupResult backup = Backup();
  Put("K8", "changed since");
  Delete("K9");
  Put("LATER", "made since");
  Stop();

  EXPECT_GT(backup.manifest.files.size(), 3u) << "several files, so that what spans them is tried";
  EXPECT_TRUE(Check(backup.path).ok()) << Check(backup.path);
  const absl::Status restored = Restore(backup.path);
  ASSERT_TRUE(restored.ok()) << restored;
  for (int i = 0; i < 300; ++i) {
    const std::string expected = i == 7 ? "(absent)" : absl::StrCat(i, std::string(1000, 'v'));
    EXPECT_EQ(Restored(absl::StrCat("K", i)), expected) << i;
    if (HasFailure()) break;
    if (i > 12) i += 20;
  }
  EXPECT_EQ(Restored("LATER"), "(absent)");
  EXPECT_FALSE(std::filesystem::exists(target_ + ".restoring"));
}

TEST_F(BackupTest, OnlyTheOwnerCanUseWhatItMakes) {
  Start();
  PutMany(0, 100, 1000);
  const BackupResult backup = Backup();
  ASSERT_TRUE(Restore(backup.path).ok());
  for (const std::string& directory : {backups_, target_}) {
    struct stat info = {};
    ASSERT_EQ(stat(directory.c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, 0700u) << directory;
  }
  int files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(backups_)) {
    struct stat info = {};
    ASSERT_EQ(stat(entry.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0777, entry.is_directory() ? 0700u : 0600u) << entry.path();
    ++files;
  }
  EXPECT_GT(files, 3);
}

TEST_F(BackupTest, HoldsNothingInClearAndNothingThatWasDeletedOrReplaced) {
  Start();
  const std::string clear = "a value that nobody may read";
  Put("SHREDDED", clear);
  Put("KEPT", "first " + clear);
  // The sealed bytes, which the KEK would open.
  const auto sealed = [&](const std::string& directory) {
    OpenOptions options;
    options.data_dir = directory;
    std::vector<std::string> values;
    const auto opened = OpenStoreWithBackups(options, *kek_);
    if (!opened.ok()) return values;
    const auto view = opened->backups->TakeBackupView();
    if (!view.ok()) return values;
    EXPECT_TRUE(view->snapshot
                    ->Scan("", "",
                           [&](const EngineEntry& entry) {
                             if (entry.key.size() > 17 && entry.key[17] == static_cast<char>(Table::kCredentialValue)) {
                               values.push_back(entry.value);
                             }
                             return true;
                           })
                    .ok());
    return values;
  };
  Stop();
  const std::vector<std::string> before = sealed(data_dir_);
  ASSERT_EQ(before.size(), 2u);
  Start();
  const std::string earlier = Backup().path;
  // The purge of the data directory has not run yet when the backup is made.
  Delete("SHREDDED");
  Put("KEPT", "second");
  const std::string later = Backup().path;
  for (const std::string& value : before) {
    EXPECT_TRUE(AnyFileHolds(earlier, value)) << "the search finds nothing";
    EXPECT_FALSE(AnyFileHolds(later, value));
  }
  for (const std::string& text : {clear, std::string("SHREDDED"), std::string("acme")}) {
    EXPECT_FALSE(AnyFileHolds(backups_, text)) << text;
  }
}

TEST_F(BackupTest, DoesNotStopWritersAndHoldsWhatWasAcknowledgedBefore) {
  Start();
  PutMany(0, 50, 2000);
  std::atomic<bool> stop{false};
  std::atomic<int> acknowledged{0};
  std::thread writer([&] {
    for (int i = 0; !stop; ++i) {
      ASSERT_TRUE(PutOne(store(), ValueKey("acme", "", absl::StrCat("W", i)), absl::StrCat("w", i)).ok());
      acknowledged = i + 1;
    }
  });
  while (acknowledged < 20) std::this_thread::yield();
  const int before = acknowledged;
  BackupOptions options = Options();
  int at_first_piece = -1;
  options.progress = [&](const BackupProgress& progress) {
    EXPECT_GT(progress.bytes, 0u);
    if (at_first_piece < 0) {
      // In the middle of the backup: writers must get on before it does.
      at_first_piece = acknowledged;
      while (acknowledged < at_first_piece + 20) std::this_thread::yield();
    }
    return true;
  };
  const auto backup = WriteBackup(*store_backups(), options);
  stop = true;
  writer.join();
  Stop();
  ASSERT_TRUE(backup.ok()) << backup.status();
  ASSERT_GE(at_first_piece, before);
  ASSERT_TRUE(Restore(backup->path).ok());
  for (int i : {0, before / 2, before - 1}) EXPECT_EQ(Restored(absl::StrCat("W", i)), absl::StrCat("w", i));
  EXPECT_EQ(Restored(absl::StrCat("W", at_first_piece + 10)), "(absent)") << "written after the snapshot";
}

TEST_F(BackupTest, KeepsToItsRate) {
  Start();
  PutMany(0, 300, 10000);
  const absl::Time begun = now_;
  BackupOptions options = Options();
  options.bytes_per_second = 1 << 20;
  const auto backup = WriteBackup(*store_backups(), options);
  ASSERT_TRUE(backup.ok()) << backup.status();
  EXPECT_NEAR(absl::ToDoubleSeconds(now_ - begun), backup->manifest.TotalBytes() / double{1 << 20}, 0.01);
}

TEST_F(BackupTest, RevisionsOfTheLostStoreAreNotGivenAgain) {
  Start();
  PutMany(0, 20, 10);
  const BackupResult backup = Backup();
  ASSERT_TRUE(Restore(backup.path).ok());
  EXPECT_GT(RestoredRevision(), backup.manifest.revision + 1000000);
}

TEST_F(BackupTest, TheDirectoryIsPrivateAndOutsideTheData) {
  Start();
  Put("A", "a");
  BackupOptions options = Options();
  options.directory = data_dir_ + "/backups";
  ExpectStatus(WriteBackup(*store_backups(), options).status(), absl::StatusCode::kFailedPrecondition,
               "lies in the data directory");
  std::filesystem::create_directory_symlink(data_dir_, root_ + "/link");
  options.directory = root_ + "/link/backups";
  ExpectStatus(WriteBackup(*store_backups(), options).status(), absl::StatusCode::kFailedPrecondition,
               "lies in the data directory");
  options.directory = "backups";
  ExpectStatus(WriteBackup(*store_backups(), options).status(), absl::StatusCode::kInvalidArgument, "absolute");
  ASSERT_EQ(mkdir(backups_.c_str(), 0755), 0);
  ExpectStatus(TryBackup().status(), absl::StatusCode::kFailedPrecondition, "chmod 700");
  ASSERT_EQ(chmod(backups_.c_str(), 0700), 0);
  EXPECT_TRUE(TryBackup().ok());
}

TEST_F(BackupTest, TheDirectoryThatItMakesSurvivesAPowerLoss) {
  Start();
  BackupOptions options = Options();
  options.directory += "/";
  std::vector<std::string> done;
  bool fails = true;
  options.gate = [&](absl::string_view operation, const std::string& path) {
    done.push_back(absl::StrCat(operation, " ", path));
    return fails && operation == "sync" ? absl::UnavailableError("no sync") : absl::OkStatus();
  };
  ExpectStatus(WriteBackup(*store_backups(), options).status(), absl::StatusCode::kUnavailable, "no sync");
  const std::vector<std::string> first = {absl::StrCat("make ", backups_, "/"), absl::StrCat("sync ", root_)};
  EXPECT_EQ(done, first);
  EXPECT_FALSE(std::filesystem::exists(backups_)) << "made again by the next one";
  fails = false;
  EXPECT_TRUE(WriteBackup(*store_backups(), options).ok());
  ASSERT_GT(done.size(), 4u);
  EXPECT_EQ(std::vector<std::string>(done.begin() + 2, done.begin() + 4), first);
}

TEST_F(BackupTest, OneAtATimeInADirectory) {
  Start();
  PutMany(0, 10, 10);
  BackupOptions options = Options();
  absl::Status second;
  options.progress = [&](const BackupProgress&) {
    second = TryBackup().status();
    return true;
  };
  EXPECT_TRUE(WriteBackup(*store_backups(), options).ok());
  ExpectStatus(second, absl::StatusCode::kFailedPrecondition, "another backup");
  EXPECT_EQ(Backups().size(), 1u);
}

TEST_F(BackupTest, ACancelledOneLeavesNothing) {
  Start();
  PutMany(0, 10, 10);
  BackupOptions options = Options();
  options.progress = [](const BackupProgress&) { return false; };
  EXPECT_EQ(WriteBackup(*store_backups(), options).status().code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(NamesIn(backups_).size(), 1u) << "its lock file alone";
}

TEST_F(BackupTest, ACheckCanBeGivenUpAtEachPiece) {
  Start();
  PutMany(0, 300, 1000);
  const BackupResult backup = Backup();
  ASSERT_GT(backup.manifest.files.size(), 3u);
  const auto reader = BackupReader::Open(backup.path, *kek_);
  ASSERT_TRUE(reader.ok()) << reader.status();
  int asked = 0;
  ExpectStatus(reader->VerifyFiles([&asked] { return ++asked < 3; }), absl::StatusCode::kCancelled, "given up");
  EXPECT_EQ(asked, 3);
  EXPECT_TRUE(reader->VerifyFiles([] { return true; }).ok());
}

TEST_F(BackupTest, OneThatMustNotBePublishedLeavesNothing) {
  Start();
  PutMany(0, 10, 10);
  BackupOptions options = Options();
  options.before_publishing = [](const BackupManifest&) { return absl::UnavailableError("no audit"); };
  ExpectStatus(WriteBackup(*store_backups(), options).status(), absl::StatusCode::kUnavailable, "no audit");
  EXPECT_EQ(NamesIn(backups_).size(), 1u) << "its lock file alone";
}

TEST_F(BackupTest, PruningKeepsTheNewestAndWhatIsNotItsOwn) {
  Start();
  std::vector<std::string> made;
  for (int i = 0; i < 4; ++i) {
    Put("A", absl::StrCat(i));
    now_ += absl::Hours(1);
    made.push_back(Backup().path);
  }
  const auto key = store_backups()->TakeBackupView()->key;
  // A damaged one of a later time takes no good one's place.
  now_ += absl::Hours(1);
  const std::string damaged = Backup().path;
  WriteWholeFile(damaged + "/MANIFEST", ReadWholeFile(damaged + "/MANIFEST") + "x");
  const auto removed = PruneBackups(backups_, key, 2, /*made=*/"");
  ASSERT_TRUE(removed.ok()) << removed.status();
  EXPECT_EQ(*removed, 2);
  EXPECT_EQ(Backups(), (std::vector<std::string>{made[2], made[3], damaged}));
  EXPECT_TRUE(Check(made[2]).ok());
  EXPECT_EQ(*PruneBackups(backups_, key, 2, /*made=*/""), 0);
}

TEST_F(BackupTest, PruningKeepsTheNewestWhateverTheClockSaid) {
  Start();
  std::vector<std::string> made;
  // Two of a clock that was a year ahead, then two of one that is right.
  for (const absl::Duration ahead : {absl::Hours(24 * 365), absl::Hours(24 * 366), absl::Hours(1), absl::Hours(2)}) {
    Put("A", absl::StrCat(made.size()));
    BackupOptions options = Options();
    options.clock = [now = now_ + ahead] { return now; };
    const auto backup = WriteBackup(*store_backups(), options);
    ASSERT_TRUE(backup.ok()) << backup.status();
    made.push_back(backup->path);
  }
  const auto key = store_backups()->TakeBackupView()->key;
  // Whatever else is said of it.
  EXPECT_EQ(*PruneBackups(backups_, key, 2, /*made=*/made[0]), 1);
  EXPECT_EQ(Backups(), (std::vector<std::string>{made[2], made[3], made[0]}));
  EXPECT_EQ(*PruneBackups(backups_, key, 2, /*made=*/made[3]), 1);
  EXPECT_EQ(Backups(), (std::vector<std::string>{made[2], made[3]}));
  EXPECT_EQ(*PruneBackups(backups_, key, 1, /*made=*/made[3]), 1);
  EXPECT_EQ(Backups(), std::vector<std::string>{made[3]});
}

TEST_F(BackupTest, RestoreRefusesATargetThatHoldsSomething) {
  Start();
  Put("A", "a");
  const std::string backup = Backup().path;
  ASSERT_EQ(mkdir(target_.c_str(), 0700), 0);
  WriteWholeFile(target_ + "/mine", "mine");
  ExpectStatus(Restore(backup), absl::StatusCode::kFailedPrecondition, "is not empty");
  EXPECT_EQ(ReadWholeFile(target_ + "/mine"), "mine");
  std::filesystem::remove(target_ + "/mine");
  // Something else where it works.
  ASSERT_EQ(mkdir((target_ + ".restoring").c_str(), 0700), 0);
  WriteWholeFile(target_ + ".restoring/mine", "mine");
  ExpectStatus(Restore(backup), absl::StatusCode::kFailedPrecondition, "none of its");
  EXPECT_EQ(ReadWholeFile(target_ + ".restoring/mine"), "mine");
  std::filesystem::remove_all(target_ + ".restoring");
  EXPECT_TRUE(Restore(backup).ok()) << "an empty directory is taken";
  EXPECT_EQ(Restored("A"), "a");
}

TEST_F(BackupTest, OneRestoreAtATimeToATarget) {
  Start();
  Put("A", "a");
  const std::string backup = Backup().path;
  // At each step, so also while neither the restore nor the store holds the lock in the directory.
  int others = 0;
  const auto another = [&](absl::string_view, const std::string&) {
    ++others;
    gate_ = nullptr;
    ExpectStatus(Restore(backup), absl::StatusCode::kFailedPrecondition, "another restore");
    return HasFailure() ? absl::InternalError("the other one was not refused") : absl::OkStatus();
  };
  RestoreOptions options = To(backup);
  options.gate = [&, made = false](absl::string_view operation, const std::string& path) mutable {
    // Once the target has its place it is refused for what it holds.
    if (std::filesystem::exists(target_)) return absl::OkStatus();
    return another(operation, path);
  };
  const auto restored = RestoreBackup(options, *kek_);
  ASSERT_TRUE(restored.ok()) << restored.status();
  EXPECT_GE(others, 4);
  EXPECT_EQ(Restored("A"), "a");
}

TEST_F(BackupTest, ACheckRestoresNothing) {
  Start();
  Put("A", "a");
  RestoreOptions options = To(Backup().path);
  options.check_only = true;
  std::string seen;
  options.inspect = [&](const BackupManifest&, Store& store) {
    seen = ReadOne(store, ValueKey("acme", "", "A"));
    return absl::OkStatus();
  };
  EXPECT_TRUE(RestoreBackup(options, *kek_).ok());
  EXPECT_EQ(seen, "a");
  EXPECT_FALSE(std::filesystem::exists(target_));
  EXPECT_FALSE(std::filesystem::exists(target_ + ".restoring"));
}

TEST_F(BackupTest, AnOlderBackupNeedsTheKekOfItsTime) {
  Start();
  Put("A", "a");
  const std::string earlier = Backup().path;
  ASSERT_TRUE(CreateKekFile(root_ + "/kek2").ok());
  auto next = *LoadFileKeyProvider(root_ + "/kek2");
  ASSERT_TRUE(store().RotateKek(*next).ok());
  const std::string later = Backup().path;
  ExpectStatus(Check(later), absl::StatusCode::kPermissionDenied, "does not open this store");
  EXPECT_TRUE(Check(earlier).ok());
  kek_.swap(next);
  ExpectStatus(Restore(earlier), absl::StatusCode::kPermissionDenied, "KEK");
  EXPECT_FALSE(std::filesystem::exists(target_));
  EXPECT_TRUE(Restore(later).ok());
  EXPECT_EQ(Restored("A"), "a");
}

}  // namespace
}  // namespace keyferry::storage
