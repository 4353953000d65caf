#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine/batch_check.h"
#include "storage/engine/conformance.h"

namespace keyferry::storage {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;

TEST_P(EngineConformanceTest, PreconditionsDecide) {
  Put("present", "v");   // Revision 1.
  Put("deleted", "v");   // Revision 2.
  Delete("deleted");     // Revision 3.
  Put("present2", "v");  // Revision 4.
  const struct {
    const char* name;
    std::vector<EngineBatch::Precondition> preconditions;
    bool holds;
  } kCases[] = {
      {"right revision", {{"present", 1}}, true},
      {"older revision", {{"present2", 1}}, false},
      {"newer revision", {{"present", 4}}, false},
      {"absent and is not there", {{"never", 0}}, true},
      {"absent and was deleted", {{"deleted", 0}}, true},
      {"absent but is there", {{"present", 0}}, false},
      {"revision of a deleted key", {{"deleted", 2}}, false},
      {"revision of the deletion", {{"deleted", 3}}, false},
      {"revision of a key never written", {{"never", 1}}, false},
      {"all hold", {{"present", 1}, {"present2", 4}, {"never", 0}}, true},
      {"the last does not hold", {{"present", 1}, {"present2", 4}, {"never", 1}}, false},
  };
  Revision newest = 4;
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    EngineBatch batch = PutBatch("other", test.name);
    batch.preconditions = test.preconditions;
    const absl::StatusOr<Revision> revision = engine().Commit(batch, Durability::kSynced);
    if (test.holds) {
      ASSERT_TRUE(revision.ok()) << revision.status();
      EXPECT_EQ(*revision, ++newest);
      EXPECT_EQ(Get("other")->value, test.name);
    } else {
      EXPECT_EQ(revision.status().code(), absl::StatusCode::kAborted);
      EXPECT_EQ(engine().Snapshot()->revision(), newest);
    }
  }
}

TEST_P(EngineConformanceTest, PreconditionsSeeTheStateBeforeTheBatch) {
  EngineBatch batch = PutBatch("k", "v");
  batch.preconditions.push_back({"k", 0});
  EXPECT_EQ(Commit(batch), 1u);
  EXPECT_EQ(engine().Commit(batch, Durability::kSynced).status().code(), absl::StatusCode::kAborted);
}

TEST_P(EngineConformanceTest, AbortedBatchWritesNothing) {
  EngineBatch batch;
  for (const char* key : {"a", "b", "c"}) batch.writes.push_back({key, "v"});
  batch.preconditions.push_back({"d", 7});
  EXPECT_EQ(engine().Commit(batch, Durability::kSynced).status().code(), absl::StatusCode::kAborted);
  EXPECT_THAT(ScanIn(*engine().Snapshot()), IsEmpty());
  EXPECT_EQ(Put("a", "v"), 1u);
}

TEST_P(EngineConformanceTest, BatchHasOneRevision) {
  Put("old", "v");
  EngineBatch batch = DeleteBatch("old");
  batch.writes.push_back({"a", "1"});
  batch.writes.push_back({"b", "2"});
  EXPECT_EQ(Commit(batch), 2u);
  EXPECT_THAT(ScanIn(*engine().Snapshot()), ElementsAre(Pair("a", "1"), Pair("b", "2")));
  EXPECT_EQ(Get("a")->revision, 2u);
  EXPECT_EQ(Get("b")->revision, 2u);
}

TEST_P(EngineConformanceTest, BatchOfNothingCounts) {
  EXPECT_EQ(Commit(EngineBatch()), 1u);
  EXPECT_EQ(engine().Snapshot()->revision(), 1u);
}

TEST_P(EngineConformanceTest, BadBatchesAreRefused) {
  EngineBatch twice = PutBatch("a", "1");
  twice.writes.push_back({"b", "1"});
  twice.writes.push_back({"a", std::nullopt});
  EngineBatch empty_precondition = PutBatch("a", "1");
  empty_precondition.preconditions.push_back({"", 0});
  EngineBatch long_precondition = PutBatch("a", "1");
  long_precondition.preconditions.push_back({std::string(kMaxEngineKeyBytes + 1, 'k'), 0});
  const struct {
    const char* name;
    EngineBatch batch;
  } kCases[] = {
      {"empty key", PutBatch("", "v")},
      {"empty key deleted", DeleteBatch("")},
      {"key too long", PutBatch(std::string(kMaxEngineKeyBytes + 1, 'k'), "v")},
      {"value too long", PutBatch("k", std::string(kMaxEngineValueBytes + 1, 'v'))},
      {"key written twice", twice},
      {"empty key required", empty_precondition},
      {"long key required", long_precondition},
  };
  for (const auto& test : kCases) {
    SCOPED_TRACE(test.name);
    for (const Durability durability : {Durability::kSynced, Durability::kBuffered}) {
      EXPECT_EQ(engine().Commit(test.batch, durability).status().code(), absl::StatusCode::kInvalidArgument);
    }
  }
  EXPECT_EQ(engine().Snapshot()->revision(), 0u);
}

