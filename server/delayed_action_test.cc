#include "server/delayed_action.h"

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

TEST(DelayedActionTest, ActsOnceWhenTheTimeIsOver) {
  int actions = 0;
  absl::Notification acted;
  {
    const DelayedAction action(absl::ZeroDuration(), [&] {
      ++actions;
      acted.Notify();
    });
    acted.WaitForNotification();
  }
  EXPECT_EQ(actions, 1);
}

TEST(DelayedActionTest, DoesNothingIfItEndsBefore) {
  bool acted = false;
  {
    const DelayedAction action(absl::InfiniteDuration(), [&acted] { acted = true; });
  }
  EXPECT_FALSE(acted);
}

TEST(DelayedActionTest, ItsEndWaitsForAnActionThatHasBegun) {
  absl::Notification begun;
  bool done = false;
  {
    const DelayedAction action(absl::ZeroDuration(), [&] {
      begun.Notify();
      done = true;
    });
    begun.WaitForNotification();
  }
  EXPECT_TRUE(done);
}

}  // namespace
}  // namespace keyferry::server
