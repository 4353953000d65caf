#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "storage/engine/conformance.h"

namespace keyferry::storage {
namespace {

using testing::UnorderedElementsAre;

// Collects what a watch delivers.
class Collector {
 public:
  std::function<void(const EngineChange&)> callback() {
    return [this](const EngineChange& change) {
      absl::MutexLock lock(&mu_);
      changes_.push_back(change);
    };
  }

  // The changes, once there are `count`.
  std::vector<EngineChange> Await(size_t count) {
    absl::MutexLock lock(&mu_);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return changes_.size() >= count; };
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(60)));
    return changes_;
  }

 private:
  absl::Mutex mu_;
  std::vector<EngineChange> changes_ ABSL_GUARDED_BY(mu_);
};

TEST_P(EngineConformanceTest, WatchDeliversLaterBatches) {
  Put("before", "v");
  Collector collector;
  const auto watch = engine().Watch(1, collector.callback());
  ASSERT_TRUE(watch.ok()) << watch.status();
  EngineBatch batch = PutBatch("a", "v");
  batch.writes.push_back({"before", std::nullopt});
  Commit(batch);
  Commit(EngineBatch());
  Put("b", "v");
  const std::vector<EngineChange> changes = collector.Await(3);
  ASSERT_EQ(changes.size(), 3u);
  EXPECT_EQ(changes[0].revision, 2u);
  EXPECT_THAT(changes[0].keys, UnorderedElementsAre("a", "before"));
  EXPECT_EQ(changes[1].revision, 3u);
  EXPECT_TRUE(changes[1].keys.empty());
  EXPECT_EQ(changes[2].revision, 4u);
  EXPECT_THAT(changes[2].keys, UnorderedElementsAre("b"));
}

TEST_P(EngineConformanceTest, WatchReplaysWhatIsKept) {
  for (int i = 1; i <= 10; ++i) Put(absl::StrCat("k", i), "v");
  Collector collector;
  const auto watch = engine().Watch(7, collector.callback());
  ASSERT_TRUE(watch.ok()) << watch.status();
  const std::vector<EngineChange> changes = collector.Await(3);
  ASSERT_EQ(changes.size(), 3u);
  for (size_t i = 0; i < 3; ++i) EXPECT_EQ(changes[i].revision, 8 + i);
}

TEST_P(EngineConformanceTest, WatchFromTheFutureIsOutOfRange) {
  Put("k", "v");
  EXPECT_EQ(engine().Watch(2, [](const EngineChange&) {}).status().code(), absl::StatusCode::kOutOfRange);
}

TEST_P(EngineConformanceTest, BufferedBatchesAreDeliveredOnceDurable) {
  Collector collector;
  const auto watch = engine().Watch(0, collector.callback());
  ASSERT_TRUE(watch.ok()) << watch.status();
  Commit(PutBatch("a", "v"), Durability::kBuffered);
  Commit(PutBatch("b", "v"), Durability::kBuffered);
  ASSERT_TRUE(engine().Sync().ok());
  EXPECT_EQ(collector.Await(2).size(), 2u);
}

TEST_P(EngineConformanceTest, EndedWatchGetsNoMoreCalls) {
  Collector ended;
  Collector going;
  auto first = engine().Watch(0, ended.callback());
  const auto second = engine().Watch(0, going.callback());
  ASSERT_TRUE(first.ok() && second.ok());
  Put("a", "v");
  EXPECT_EQ(ended.Await(1).size(), 1u);
  first->reset();
  Put("b", "v");
  EXPECT_EQ(going.Await(2).size(), 2u);
  EXPECT_EQ(ended.Await(1).size(), 1u);
}

TEST_P(EngineConformanceTest, EndingAWatchWaitsForARunningCall) {
  absl::Notification entered;
  absl::Notification leave;
  bool left = false;
  auto watch = engine().Watch(0, [&](const EngineChange&) {
    entered.Notify();
    leave.WaitForNotification();
    left = true;
  });
  ASSERT_TRUE(watch.ok());
  Put("a", "v");
  entered.WaitForNotification();
  std::thread other([&] { leave.Notify(); });
  watch->reset();
  EXPECT_TRUE(left);
  other.join();
}

TEST_P(EngineConformanceTest, WatchersSeeEveryBatchOfManyWritersInOrder) {
  constexpr int kThreads = 4;
  constexpr int kCommits = 50;
  Collector collector;
  const auto watch = engine().Watch(0, collector.callback());
  ASSERT_TRUE(watch.ok());
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < kCommits; ++i) Put(absl::StrCat(thread, "/", i), "v");
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::vector<EngineChange> changes = collector.Await(kThreads * kCommits);
  ASSERT_EQ(changes.size(), size_t{kThreads} * kCommits);
  const auto view = engine().Snapshot();
  for (size_t i = 0; i < changes.size(); ++i) {
    ASSERT_EQ(changes[i].revision, i + 1);
    ASSERT_EQ(changes[i].keys.size(), 1u);
    EXPECT_EQ(GetIn(*view, changes[i].keys[0])->revision, changes[i].revision);
  }
}

}  // namespace
}  // namespace keyferry::storage
