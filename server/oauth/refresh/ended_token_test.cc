// Tokens that cannot be refreshed, and clocks that say that they have ended.
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/refresh/testing_refresh.h"

namespace keyferry::server {
namespace {

using testing::HasSubstr;

constexpr char kAda[] = "users/ada";
constexpr char kConnectNeeded[] = "FAILED_PRECONDITION CONNECT_NEEDED";
constexpr absl::Duration kJump = absl::Hours(24 * 100);

// A token for 60 days.
class EndedToken : public testing::Test {
 protected:
  EndedToken() {
    world_.Connect(kAda, "a1", "", absl::Hours(24 * 60));
    server_ = world_.AddServer();
    world_.Pass(absl::Hours(25));
  }

  void PassHours(int hours) {
    for (int hour = 0; hour < hours; ++hour) world_.Pass(absl::Hours(1));
  }
  void ExpectKept() { EXPECT_EQ(world_.Words(kAda), "CONNECTED v1 a1 "); }
  void ExpectDestroyed() {
    EXPECT_THAT(world_.Words(kAda), HasSubstr("CONNECT_NEEDED v1  : The access token has ended"));
    EXPECT_EQ(world_.Audit(), "RefreshConnection orgs/acme/users/ada/connections/github v1 9CONNECT_NEEDED");
  }

  RefreshWorld world_;
  RefreshScheduler* server_ = nullptr;
};

TEST_F(EndedToken, IsDestroyedAtItsEnd) {
  PassHours(24 * 59 - 2);
  ExpectKept();
  PassHours(1);
  ExpectDestroyed();
}

TEST_F(EndedToken, SurvivesAClockThatJumpedForwardAndWasSetRight) {
  world_.now += kJump;
  world_.Pass(absl::Minutes(1));
  for (const bool force : {false, true}) EXPECT_EQ(world_.Ask(server_, kAda, force), kConnectNeeded);
  ExpectKept();
  PassHours(23);
  EXPECT_EQ(world_.Ask(server_, kAda), kConnectNeeded) << "as the clock says";
  ExpectKept();
  world_.now -= kJump;
  world_.Pass(absl::Minutes(1));
  EXPECT_EQ(world_.Ask(server_, kAda), "OK");
  ExpectKept();
  EXPECT_EQ(world_.Audit(), "");
  PassHours(24 * 60);
  ExpectDestroyed();
}

TEST_F(EndedToken, IsDestroyedOnceTheClockHasStoodForADay) {
  world_.now += kJump;
  PassHours(24);
  ExpectKept();
  PassHours(2);
  ExpectDestroyed();
}

TEST_F(EndedToken, SurvivesServersThatStartWithSuchAClock) {
  world_.now += kJump;
  for (int start = 0; start < 3; ++start) {
    world_.Crash();
    server_ = world_.AddServer();
    world_.Pass(absl::Minutes(1));
    EXPECT_EQ(world_.Ask(server_, kAda), kConnectNeeded);
    PassHours(23);
    ExpectKept();
  }
  PassHours(2);
  ExpectDestroyed();
}

}  // namespace
}  // namespace keyferry::server
