#include "storage/engine/change_feed.h"

#include <memory>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace keyferry::storage {
namespace {

// A feed of four changes, and what its watcher got.
class ChangeFeedTest : public testing::Test {
 protected:
  void Append(Revision revision) { feed_->Append({revision, {"k"}}); }

  absl::StatusCode WatchCode(Revision after) {
    return feed_->Watch(after, [](const EngineChange&) {}).status().code();
  }

  std::function<void(const EngineChange&)> Collect() {
    return [this](const EngineChange& change) {
      absl::MutexLock lock(&mu_);
      got_.push_back(change.revision);
    };
  }

  std::vector<Revision> Await(size_t count) {
    absl::MutexLock lock(&mu_);
    const auto enough = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return got_.size() >= count; };
    EXPECT_TRUE(mu_.AwaitWithTimeout(absl::Condition(&enough), absl::Seconds(60)));
    return got_;
  }

  std::unique_ptr<ChangeFeed> feed_ = std::make_unique<ChangeFeed>(/*last=*/10, /*capacity=*/4);
  absl::Mutex mu_;
  std::vector<Revision> got_ ABSL_GUARDED_BY(mu_);
};

TEST_F(ChangeFeedTest, KeepsTheNewest) {
  EXPECT_EQ(WatchCode(9), absl::StatusCode::kOutOfRange) << "from before the open";
  EXPECT_EQ(WatchCode(10), absl::StatusCode::kOk);
  EXPECT_EQ(WatchCode(11), absl::StatusCode::kOutOfRange) << "not reached";
  for (Revision revision = 11; revision <= 20; ++revision) Append(revision);
  feed_->Release(20);
  EXPECT_EQ(WatchCode(15), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(WatchCode(16), absl::StatusCode::kOk);
  EXPECT_EQ(WatchCode(20), absl::StatusCode::kOk);
}

TEST_F(ChangeFeedTest, HandsOutOnlyWhatIsReleased) {
  const auto watch = feed_->Watch(10, Collect());
  for (Revision revision = 11; revision <= 13; ++revision) Append(revision);
  feed_->Release(12);
  EXPECT_EQ(Await(2), (std::vector<Revision>{11, 12}));
  // A second watch makes the thread pass over both once more.
  absl::Notification other;
  const auto second = feed_->Watch(11, [&](const EngineChange& change) {
    if (change.revision == 12) other.Notify();
  });
  other.WaitForNotification();
  EXPECT_EQ(Await(2), (std::vector<Revision>{11, 12}));
  feed_->Release(13);
  EXPECT_EQ(Await(3), (std::vector<Revision>{11, 12, 13}));
}

TEST_F(ChangeFeedTest, SlowWatcherMissesNothing) {
  absl::Notification entered;
  absl::Notification leave;
  const auto collect = Collect();
  const auto watch = feed_->Watch(10, [&](const EngineChange& change) {
    if (change.revision == 11) {
      entered.Notify();
      leave.WaitForNotification();
    }
    collect(change);
  });
  Append(11);
  feed_->Release(11);
  entered.WaitForNotification();
  for (Revision revision = 12; revision <= 30; ++revision) Append(revision);
  feed_->Release(30);
  leave.Notify();
  const std::vector<Revision> got = Await(20);
  ASSERT_EQ(got.size(), 20u);
  for (size_t i = 0; i < got.size(); ++i) EXPECT_EQ(got[i], 11 + i);
}

TEST_F(ChangeFeedTest, WatchMayEndItself) {
  std::unique_ptr<EngineWatch> watch;
  absl::Notification ready;
  absl::Notification ended;
  int calls = 0;
  watch = *feed_->Watch(10, [&](const EngineChange&) {
    ready.WaitForNotification();
    ++calls;
    watch.reset();
    ended.Notify();
  });
  Append(11);
  Append(12);
  feed_->Release(12);
  ready.Notify();
  ended.WaitForNotification();
  feed_.reset();
  EXPECT_EQ(calls, 1);
}

TEST_F(ChangeFeedTest, WatchMayOutliveTheFeed) {
  auto watch = *feed_->Watch(10, Collect());
  feed_.reset();
  watch.reset();
}

}  // namespace
}  // namespace keyferry::storage
