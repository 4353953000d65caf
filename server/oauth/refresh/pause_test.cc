// What a provider asks for that is asked too often: of every connection to it, whoever wants what.
#include <memory>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/refresh/testing_refresh.h"

namespace keyferry::server {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr char kAda[] = "users/ada";
constexpr char kBob[] = "users/bob";
constexpr char kUnavailable[] = "UNAVAILABLE PROVIDER_UNAVAILABLE";

// Two connections to github, of which one was told to wait a moment ago, when both were due.
class Pause : public testing::Test {
 protected:
  void Begin(TokenErrorKind kind = TokenErrorKind::kRateLimited, absl::Duration retry_after = absl::Seconds(400)) {
    world_.Connect(kAda, "a1", "r1");
    world_.Connect(kBob, "b1", "s1");
    server_ = world_.AddServer();
    world_.client.automatic = [&, kind, retry_after](const ScriptedTokenClient::Call& call) {
      if (call.provider == "github" && refuses_) return Failed(kind, "Too many.", retry_after);
      return Granted("new", "newer", absl::Hours(5));
    };
    world_.Pass(absl::Minutes(49));
    EXPECT_EQ(world_.client.TakeRefreshes().size(), 1);
    refuses_ = false;
  }

  void ExpectPaused() {
    EXPECT_EQ(world_.Ask(server_, kAda, /*force=*/true), kUnavailable);
    EXPECT_EQ(world_.Ask(server_, kBob, /*force=*/true), kUnavailable);
    // What there is is served.
    EXPECT_EQ(world_.Ask(server_, kAda), "OK");
    EXPECT_EQ(world_.Ask(server_, kBob), "OK");
    EXPECT_THAT(world_.client.TakeRefreshes(), IsEmpty());
  }

  void ExpectBothRefreshed() {
    for (int step = 0; step < 4; ++step) world_.Pass(absl::Milliseconds(1));
    EXPECT_EQ(world_.Words(kAda), "CONNECTED v2 new newer");
    EXPECT_EQ(world_.Words(kBob), "CONNECTED v2 new newer");
  }

