#include "storage/engine/rocksdb/entry_cache.h"

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace keyferry::storage {
namespace {

EngineEntry Entry(const std::string& key, const std::string& value, Revision revision) {
  return {key, value, revision};
}

TEST(EntryCacheTest, KnowsNothingAtFirst) { EXPECT_FALSE(EntryCache().Find("key", 1).has_value()); }

TEST(EntryCacheTest, ServesLaterViewsUntilTheKeyChanges) {
  EntryCache cache;
  cache.Insert("key", 5, Entry("key", "value", 3));
  const auto found = cache.Find("key", 9);
  ASSERT_TRUE(found.has_value() && found->has_value());
  EXPECT_EQ((*found)->value, "value");
  EXPECT_EQ((*found)->revision, 3);
  cache.Update("key", 10, "newer");
  EXPECT_FALSE(cache.Find("key", 9).has_value());
  ASSERT_TRUE(cache.Find("key", 10).has_value());
  EXPECT_EQ((**cache.Find("key", 10)).value, "newer");
  EXPECT_EQ(cache.FindRevision("key", 10), Revision{10});
  cache.Update("key", 11, std::nullopt);
  ASSERT_TRUE(cache.Find("key", 11).has_value());
  EXPECT_FALSE(cache.Find("key", 11)->has_value());
  EXPECT_EQ(cache.FindRevision("key", 11), Revision{0});
  cache.Update("key", 12, std::string(1025, 'v'));
  EXPECT_FALSE(cache.Find("key", 12).has_value());
}

TEST(EntryCacheTest, RemembersAbsence) {
  EntryCache cache;
  cache.Insert("key", 5, std::nullopt);
  const auto found = cache.Find("key", 5);
  ASSERT_TRUE(found.has_value());
  EXPECT_FALSE(found->has_value());
}

TEST(EntryCacheTest, DoesNotServeViewsFromBeforeItWasRead) {
  EntryCache cache;
  cache.Insert("key", 5, Entry("key", "value", 3));
  EXPECT_FALSE(cache.Find("key", 4).has_value());
}

TEST(EntryCacheTest, TakesNothingThatACommitOvertook) {
  EntryCache cache;
  cache.Update("key", 6, "new");
  cache.Insert("key", 5, Entry("key", "old", 3));
  EXPECT_FALSE(cache.Find("key", 5).has_value());
  EXPECT_FALSE(cache.Find("key", 6).has_value());
  cache.Insert("key", 6, Entry("key", "new", 6));
  ASSERT_TRUE(cache.Find("key", 7).has_value());
  EXPECT_EQ((**cache.Find("key", 7)).value, "new");
}

TEST(EntryCacheTest, AnOlderViewDoesNotReplaceANewer) {
  EntryCache cache;
  cache.Insert("key", 8, Entry("key", "value", 3));
  cache.Insert("key", 7, Entry("key", "value", 3));
  EXPECT_TRUE(cache.Find("key", 8).has_value());
  EXPECT_FALSE(cache.Find("key", 7).has_value());
}

TEST(EntryCacheTest, KeepsNoLargeValue) {
  EntryCache cache;
  cache.Insert("key", 5, Entry("key", std::string(1025, 'v'), 3));
  EXPECT_FALSE(cache.Find("key", 5).has_value());
}

TEST(EntryCacheTest, ACommitForgetsItsOwnKeysAlone) {
  // Another key that needs the slot of "key".
  EntryCache search;
  std::string other;
  search.Insert("key", 5, Entry("key", "value", 3));
  for (int i = 0; search.Find("key", 5).has_value(); ++i) {
    other = absl::StrCat("other", i);
    search.Insert(other, 5, Entry(other, "value", 3));
  }
  EntryCache cache;
  cache.Insert("key", 5, Entry("key", "value", 3));
  cache.Update(other, 6, "new");
  EXPECT_TRUE(cache.Find("key", 6).has_value());
  // But what a view from before that commit shows is not taken: it could be of the other key.
  cache.Insert(other, 5, Entry(other, "old", 3));
  EXPECT_FALSE(cache.Find(other, 6).has_value());
}

TEST(EntryCacheTest, NeverAnswersForAnotherKey) {
  EntryCache cache;
  for (int i = 0; i < 200000; ++i) {
    const std::string key = absl::StrCat("key", i);
    cache.Insert(key, 5, Entry(key, key, 3));
  }
  int known = 0;
  for (int i = 0; i < 200000; ++i) {
    const std::string key = absl::StrCat("key", i);
    const auto found = cache.Find(key, 5);
    if (!found.has_value()) continue;
    ++known;
    ASSERT_EQ((*found)->value, key);
    ASSERT_EQ((*found)->key, key);
  }
  EXPECT_GT(known, 1000);
  EXPECT_LE(known, 65536);
}

}  // namespace
}  // namespace keyferry::storage
