#include "server/oauth/refresh/believed_clock.h"

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

class BelievedClockTest : public testing::Test {
 protected:
  void Pass(absl::Duration by) {
    wall_ += by;
    monotonic_ += by;
  }

  absl::Time wall_ = absl::FromUnixSeconds(1800000000);
  absl::Time monotonic_ = absl::UnixEpoch();
  BelievedClock clock_{[this] { return wall_; }, [this] { return monotonic_; }};
};

TEST_F(BelievedClockTest, TheStartIsBelievedAfterADay) {
  EXPECT_EQ(clock_.Now(), absl::InfinitePast());
  Pass(absl::Hours(24) - absl::Seconds(1));
  EXPECT_EQ(clock_.Now(), absl::InfinitePast());
  Pass(absl::Seconds(1));
  EXPECT_EQ(clock_.Now(), wall_);
  Pass(absl::Hours(1000));
  EXPECT_EQ(clock_.Now(), wall_) << "not looked at for long";
}

TEST_F(BelievedClockTest, AJumpForwardIsBelievedAfterADay) {
  Pass(absl::Hours(24));
  absl::Time right = clock_.Now();
  wall_ += absl::Hours(5);
  for (int hour = 0; hour < 24; ++hour) {
    EXPECT_EQ(clock_.Now(), right) << hour;
    Pass(absl::Hours(1));
    right += absl::Hours(1);
  }
  EXPECT_EQ(clock_.Now(), wall_);
}

TEST_F(BelievedClockTest, AnotherJumpBeginsAnotherDay) {
  Pass(absl::Hours(24));
  const absl::Time right = clock_.Now();
  wall_ += absl::Hours(5);
  EXPECT_EQ(clock_.Now(), right);
  Pass(absl::Hours(23));
  wall_ += absl::Hours(10000);
  EXPECT_EQ(clock_.Now(), right + absl::Hours(23));
  Pass(absl::Hours(23));
  EXPECT_EQ(clock_.Now(), right + absl::Hours(46));
  Pass(absl::Hours(1));
  EXPECT_EQ(clock_.Now(), wall_);
}

TEST_F(BelievedClockTest, AJumpThatIsUndoneIsForgotten) {
  Pass(absl::Hours(24));
  clock_.Now();
  wall_ += absl::Hours(5);
  clock_.Now();
  Pass(absl::Hours(23));
  clock_.Now();
  wall_ -= absl::Hours(5);
  EXPECT_EQ(clock_.Now(), wall_);
  const absl::Time right = wall_;
  wall_ += absl::Hours(5);
  EXPECT_EQ(clock_.Now(), right);
  Pass(absl::Hours(2));
  EXPECT_EQ(clock_.Now(), right + absl::Hours(2)) << "counted from the second jump";
}

TEST_F(BelievedClockTest, SetBackAndCreepingAreFollowed) {
  Pass(absl::Hours(24));
  clock_.Now();
  wall_ -= absl::Hours(1000);
  EXPECT_EQ(clock_.Now(), wall_);
  for (int minute = 0; minute < 100; ++minute) {
    Pass(absl::Minutes(1));
    wall_ += absl::Seconds(1);
    EXPECT_EQ(clock_.Now(), wall_);
  }
}

}  // namespace
}  // namespace keyferry::server
