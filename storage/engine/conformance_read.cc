#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine/batch_check.h"
#include "storage/engine/conformance.h"

namespace keyferry::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST_P(EngineConformanceTest, EmptyEngineHasNothing) {
  const auto view = engine().Snapshot();
  EXPECT_EQ(view->revision(), 0u);
  EXPECT_EQ(GetIn(*view, "a"), std::nullopt);
  EXPECT_THAT(ScanIn(*view), IsEmpty());
  EXPECT_TRUE(engine().Verify().ok());
}

TEST_P(EngineConformanceTest, GetReturnsWhatWasLastWritten) {
  EXPECT_EQ(Put("k", "one"), 1u);
  EXPECT_EQ(Put("k", "two"), 2u);
  const std::optional<EngineEntry> entry = Get("k");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->key, "k");
  EXPECT_EQ(entry->value, "two");
  EXPECT_EQ(entry->revision, 2u);
  EXPECT_EQ(engine().Snapshot()->revision(), 2u);
}

TEST_P(EngineConformanceTest, DeletedKeysAreAbsent) {
  Put("k", "v");
  EXPECT_EQ(Delete("k"), 2u);
  EXPECT_FALSE(Get("k").has_value());
  EXPECT_EQ(Delete("never written"), 3u);
  EXPECT_THAT(ScanIn(*engine().Snapshot()), IsEmpty());
}

TEST_P(EngineConformanceTest, EmptyValueIsNotAbsent) {
  Put("k", "");
  const std::optional<EngineEntry> entry = Get("k");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->value, "");
}

TEST_P(EngineConformanceTest, KeysAndValuesAreBytes) {
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all.push_back(static_cast<char>(byte));
  Put(all, all);
  const std::optional<EngineEntry> entry = Get(all);
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->value, all);
  EXPECT_FALSE(Get(all.substr(0, 255)).has_value());
}

TEST_P(EngineConformanceTest, LargestKeyAndValueAreTaken) {
  const std::string key(kMaxEngineKeyBytes, 'k');
  const std::string value(kMaxEngineValueBytes, 'v');
  Put(key, value);
  ASSERT_TRUE(Get(key).has_value());
  EXPECT_TRUE(Get(key)->value == value);
}

TEST_P(EngineConformanceTest, GetRefusesKeysThatCannotBe) {
  EXPECT_TRUE(Get("x") == std::nullopt);
  // The empty key is never an entry, whatever an engine keeps for itself.
  Put("x", "v");
  const auto entry = engine().Snapshot()->Get("");
  EXPECT_TRUE(!entry.ok() || !entry->has_value());
}

TEST_P(EngineConformanceTest, ScanKeepsToPrefixAndAfter) {
  const std::string top("\xff", 1);
  const std::string nul("\0", 1);
  for (const std::string& key : {nul, std::string("a"), "a" + nul, std::string("ab"), "ab" + top, std::string("abc"),
                                 std::string("b"), top, top + "x", top + top}) {
    Put(key, "v");
  }
  const auto view = engine().Snapshot();
  const struct {
    const char* name;
    std::string prefix;
    std::string after;
    std::vector<std::string> keys;
  } kCases[] = {
      {"everything", "", "", {nul, "a", "a" + nul, "ab", "abc", "ab" + top, "b", top, top + "x", top + top}},
      {"everything after", "", "b", {top, top + "x", top + top}},
      {"prefix includes itself", "ab", "", {"ab", "abc", "ab" + top}},
      {"after the prefix itself", "ab", "ab", {"abc", "ab" + top}},
      {"after a key that is not there", "ab", "abb", {"abc", "ab" + top}},
      {"after before the prefix", "ab", "a", {"ab", "abc", "ab" + top}},
      {"after beyond the prefix", "ab", "b", {}},
      {"after the last", "ab", "ab" + top, {}},
      {"prefix of highest bytes", top, "", {top, top + "x", top + top}},
      {"prefix of two highest bytes", top + top, "", {top + top}},
      {"prefix ending in the highest byte", "ab" + top, "", {"ab" + top}},
      {"prefix of nothing", "zz", "", {}},
      {"lowest byte", nul, "", {nul}},
      {"after the lowest key", "a", "a", {"a" + nul, "ab", "abc", "ab" + top}},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    std::vector<std::string> keys;
    for (const auto& [key, value] : ScanIn(*view, test.prefix, test.after)) keys.push_back(key);
    std::vector<std::string> expected = test.keys;
    EXPECT_EQ(keys, expected);
  }
}

TEST_P(EngineConformanceTest, ScanStopsWhenToldTo) {
  for (const char* key : {"a", "b", "c", "d"}) Put(key, "v");
  std::vector<std::string> seen;
  const absl::Status status = engine().Snapshot()->Scan("", "", [&](const EngineEntry& entry) {
    seen.push_back(entry.key);
    return seen.size() < 2;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_THAT(seen, ElementsAre("a", "b"));
}

TEST_P(EngineConformanceTest, ScanMayUseTheEngine) {
  for (int i = 0; i < 200; ++i) Put("k" + std::to_string(1000 + i), "v");
  int visited = 0;
  const absl::Status status = engine().Snapshot()->Scan("k", "", [&](const EngineEntry& entry) {
    if (visited++ % 50 == 0) Put(entry.key, "changed");
    return true;
  });
  EXPECT_TRUE(status.ok()) << status;
  EXPECT_EQ(visited, 200);
  EXPECT_EQ(Get("k1000")->value, "changed");
}

TEST_P(EngineConformanceTest, ViewsDoNotChange) {
  Put("kept", "1");
  Put("replaced", "1");
  Put("deleted", "1");
  const auto before = engine().Snapshot();
  Put("replaced", "2");
  Delete("deleted");
  Put("added", "2");
  const auto after = engine().Snapshot();
  for (int i = 0; i < 100; ++i) Put("replaced", std::to_string(i));
  EXPECT_EQ(before->revision(), 3u);
  EXPECT_EQ(after->revision(), 6u);
  EXPECT_THAT(ScanIn(*before), ElementsAre(Pair("deleted", "1"), Pair("kept", "1"), Pair("replaced", "1")));
  EXPECT_THAT(ScanIn(*after), ElementsAre(Pair("added", "2"), Pair("kept", "1"), Pair("replaced", "2")));
  EXPECT_EQ(GetIn(*before, "replaced")->revision, 2u);
  EXPECT_EQ(GetIn(*before, "added"), std::nullopt);
  EXPECT_EQ(GetIn(*after, "deleted"), std::nullopt);
}

}  // namespace
}  // namespace keyferry::storage
