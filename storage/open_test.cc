#include "storage/open.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/testing_store.h"

namespace keyferry::storage {
namespace {

class OpenTest : public testing::Test {
 protected:
  absl::StatusOr<std::unique_ptr<Store>> Open(bool create, uint8_t kek = 1) {
    OpenOptions options;
    options.data_dir = dir_;
    options.create = create;
    options.memory_budget = size_t{16} << 20;
    return OpenStore(options, FakeKeyProvider(kek));
  }
  void MakeStoreWithData() {
    auto store = Open(/*create=*/true);
    ASSERT_TRUE(store.ok()) << store.status();
    ASSERT_TRUE((*store)->CreateKeyring("acme").ok());
    for (int i = 0; i < 100; ++i) {
      ASSERT_TRUE(PutOne(**store, ValueKey("acme", "", absl::StrCat("K", i)), std::string(500, 'v')).ok());
    }
  }
  // Both that it is refused and that the message says `what`.
  void ExpectRefused(absl::StatusCode code, absl::string_view what, bool create = false) {
    const absl::Status status = Open(create).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), what)) << status;
  }
  std::vector<std::string> DatabaseFiles(absl::string_view suffix) {
    std::vector<std::string> files;
    DIR* handle = opendir((dir_ + "/db").c_str());
    if (handle == nullptr) return files;
    while (const dirent* entry = readdir(handle)) {
      if (absl::EndsWith(entry->d_name, suffix)) files.push_back(absl::StrCat(dir_, "/db/", entry->d_name));
    }
    closedir(handle);
    return files;
  }

  const std::string dir_ = MakeTestDirectory() + "/data";
};

TEST_F(OpenTest, MakesADirectoryOnlyForItsOwner) {
  ExpectRefused(absl::StatusCode::kNotFound, "keyferryd init");
  MakeStoreWithData();
  struct stat info;
  ASSERT_EQ(stat(dir_.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700);
  auto store = Open(/*create=*/false);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(ReadOne(**store, ValueKey("acme", "", "K7")), std::string(500, 'v'));
}

TEST_F(OpenTest, EmptyDirectoryHoldsNoStore) {
  ASSERT_EQ(mkdir(dir_.c_str(), 0700), 0);
  ExpectRefused(absl::StatusCode::kNotFound, "no store");
}

TEST_F(OpenTest, DirectoryOpenToOthersIsRefused) {
  MakeStoreWithData();
  for (const mode_t mode : {0701, 0710, 0740, 0704, 0755, 0777}) {
    ASSERT_EQ(chmod(dir_.c_str(), mode), 0);
    ExpectRefused(absl::StatusCode::kFailedPrecondition, "chmod 700");
  }
  ASSERT_EQ(chmod(dir_.c_str(), 0700), 0);
  EXPECT_TRUE(Open(/*create=*/false).ok());
}

TEST_F(OpenTest, DirectoryOfAnotherUserIsRefused) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
  MakeStoreWithData();
  ASSERT_EQ(chown(dir_.c_str(), 12345, 12345), 0);
  ExpectRefused(absl::StatusCode::kFailedPrecondition, "owned by user 12345");
}

TEST_F(OpenTest, FileInPlaceOfTheDirectoryIsRefused) {
  std::ofstream(dir_) << "x";
  ExpectRefused(absl::StatusCode::kFailedPrecondition, "not a directory");
}

TEST_F(OpenTest, DirectoryInUseIsRefusedWithinAndAcrossProcesses) {
  MakeStoreWithData();
  auto store = Open(/*create=*/false);
  ASSERT_TRUE(store.ok());
  ExpectRefused(absl::StatusCode::kFailedPrecondition, "in use");
  const pid_t child = fork();
  if (child == 0) _exit(absl::IsFailedPrecondition(Open(/*create=*/false).status()) ? 0 : 1);
  int exit_status = -1;
  ASSERT_EQ(waitpid(child, &exit_status, 0), child);
  EXPECT_EQ(exit_status, 0);
  store->reset();
  EXPECT_TRUE(Open(/*create=*/false).ok());
}

TEST_F(OpenTest, WrongKekIsRefusedAndChangesNothing) {
  MakeStoreWithData();
  EXPECT_EQ(Open(/*create=*/true, /*kek=*/2).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(Open(/*create=*/false).ok());
}

TEST_F(OpenTest, ChangedByteInADataFileIsFound) {
  MakeStoreWithData();
  const std::vector<std::string> files = DatabaseFiles(".sst");
  ASSERT_FALSE(files.empty());
  std::fstream file(files[0], std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(1000);
  const char byte = static_cast<char>(file.get());
  file.seekp(1000);
  file.put(static_cast<char>(byte ^ 0x40));
  file.close();
  ExpectRefused(absl::StatusCode::kDataLoss, "restore the data directory from a backup");
}

TEST_F(OpenTest, MissingOrTruncatedDataFileIsFound) {
  MakeStoreWithData();
  const std::vector<std::string> files = DatabaseFiles(".sst");
  ASSERT_FALSE(files.empty());
  ASSERT_EQ(truncate(files[0].c_str(), 2000), 0);
  ExpectRefused(absl::StatusCode::kDataLoss, "restore the data directory from a backup");
  ASSERT_EQ(unlink(files[0].c_str()), 0);
  ExpectRefused(absl::StatusCode::kDataLoss, "restore the data directory from a backup");
}

TEST_F(OpenTest, LostDatabaseIsNeverMadeAnew) {
  MakeStoreWithData();
  ASSERT_EQ(rename((dir_ + "/db").c_str(), (dir_ + "/gone").c_str()), 0);
  ExpectRefused(absl::StatusCode::kDataLoss, "lost files", /*create=*/true);
}

TEST_F(OpenTest, LostManifestPointerIsNeverMadeAnew) {
  MakeStoreWithData();
  ASSERT_EQ(unlink((dir_ + "/db/CURRENT").c_str()), 0);
  ExpectRefused(absl::StatusCode::kDataLoss, "restore the data directory from a backup", /*create=*/true);
}

}  // namespace
}  // namespace keyferry::storage
