// Connections whose provider's endpoints have moved since they were made: nothing of them is sent there.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/refresh/refresh_outcome.h"
#include "server/oauth/refresh/testing_refresh.h"

namespace keyferry::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kAda[] = "users/ada";
constexpr absl::string_view kMoved = kEndpointsMoved;

// Until no clock is doubted any more.
void PassADay(RefreshWorld* world) {
  for (int i = 0; i < 25; ++i) world->Pass(absl::Hours(1));
}

TEST(EndpointEpoch, TheRefreshTokenIsForgottenAndTheAccessTokenServedToItsEnd) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  world.Connect("users/bob", "b1", "s1");
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  world.PutProvider("github", nullptr, /*endpoint_epoch=*/1);
  world.Pass(absl::Milliseconds(10));
  EXPECT_EQ(world.Words(kAda), absl::StrCat("CONNECTED v1 a1 : ", kMoved));
  EXPECT_EQ(world.Words("users/bob"), absl::StrCat("CONNECTED v1 b1 : ", kMoved));
  EXPECT_THAT(world.Audit(), HasSubstr("RefreshConnection orgs/acme/users/ada/connections/github v1 9CONNECT_NEEDED"));
  EXPECT_EQ(world.Ask(server, kAda), "OK");
  EXPECT_EQ(world.Ask(server, kAda, /*force=*/true), "FAILED_PRECONDITION CONNECT_NEEDED");
  world.Pass(absl::Minutes(59));
  EXPECT_EQ(world.Ask(server, kAda), "OK");
  world.Pass(absl::Minutes(1));
  EXPECT_EQ(world.Ask(server, kAda), "FAILED_PRECONDITION CONNECT_NEEDED");
  PassADay(&world);
  EXPECT_EQ(world.Words(kAda), absl::StrCat("CONNECT_NEEDED v1  : ", kMoved));
  EXPECT_EQ(world.Ask(server, kAda), "FAILED_PRECONDITION CONNECT_NEEDED");
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
  // A new grant is of the new epoch.
  world.client.automatic = [](const auto&) { return Granted("a3", "r3"); };
  world.Connect(kAda, "a2", "r2");
  world.Pass(absl::Minutes(50));
  EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r2"));
  EXPECT_EQ(world.Words(kAda), "CONNECTED v3 a3 r3");
}

// Whoever asks before the scheduler has looked finds the same.
TEST(EndpointEpoch, HoldsForAServerThatStartsLater) {
  for (const bool force : {false, true}) {
    SCOPED_TRACE(force);
    RefreshWorld world;
    world.Connect(kAda, "a1", "r1");
    world.PutProvider("github", nullptr, /*endpoint_epoch=*/1);
    world.Pass(absl::Minutes(61));
    RefreshScheduler* const server = world.AddServer();
    EXPECT_EQ(world.Ask(server, kAda, force), "FAILED_PRECONDITION CONNECT_NEEDED");
    // The refresh token goes at once, whatever the clock says.
    EXPECT_EQ(world.Words(kAda), absl::StrCat("CONNECTED v1 a1 : ", kMoved));
    PassADay(&world);
    EXPECT_EQ(world.Words(kAda), absl::StrCat("CONNECT_NEEDED v1  : ", kMoved));
    EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
  }
}

TEST(EndpointEpoch, ATokenWithoutAKnownEndIsServedNoMore) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1", absl::InfiniteDuration());
  world.AddServer();
  world.Settle();
  world.PutProvider("github", nullptr, /*endpoint_epoch=*/1);
  world.Pass(absl::Milliseconds(10));
  EXPECT_EQ(world.Words(kAda), absl::StrCat("CONNECT_NEEDED v1  : ", kMoved));
}

TEST(EndpointEpoch, HoldsForGrantsWithoutAPersonAndForAccessTokens) {
  RefreshWorld world;
  const auto machine = [](auto* p) { p->set_grant_type(v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS); };
  const auto threads = [](auto* p) { p->mutable_refresh()->set_method(v1::OAUTH_REFRESH_METHOD_ACCESS_TOKEN); };
  world.PutProvider("machine", machine);
  world.PutProvider("threads", threads);
  for (const char* provider : {"machine", "threads"}) world.Connect("", "a1", "", absl::Hours(1), provider);
  world.PutProvider("machine", machine, /*endpoint_epoch=*/1);
  world.PutProvider("threads", threads, /*endpoint_epoch=*/1);
  world.AddServer();
  PassADay(&world);
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
  for (const char* provider : {"machine", "threads"}) {
    EXPECT_EQ(world.Words("", provider), absl::StrCat("CONNECT_NEEDED v1  : ", kMoved));
  }
}

// What was sent to the old endpoints before the move is answered by them.
TEST(EndpointEpoch, AnAnswerFromBeforeIsOfTheOldEpoch) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  world.AddServer();
  world.Pass(absl::Minutes(50));
  ASSERT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r1"));
  world.PutProvider("github", nullptr, /*endpoint_epoch=*/1);
  world.Settle();
  world.client.Answer(Granted("a2", "r2"));
  world.Settle();
  PassADay(&world);
  EXPECT_EQ(world.Words(kAda), absl::StrCat("CONNECT_NEEDED v2  : ", kMoved));
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
}

TEST(EndpointEpoch, OldTokensAreRevokedNowhereElse) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  world.PutProvider("github", nullptr, /*endpoint_epoch=*/1);
  world.Disconnect(kAda);
  EXPECT_EQ(world.Revocations(), "");
}

}  // namespace
}  // namespace keyferry::server
