// What stands in the files of a store: nothing readable, and nothing of what was deleted or replaced.

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/format.h"
#include "storage/open.h"
#include "storage/testing_store.h"

namespace keyferry::storage {
namespace {

void ListFiles(const std::string& dir, std::vector<std::string>& files) {
  DIR* handle = opendir(dir.c_str());
  ASSERT_NE(handle, nullptr) << dir;
  while (const dirent* entry = readdir(handle)) {
    const std::string name = entry->d_name;
    if (name == "." || name == "..") continue;
    const std::string path = absl::StrCat(dir, "/", name);
    struct stat info;
    if (lstat(path.c_str(), &info) != 0) continue;
    if (S_ISDIR(info.st_mode)) {
      ListFiles(path, files);
    } else {
      files.push_back(path);
    }
  }
  closedir(handle);
}

// Names of the files whose content holds `needle`.
std::vector<std::string> FilesWith(const std::string& dir, const std::string& needle) {
  std::vector<std::string> files, found;
  ListFiles(dir, files);
  EXPECT_GT(files.size(), 3);
  for (const std::string& path : files) {
    std::ifstream file(path, std::ios::binary);
    const std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
    if (content.find(needle) != std::string::npos) found.push_back(path);
  }
  return found;
}

using Files = std::vector<std::string>;

class DiskTest : public testing::Test {
 protected:
  DiskTest() {
    Open();
    EXPECT_TRUE(store_->CreateKeyring("acme-industries").ok());
  }
  void Open() {
    store_.reset();
    engine_.Reopen();
    auto store = OpenStoreOn(engine_.Borrow(), /*create=*/true, kek_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  // The sealed bytes that the only record of `space` has now.
  std::string SealedBytes(Space space) {
    std::string sealed;
    EXPECT_TRUE(engine_.engine()
                    .Snapshot()
                    ->Scan(SpaceKey(space, ""), "",
                           [&](const EngineEntry& entry) {
                             sealed = entry.value;
                             return true;
                           })
                    .ok());
    // Without the header's first bytes, which many records share.
    return sealed.substr(kRecordHeaderSize);
  }
  void ExpectPurged() {
    const absl::Status purged = store_->WaitForPurge(absl::Seconds(60));
    ASSERT_TRUE(purged.ok()) << purged;
  }

  FakeKeyProvider kek_{1};
  TestEngine engine_{EngineKind::kRocksDb};
  std::unique_ptr<Store> store_;
  const RecordKey key_ = ValueKey("acme-industries", "teams/engineering", "GITHUB_TOKEN");
};

TEST_F(DiskTest, ReplacedValueLeavesTheFiles) {
  ASSERT_TRUE(PutOne(*store_, key_, "first value").ok());
  const std::string first = SealedBytes(Space::kRecord);
  ASSERT_FALSE(FilesWith(engine_.directory(), first).empty());
  ASSERT_TRUE(PutOne(*store_, key_, "second value").ok());
  ExpectPurged();
  EXPECT_EQ(FilesWith(engine_.directory(), first), Files{});
  EXPECT_EQ(ReadOne(*store_, key_), "second value");
}

TEST_F(DiskTest, DeletedValueLeavesTheFiles) {
  ASSERT_TRUE(PutOne(*store_, key_, "value").ok());
  const std::string sealed = SealedBytes(Space::kRecord);
  ASSERT_TRUE(DeleteOne(*store_, key_).ok());
  ExpectPurged();
  EXPECT_EQ(FilesWith(engine_.directory(), sealed), Files{});
}

TEST_F(DiskTest, DeletedSessionKeyLeavesTheFiles) {
  const RecordKey key = {Table::kSessionKey, "acme-industries", "", "1"};
  ASSERT_TRUE(PutOne(*store_, key, "private key").ok());
  const std::string sealed = SealedBytes(Space::kRecord);
  ASSERT_FALSE(FilesWith(engine_.directory(), sealed).empty());
  ASSERT_TRUE(DeleteOne(*store_, key).ok());
  ExpectPurged();
  EXPECT_EQ(FilesWith(engine_.directory(), sealed), Files{});
}

TEST_F(DiskTest, ValueReplacedBeforeTheStoreWasClosedIsPurgedAfterTheNextOpen) {
  ASSERT_TRUE(PutOne(*store_, key_, "value").ok());
  const std::string sealed = SealedBytes(Space::kRecord);
  ASSERT_TRUE(DeleteOne(*store_, key_).ok());
  Open();
  ExpectPurged();
  EXPECT_EQ(FilesWith(engine_.directory(), sealed), Files{});
}

TEST_F(DiskTest, DestroyedKeyringLeavesTheFiles) {
  std::vector<std::string> keyrings;
  ASSERT_TRUE(engine_.engine()
                  .Snapshot()
                  ->Scan(SpaceKey(Space::kKeyring, ""), "",
                         [&](const EngineEntry& entry) {
                           keyrings.push_back(entry.value.substr(1));
                           return true;
                         })
                  .ok());
  ASSERT_EQ(keyrings.size(), 2);
  ASSERT_TRUE(store_->DestroyOrg("acme-industries").ok());
  // Only the system's keyring remains.
  EXPECT_EQ(FilesWith(engine_.directory(), keyrings[0]).empty() + FilesWith(engine_.directory(), keyrings[1]).empty(),
            1);
}

TEST_F(DiskTest, RetiredKeyringAndOldHeaderLeaveTheFiles) {
  // Known to be new, so that nothing but the keyring and the header asks for a purge.
  ASSERT_TRUE(PutOne(*store_, key_, "value", 1, Revision{0}).ok());
  const std::string header = SealedBytes(Space::kHeader).substr(17);
  std::vector<std::string> keyrings;
  const auto collect = [&](const EngineEntry& entry) {
    keyrings.push_back(entry.value.substr(1));
    return true;
  };
  ASSERT_TRUE(engine_.engine().Snapshot()->Scan(SpaceKey(Space::kKeyring, ""), "", collect).ok());
  ASSERT_TRUE(store_->RotateDataKey("acme-industries").ok());
  ExpectPurged();
  EXPECT_EQ(FilesWith(engine_.directory(), keyrings[0]).empty() + FilesWith(engine_.directory(), keyrings[1]).empty(),
            1);
  ASSERT_FALSE(FilesWith(engine_.directory(), header).empty());
  ASSERT_TRUE(store_->RotateKek(FakeKeyProvider(2)).ok());
  ExpectPurged();
  EXPECT_EQ(FilesWith(engine_.directory(), header), Files{});
}

TEST_F(DiskTest, NothingReadableIsInAnyFile) {
  const std::string value = "ghp_verySecretValue0123456789", description = "deploys the storefront";
  const std::string org = "acme-industries";
  for (int i = 0; i < 50; ++i) {
    const std::string name = absl::StrCat("GITHUB_TOKEN_", i);
    ASSERT_TRUE(PutOne(*store_, ValueKey(org, "teams/engineering", name), value).ok());
    ASSERT_TRUE(PutOne(*store_, {Table::kCredential, org, "teams/engineering", name},
                       absl::StrCat(name, " ", description, " ada-lovelace"))
                    .ok());
    ASSERT_TRUE(PutOne(*store_, {Table::kMembership, org, "users/ada-lovelace", "engineering"}, "ada-lovelace").ok());
    if (i % 3 != 0) continue;
    ASSERT_TRUE(DeleteOne(*store_, ValueKey(org, "teams/engineering", name)).ok());
  }
  ASSERT_TRUE(PutOne(*store_, {Table::kOrg, "", "", org}, org).ok());
  ASSERT_TRUE(store_->RotateDataKey(org).ok());
  // Both the log before it is flushed and the tables after it are looked at.
  for (int pass = 0; pass < 2; ++pass) {
    for (const std::string& text : {value, description, std::string("GITHUB_TOKEN_1"), std::string("ada-lovelace"),
                                    std::string("engineering"), org}) {
      for (const std::string& needle :
           {text, absl::Base64Escape(text).substr(0, text.size()), absl::BytesToHexString(text),
            absl::AsciiStrToUpper(absl::BytesToHexString(text))}) {
        EXPECT_EQ(FilesWith(engine_.directory(), needle), Files{}) << needle;
      }
    }
    Open();
  }
}

}  // namespace
}  // namespace keyferry::storage
