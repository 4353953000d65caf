#include "server/rpc/executor.h"

#include <atomic>
#include <memory>

#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

TEST(ExecutorTest, RunsEverythingAcceptedBeforeItEnds) {
  std::atomic<int> ran{0};
  {
    Executor executor(/*threads=*/3, /*max_queued=*/1000);
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(executor.TryRun([&] { ++ran; }));
  }
  EXPECT_EQ(ran, 500);
}

TEST(ExecutorTest, RefusesWhatDoesNotFit) {
  absl::Notification started;
  absl::Notification release;
  std::atomic<int> ran{0};
  {
    Executor executor(/*threads=*/1, /*max_queued=*/2);
    ASSERT_TRUE(executor.TryRun([&] {
      started.Notify();
      release.WaitForNotification();
    }));
    started.WaitForNotification();
    EXPECT_TRUE(executor.TryRun([&] { ++ran; }));
    EXPECT_TRUE(executor.TryRun([&] { ++ran; }));
    EXPECT_FALSE(executor.TryRun([&] { ran += 100; }));
    release.Notify();
  }
  EXPECT_EQ(ran, 2);
}

}  // namespace
}  // namespace keyferry::server
