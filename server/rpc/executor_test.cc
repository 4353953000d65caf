#include "server/rpc/executor.h"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

TEST(ExecutorTest, RunsEverythingAcceptedBeforeItEnds) {
  std::atomic<int> ran{0};
  {
    Executor executor({/*threads=*/3, /*max_queued=*/1000, /*max_running_per_group=*/1, /*max_queued_per_group=*/1000});
    for (int i = 0; i < 500; ++i) ASSERT_TRUE(executor.TryRun(absl::StrCat("org-", i % 7), [&] { ++ran; }));
  }
  EXPECT_EQ(ran, 500);
}

// Work that starts and then waits to be let go.
class Held {
 public:
  std::function<void()> Work() {
    return [this] {
      started_.Notify();
      released_.WaitForNotification();
    };
  }
  void AwaitStart() { started_.WaitForNotification(); }
  void Release() { released_.Notify(); }

 private:
  absl::Notification started_;
  absl::Notification released_;
};

TEST(ExecutorTest, RefusesWhatDoesNotFit) {
  Held held;
  std::atomic<int> ran{0};
  {
    Executor executor({/*threads=*/1, /*max_queued=*/2, 1, /*max_queued_per_group=*/2});
    ASSERT_TRUE(executor.TryRun("a", held.Work()));
    held.AwaitStart();
    EXPECT_TRUE(executor.TryRun("b", [&] { ++ran; }));
    EXPECT_TRUE(executor.TryRun("c", [&] { ++ran; }));
    EXPECT_FALSE(executor.TryRun("d", [&] { ran += 100; }));
    held.Release();
  }
  EXPECT_EQ(ran, 2);
}

TEST(ExecutorTest, OneGroupFillsOnlyItsPartOfTheQueue) {
  Held held;
  std::atomic<int> ran{0};
  {
    Executor executor({/*threads=*/1, /*max_queued=*/8, 0, 0});
    ASSERT_TRUE(executor.TryRun("noisy", held.Work()));
    held.AwaitStart();
    int accepted = 0;
    for (int i = 0; i < 100; ++i) accepted += executor.TryRun("noisy", [&] { ++ran; }) ? 1 : 0;
    EXPECT_EQ(accepted, 4);
    EXPECT_TRUE(executor.TryRun("quiet", [&] { ++ran; }));
    held.Release();
  }
  EXPECT_EQ(ran, 5);
}

TEST(ExecutorTest, OneGroupHoldsOnlyItsPartOfTheThreads) {
  constexpr int kThreads = 4;
  std::vector<std::unique_ptr<Held>> noisy;
  absl::Notification quiet;
  Executor executor({kThreads, /*max_queued=*/100, 0, 0});
  for (int i = 0; i < 10; ++i) {
    noisy.push_back(std::make_unique<Held>());
    ASSERT_TRUE(executor.TryRun("noisy", noisy.back()->Work()));
  }
  for (int i = 0; i < 3; ++i) noisy[i]->AwaitStart();
  // Nothing of the noisy group ends before this has run.
  ASSERT_TRUE(executor.TryRun("quiet", [&] { quiet.Notify(); }));
  quiet.WaitForNotification();
  for (const auto& held : noisy) held->Release();
}

TEST(ExecutorTest, GroupsTakeTurns) {
  absl::Mutex mutex;
  std::vector<std::string> order;
  Held held;
  {
    Executor executor({/*threads=*/1, /*max_queued=*/100, 1, 50});
    ASSERT_TRUE(executor.TryRun("first", held.Work()));
    held.AwaitStart();
    const auto add = [&](const std::string& group, int i) {
      return executor.TryRun(group, [&, group, i] {
        absl::MutexLock lock(&mutex);
        order.push_back(absl::StrCat(group, i));
      });
    };
    for (int i = 1; i <= 4; ++i) ASSERT_TRUE(add("a", i));
    for (int i = 1; i <= 2; ++i) ASSERT_TRUE(add("b", i));
    ASSERT_TRUE(add("c", 1));
    held.Release();
  }
  EXPECT_EQ(order, (std::vector<std::string>{"a1", "b1", "c1", "a2", "b2", "a3", "a4"}));
}

}  // namespace
}  // namespace keyferry::server
