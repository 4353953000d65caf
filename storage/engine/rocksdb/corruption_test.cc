#include <filesystem>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/engine/rocksdb/test_store.h"

namespace keyferry::storage {
namespace {

// A store with files on several levels and a log that was never flushed, and a copy of its files to start again from.
class CorruptionTest : public testing::Test {
 protected:
  void SetUp() override {
    store_.Open();
    for (int i = 0; i < 120; ++i) Put(i);
    Purge("key100");
    for (int i = 60; i < 180; ++i) Put(i);
    Purge("key150");
    for (int i = 170; i < 200; ++i) Put(i);
    store_.Crash(FaultFs::Unsynced::kKept, /*entries_lost=*/false);
    for (const std::string& name : store_.Files("", "")) files_[name] = ReadWholeFile(store_.Path(name));
  }

  void Put(int i) {
    ASSERT_TRUE(
        store_.Put(absl::StrCat("key", 100 + i), absl::StrCat("value", store_.tried(), std::string(40, 'v'))).ok());
  }

  void Purge(const std::string& key) { ASSERT_TRUE(store_.engine().Purge({key}, absl::Seconds(60)).ok()); }

  void Restore() {
    store_.Close();
    for (const std::string& name : store_.Files("", "")) std::filesystem::remove(store_.Path(name));
    for (const auto& [name, content] : files_) WriteWholeFile(store_.Path(name), content);
  }

  // Opens the damaged store and reads everything. Fails the test if what it reads is not what was last written.
  // Whether the damage was noticed.
  bool Noticed() {
    const absl::Status opened = store_.TryOpen();
    if (!opened.ok()) {
      EXPECT_EQ(opened.code(), absl::StatusCode::kDataLoss) << opened;
      EXPECT_TRUE(absl::StrContains(opened.message(), store_.dir()) || absl::StrContains(opened.message(), ".log") ||
                  absl::StrContains(opened.message(), ".sst") || absl::StrContains(opened.message(), "MANIFEST"))
          << "no file is named: " << opened;
      return true;
    }
    const absl::Status verified = store_.engine().Verify();
    const absl::StatusOr<TestStore::Contents> contents = store_.ReadAll();
    if (!verified.ok() || !contents.ok()) {
      const absl::Status& status = verified.ok() ? contents.status() : verified;
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << status;
      EXPECT_FALSE(verified.ok()) << "a read failed on what Verify passed: " << status;
      EXPECT_TRUE(absl::StrContains(status.message(), ".sst")) << status;
      return true;
    }
    EXPECT_TRUE(*contents == store_.StateAt(store_.tried())) << "wrong values";
    return false;
  }

  // Damages `name` in each of about `count` places and looks what comes of it; how often it was noticed, in percent.
  int Sweep(const std::string& name, size_t count, const std::function<void(std::string&, size_t)>& damage) {
    const std::string& whole = files_.at(name);
    const size_t step = std::max<size_t>(1, whole.size() / count);
    int cases = 0;
    int noticed = 0;
    for (size_t at = 0; at < whole.size(); at += step) {
      SCOPED_TRACE(absl::StrCat(name, " of ", whole.size(), " bytes at ", at));
      Restore();
      std::string damaged = whole;
      damage(damaged, at);
      WriteWholeFile(store_.Path(name), damaged);
      noticed += Noticed();
      ++cases;
    }
    EXPECT_GT(cases, 0);
    return 100 * noticed / cases;
  }

  std::vector<std::string> NonEmpty(const std::string& beginning, const std::string& end) {
    std::vector<std::string> names;
    for (const auto& [name, content] : files_) {
      if (absl::StartsWith(name, beginning) && absl::EndsWith(name, end) && !content.empty()) names.push_back(name);
    }
    EXPECT_FALSE(names.empty());
    return names;
  }

  TestStore store_;
  std::map<std::string, std::string> files_;
};

void FlipBit(std::string& content, size_t at) { content[at] = static_cast<char>(content[at] ^ (1 << (at % 8))); }
void Cut(std::string& content, size_t at) { content.resize(at); }
void Zero(std::string& content, size_t at) {
  for (size_t i = at; i < std::min(content.size(), at + 32); ++i) content[i] = '\0';
}

TEST_F(CorruptionTest, UndamagedStoreOpens) {
  Restore();
  EXPECT_FALSE(Noticed());
}

TEST_F(CorruptionTest, DataFile) {
  for (const std::string& name : NonEmpty("", ".sst")) {
    EXPECT_GE(Sweep(name, 120, FlipBit), 90);
    EXPECT_EQ(Sweep(name, 30, Cut), 100);
    EXPECT_GE(Sweep(name, 30, Zero), 90);
  }
}

TEST_F(CorruptionTest, Manifest) {
  for (const std::string& name : NonEmpty("MANIFEST", "")) {
    EXPECT_EQ(Sweep(name, 200, FlipBit), 100);
    EXPECT_EQ(Sweep(name, 100, Cut), 100);
    EXPECT_GE(Sweep(name, 50, Zero), 90);
  }
}

TEST_F(CorruptionTest, Guard) {
  EXPECT_EQ(Sweep("GUARD", 200, FlipBit), 100);
  EXPECT_EQ(Sweep("GUARD", 100, Cut), 100);
}

// A log that is merely cut short is what a power loss leaves; any other change is noticed.
TEST_F(CorruptionTest, Log) {
  for (const std::string& name : NonEmpty("", ".log")) {
    EXPECT_EQ(Sweep(name, 3000, FlipBit), 100);
    EXPECT_GE(Sweep(name, 100, Zero), 90);
  }
}

TEST_F(CorruptionTest, MissingFile) {
  for (const auto& [name, content] : files_) {
    if (content.empty() || absl::StartsWith(name, "LOG") || name == "LOCK" || name == "IDENTITY" ||
        absl::StartsWith(name, "OPTIONS")) {
      continue;
    }
    SCOPED_TRACE(name);
    Restore();
    std::filesystem::remove(store_.Path(name));
    EXPECT_TRUE(Noticed());
  }
}

TEST_F(CorruptionTest, CurrentFile) {
  for (const std::string content : {"", "\n", "MANIFEST-999999\n", "MANIFEST-", "garbage", "../CURRENT\n"}) {
    SCOPED_TRACE(content);
    Restore();
    WriteWholeFile(store_.Path("CURRENT"), content);
    EXPECT_TRUE(Noticed());
  }
}

}  // namespace
}  // namespace keyferry::storage
