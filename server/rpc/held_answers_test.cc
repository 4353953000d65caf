#include "server/rpc/held_answers.h"

#include <atomic>

#include "absl/synchronization/notification.h"
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

}  // namespace
}  // namespace keyferry::server