TEST_P(EngineConformanceTest, BufferedBatchesShowAtOnceWhenNothingIsSyncing) {
  EXPECT_EQ(Commit(PutBatch("a", "1"), Durability::kBuffered), 1u);
  EXPECT_EQ(Get("a")->value, "1");
  EXPECT_EQ(Put("b", "2"), 2u);
  EXPECT_EQ(Commit(DeleteBatch("a"), Durability::kBuffered), 3u);
  EXPECT_FALSE(Get("a").has_value());
  EXPECT_TRUE(engine().Sync().ok());
  EXPECT_EQ(engine().Snapshot()->revision(), 3u);
}

// Runs `work(i)` on `count` threads that start together.
void InParallel(int count, const std::function<void(int)>& work) {
  std::atomic<int> ready{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < count; ++i) {
    threads.emplace_back([&, i] {
      ++ready;
      while (ready < count) std::this_thread::yield();
      work(i);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST_P(EngineConformanceTest, OneOfManyRacersWins) {
  for (int round = 0; round < 20; ++round) {
    const std::string key = absl::StrCat("round", round);
    std::atomic<int> winners{0};
    std::atomic<int> winner{-1};
    InParallel(8, [&](int i) {
      EngineBatch batch = PutBatch(key, absl::StrCat(i));
      batch.preconditions.push_back({key, 0});
      const absl::StatusOr<Revision> revision = engine().Commit(batch, Durability::kSynced);
      if (revision.ok()) {
        ++winners;
        winner = i;
      } else {
        EXPECT_EQ(revision.status().code(), absl::StatusCode::kAborted) << revision.status();
        EXPECT_TRUE(Get(key).has_value()) << "a view after ABORTED must show the collision";
      }
    });
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(Get(key)->value, absl::StrCat(winner.load()));
  }
}

// Reading, adding and writing back under a precondition loses no addition.
TEST_P(EngineConformanceTest, CountersLoseNothing) {
  constexpr int kThreads = 8;
  constexpr int kAdditions = 50;
  Put("counter", "0");
  InParallel(kThreads, [&](int thread) {
    for (int done = 0; done < kAdditions;) {
      const EngineEntry entry = *Get("counter");
      EngineBatch batch = PutBatch("counter", absl::StrCat(std::stoi(entry.value) + 1));
      batch.preconditions.push_back({"counter", entry.revision});
      const Durability durability = (thread + done) % 3 == 0 ? Durability::kBuffered : Durability::kSynced;
      if (engine().Commit(batch, durability).ok()) ++done;
    }
  });
  ASSERT_TRUE(engine().Sync().ok());
  EXPECT_EQ(Get("counter")->value, absl::StrCat(kThreads * kAdditions));
}

TEST_P(EngineConformanceTest, RevisionsHaveNoGapsAndViewsNoHalves) {
  constexpr int kThreads = 8;
  constexpr int kCommits = 40;
  std::atomic<bool> writing{true};
  std::thread reader([&] {
    Revision newest = 0;
    while (writing) {
      const auto view = engine().Snapshot();
      EXPECT_GE(view->revision(), newest) << "views went back";
      newest = view->revision();
      const std::optional<EngineEntry> left = GetIn(*view, "left");
      const std::optional<EngineEntry> right = GetIn(*view, "right");
      ASSERT_EQ(left.has_value(), right.has_value());
      if (left.has_value()) {
        EXPECT_EQ(left->value, right->value);
      }
    }
  });
  std::vector<std::vector<Revision>> revisions(kThreads);
  InParallel(kThreads, [&](int thread) {
    for (int i = 0; i < kCommits; ++i) {
      EngineBatch batch = PutBatch("left", absl::StrCat(thread, ".", i));
      batch.writes.push_back({"right", batch.writes[0].value});
      const absl::StatusOr<Revision> revision = engine().Commit(batch, Durability::kSynced);
      ASSERT_TRUE(revision.ok()) << revision.status();
      revisions[thread].push_back(*revision);
      EXPECT_GE(engine().Snapshot()->revision(), *revision) << "a synced batch is visible to its writer";
    }
  });
  writing = false;
  reader.join();
  std::vector<Revision> all;
  for (const std::vector<Revision>& one : revisions) {
    EXPECT_TRUE(std::is_sorted(one.begin(), one.end()));
    all.insert(all.end(), one.begin(), one.end());
  }
  std::sort(all.begin(), all.end());
  ASSERT_EQ(all.size(), size_t{kThreads} * kCommits);
  for (size_t i = 0; i < all.size(); ++i) ASSERT_EQ(all[i], i + 1);
}

TEST_P(EngineConformanceTest, PurgeWaitsForOldViews) {
  Put("k", "old");
  auto old = engine().Snapshot();
  Put("k", "new");
  const std::vector<std::string> keys = {"k", "never written"};
  EXPECT_EQ(engine().Purge(keys, absl::Milliseconds(20)).code(), absl::StatusCode::kDeadlineExceeded);
  EXPECT_EQ(GetIn(*old, "k")->value, "old");
  old.reset();
  EXPECT_TRUE(engine().Purge(keys, absl::Seconds(30)).ok());
  EXPECT_EQ(Get("k")->value, "new");
  Delete("k");
  EXPECT_TRUE(engine().Purge(keys, absl::Seconds(30)).ok());
  EXPECT_FALSE(Get("k").has_value());
}

TEST_P(EngineConformanceTest, PurgeRefusesKeysThatCannotBe) {
  EXPECT_EQ(engine().Purge({""}, absl::Seconds(1)).code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(engine().Purge({}, absl::Seconds(1)).ok());
}

}  // namespace
}  // namespace keyferry::storage
