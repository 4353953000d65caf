#include "server/rpc/held_answers.h"

#include <algorithm>
#include <atomic>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

TEST(HeldAnswersTest, GivesEveryAnswerBeforeItEnds) {
  std::atomic<int> given{0};
  {
    HeldAnswers answers(absl::Milliseconds(1), /*max_held=*/1000);
    for (int i = 0; i < 500; ++i) answers.Give([&] { ++given; });
  }
  EXPECT_EQ(given, 500);
}

TEST(HeldAnswersTest, HoldsNoMoreThanItMay) {
  absl::Notification first;
  HeldAnswers answers(absl::Milliseconds(1), /*max_held=*/1);
  // Held until it has been looked at that the second one was not.
  absl::Notification release;
  answers.Give([&] {
    release.WaitForNotification();
    first.Notify();
  });
  bool second = false;
  answers.Give([&] { second = true; });
  EXPECT_TRUE(second) << "given at once";
  EXPECT_FALSE(first.HasBeenNotified());
  release.Notify();
  first.WaitForNotification();
}

// Calls that were refused together come back one after another.
TEST(HeldAnswersTest, SpreadsWhatCameTogether) {
  constexpr int kAnswers = 100;
  absl::Mutex mutex;
  std::vector<absl::Time> times;
  {
    HeldAnswers answers(absl::Milliseconds(200), /*max_held=*/kAnswers);
    for (int i = 0; i < kAnswers; ++i) {
      answers.Give([&] {
        absl::MutexLock lock(&mutex);
        times.push_back(absl::Now());
      });
    }
  }
  ASSERT_EQ(times.size(), kAnswers);
  const auto [first, last] = std::minmax_element(times.begin(), times.end());
  EXPECT_GT(*last - *first, absl::Milliseconds(100));
}

}  // namespace
}  // namespace keyferry::server