  RefreshWorld world_;
  bool refuses_ = true;
  RefreshScheduler* server_ = nullptr;
};

TEST_F(Pause, HoldsForEveryConnectionToTheProviderAndNoOther) {
  world_.PutProvider("other");
  world_.Connect(kAda, "o1", "o1", absl::Hours(10), "other");
  Begin();
  ExpectPaused();
  EXPECT_EQ(world_.Ask(server_, kAda, /*force=*/true, "other"), "OK");
  world_.client.TakeRefreshes();
  world_.Pass(absl::Seconds(399));
  ExpectPaused();
  world_.Pass(absl::Seconds(1));
  ExpectBothRefreshed();
}

TEST_F(Pause, IsKeptWithAnyFailureThatAsksForIt) {
  Begin(TokenErrorKind::kTemporary);
  ExpectPaused();
  world_.Pass(absl::Seconds(400));
  ExpectBothRefreshed();
}

TEST_F(Pause, LastsAnHourAtMost) {
  Begin(TokenErrorKind::kRateLimited, absl::Hours(24 * 365));
  // Past the end of the tokens, too.
  world_.Pass(absl::Minutes(59));
  EXPECT_EQ(world_.Ask(server_, kAda), kUnavailable);
  EXPECT_EQ(world_.Ask(server_, kBob), kUnavailable);
  EXPECT_THAT(world_.client.TakeRefreshes(), IsEmpty());
  world_.Pass(absl::Minutes(1));
  ExpectBothRefreshed();
}

TEST_F(Pause, IsAMomentIfTheProviderDoesNotSay) {
  Begin(TokenErrorKind::kRateLimited, absl::ZeroDuration());
  world_.Pass(absl::Milliseconds(2400));
  EXPECT_EQ(world_.Ask(server_, kAda, /*force=*/true), kUnavailable);
  EXPECT_EQ(world_.Ask(server_, kBob, /*force=*/true), kUnavailable);
  EXPECT_THAT(world_.client.TakeRefreshes(), IsEmpty());
  world_.Pass(absl::Milliseconds(100));
  ExpectBothRefreshed();
}

TEST_F(Pause, IsNotAskedForByOtherFailures) {
  world_.Connect(kAda, "a1", "r1");
  world_.Connect(kBob, "b1", "s1");
  world_.AddServer();
  world_.client.automatic = [](const auto&) { return Failed(TokenErrorKind::kTemporary); };
  world_.Pass(absl::Minutes(49));
  world_.Pass(absl::Milliseconds(1));
  EXPECT_EQ(world_.client.TakeRefreshes().size(), 2);
}

TEST_F(Pause, SurvivesARestart) {
  Begin();
  world_.Pass(absl::Seconds(100));
  world_.Crash();
  server_ = world_.AddServer();
  // Before anything else is done.
  ExpectPaused();
  world_.Pass(absl::Seconds(299));
  ExpectPaused();
  world_.Pass(absl::Seconds(1));
  ExpectBothRefreshed();
}

TEST_F(Pause, ReachesOtherServers) {
  Begin();
  server_ = world_.AddServer();
  world_.Settle();
  ExpectPaused();
  // And those that are there already.
  world_.Pass(absl::Seconds(400));
  ExpectBothRefreshed();
  refuses_ = true;
  world_.Pass(absl::Minutes(10));
  EXPECT_EQ(world_.Ask(world_.servers[0].get(), kAda, /*force=*/true), kUnavailable);
  EXPECT_EQ(world_.client.TakeRefreshes().size(), 3);
  EXPECT_EQ(world_.Ask(world_.servers[1].get(), kBob, /*force=*/true), kUnavailable);
  EXPECT_THAT(world_.client.TakeRefreshes(), IsEmpty());
}

TEST_F(Pause, IsToldToWhoWaitedForATurn) {
  world_.PutProvider("github", [](auto* p) { p->mutable_refresh()->set_max_per_second(0.1); });
  world_.Connect(kAda, "a1", "r1");
  world_.Connect(kBob, "b1", "s1");
  world_.Connect("teams/eng", "e1", "t1");
  server_ = world_.AddServer();
  world_.Pass(absl::Minutes(40));
  // Shared, since who is not told is told that the server ends.
  const auto answers = std::make_shared<std::string>();
  const auto ask = [&](const char* parent) {
    server_->Refresh({"acme", parent, "github"}, /*force=*/true, [answers](const absl::Status& status) {
      *answers += absl::StatusCodeToString(status.code()) + ";";
    });
    world_.Settle();
  };
  ask(kAda);
  ask(kBob);
  EXPECT_THAT(world_.client.TakeRefreshes(), ElementsAre("github:r1"));
  world_.client.Answer(Failed(TokenErrorKind::kRateLimited, "Too many.", absl::Seconds(400)));
  world_.Settle();
  EXPECT_EQ(*answers, "UNAVAILABLE;");
  // Who comes now needs no turn for it.
  ask("teams/eng");
  EXPECT_EQ(*answers, "UNAVAILABLE;UNAVAILABLE;");
  world_.Pass(absl::Seconds(10));
  EXPECT_EQ(*answers, "UNAVAILABLE;UNAVAILABLE;UNAVAILABLE;");
  EXPECT_THAT(world_.client.TakeRefreshes(), IsEmpty());
}

TEST_F(Pause, EndsWithTheDefinition) {
  Begin();
  world_.Pass(absl::Seconds(20));
  world_.PutProvider("github");
  world_.Settle();
  ExpectBothRefreshed();
}

TEST_F(Pause, IsNotMadeLongerByAClockThatIsSetBack) {
  Begin();
  world_.now -= absl::Hours(10);
  world_.Pass(absl::Seconds(399));
  EXPECT_THAT(world_.client.TakeRefreshes(), IsEmpty());
  world_.Pass(absl::Seconds(1));
  for (int step = 0; step < 40; ++step) world_.Pass(absl::Seconds(1));
  ExpectBothRefreshed();
}

}  // namespace
}  // namespace keyferry::server
