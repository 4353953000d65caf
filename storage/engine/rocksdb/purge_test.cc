#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/engine/rocksdb/test_store.h"

namespace keyferry::storage {
namespace {

constexpr absl::Duration kLong = absl::Seconds(60);

// A value that no other bytes of a file can look like.
std::string Marked(int i) { return absl::StrCat("secret-value-number-", i, "-of-the-purge-test"); }

class PurgeTest : public testing::Test {
 protected:
  void SetUp() override { store_.Open(); }

  void Put(const std::string& key, const std::string& value) { ASSERT_TRUE(store_.Put(key, value).ok()); }

  // Purging any key flushes the memtable and moves what overlaps down.
  void PushDown(const std::string& key) { ASSERT_TRUE(store_.engine().Purge({key}, kLong).ok()); }

  TestStore store_;
};

TEST_F(PurgeTest, ReplacedValueIsGoneFromTheLog) {
  Put("k", Marked(1));
  ASSERT_TRUE(store_.AnyFileHolds(Marked(1))) << "the test cannot see what it looks for";
  Put("k", Marked(2));
  ASSERT_TRUE(store_.engine().Purge({"k"}, kLong).ok());
  EXPECT_FALSE(store_.AnyFileHolds(Marked(1)));
  EXPECT_TRUE(store_.AnyFileHolds(Marked(2)));
}

TEST_F(PurgeTest, DeletedValueIsGoneFromTheLog) {
  Put("k", Marked(1));
  ASSERT_TRUE(store_.Delete("k").ok());
  ASSERT_TRUE(store_.AnyFileHolds(Marked(1)));
  ASSERT_TRUE(store_.engine().Purge({"k"}, kLong).ok());
  EXPECT_FALSE(store_.AnyFileHolds(Marked(1)));
}

TEST_F(PurgeTest, ValuesAreGoneFromSeveralLevels) {
  for (int round = 0; round < 4; ++round) {
    Put("k", Marked(round));
    Put("a", "v");
    Put("z", "v");
    PushDown(round == 0 ? "k" : "a");
  }
  // Flushed with the older ones still in sight, so that several versions lie in the files.
  auto old = store_.engine().Snapshot();
  Put("k", Marked(4));
  EXPECT_EQ(store_.engine().Purge({"a"}, absl::Milliseconds(1)).code(), absl::StatusCode::kDeadlineExceeded);
  old.reset();
  PushDown("z");
  ASSERT_TRUE(store_.Delete("k").ok());
  ASSERT_TRUE(store_.engine().Purge({"k"}, kLong).ok());
  for (int round = 0; round <= 4; ++round) EXPECT_FALSE(store_.AnyFileHolds(Marked(round))) << round;
  store_.Check();
}

// Compactions that ran while an old view lived leave the old value beside the new one in the deepest file.
TEST_F(PurgeTest, ValueIsGoneFromTheDeepestFileThatAlsoHoldsTheNewOne) {
  Put("k", Marked(1));
  auto old = store_.engine().Snapshot();
  Put("k", Marked(2));
  // Enough for several flushes and a compaction of what they wrote.
  for (int round = 0; round < 8; ++round) {
    for (int i = 0; i < 6; ++i) {
      EngineBatch batch;
      batch.writes.push_back({absl::StrCat(i < 3 ? "a" : "z", i), std::string(1000000, 'x')});
      ASSERT_TRUE(store_.Commit(std::move(batch), Durability::kBuffered).ok());
    }
  }
  ASSERT_FALSE(store_.Files("", ".sst").empty());
  old.reset();
  ASSERT_TRUE(store_.engine().Purge({"k"}, kLong).ok());
  EXPECT_FALSE(store_.AnyFileHolds(Marked(1)));
  EXPECT_TRUE(store_.AnyFileHolds(Marked(2)));
}

TEST_F(PurgeTest, WaitsForAnOldViewAndThenSucceeds) {
  Put("k", Marked(1));
  auto old = store_.engine().Snapshot();
  ASSERT_TRUE(store_.Delete("k").ok());
  const absl::Status early = store_.engine().Purge({"k"}, absl::Milliseconds(50));
  EXPECT_EQ(early.code(), absl::StatusCode::kDeadlineExceeded) << early;
  EXPECT_EQ((*old->Get("k"))->value, Marked(1));
  EXPECT_TRUE(store_.AnyFileHolds(Marked(1)));
  old.reset();
  ASSERT_TRUE(store_.engine().Purge({"k"}, kLong).ok());
  EXPECT_FALSE(store_.AnyFileHolds(Marked(1)));
}

// A scan keeps the files that it reads from, also when its view shows nothing of the old value.
TEST_F(PurgeTest, WaitsForARunningScan) {
  Put("k", Marked(1));
  Put("l", "v");
  PushDown("k");
  ASSERT_TRUE(store_.Delete("k").ok());
  const auto view = store_.engine().Snapshot();
  bool visited = false;
  const absl::Status scanned = view->Scan("", "", [&](const EngineEntry&) {
    visited = true;
    const absl::Status purged = store_.engine().Purge({"k"}, absl::Milliseconds(50));
    EXPECT_EQ(purged.code(), absl::StatusCode::kDeadlineExceeded) << purged;
    return false;
  });
  EXPECT_TRUE(scanned.ok() && visited);
  ASSERT_TRUE(store_.engine().Purge({"k"}, kLong).ok());
  EXPECT_FALSE(store_.AnyFileHolds(Marked(1)));
}

TEST_F(PurgeTest, ManyKeysAmongManyOthers) {
  for (int i = 0; i < 2000; ++i) {
    ASSERT_TRUE(store_.Put(absl::StrCat("key", 10000 + i), Marked(i), Durability::kBuffered).ok());
  }
  PushDown("key10500");
  std::vector<std::string> keys;
  for (int i = 0; i < 2000; i += 20) {
    keys.push_back(absl::StrCat("key", 10000 + i));
    if (i % 40 == 0) {
      ASSERT_TRUE(store_.Delete(keys.back()).ok());
    } else {
      Put(keys.back(), "replaced");
    }
  }
  ASSERT_TRUE(store_.engine().Purge(keys, kLong).ok());
  std::string everything;
  for (const std::string& name : store_.Files("", "")) everything += ReadWholeFile(store_.Path(name));
  for (int i = 0; i < 2000; ++i) {
    EXPECT_EQ(everything.find(Marked(i)) != std::string::npos, i % 20 != 0) << i;
  }
  store_.Check();
}

TEST_F(PurgeTest, ValuesAreGoneAfterACrashAndReopen) {
  Put("k", Marked(1));
  store_.Crash(FaultFs::Unsynced::kKept, /*entries_lost=*/false);
  store_.Open();
  ASSERT_TRUE(store_.Delete("k").ok());
  store_.Crash(FaultFs::Unsynced::kKept, /*entries_lost=*/false);
  store_.Open();
  ASSERT_TRUE(store_.engine().Purge({"k"}, kLong).ok());
  EXPECT_FALSE(store_.AnyFileHolds(Marked(1)));
}

}  // namespace
}  // namespace keyferry::storage
