// What one server does with one connection.
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/refresh/testing_refresh.h"

namespace keyferry::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kAda[] = "users/ada";

TEST(Refresh, RefreshesAheadOfTheEndAndStoresBeforeItTells) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  world.AddServer();
  world.Settle();
  world.Pass(absl::Minutes(47));
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
  // A fifth of an hour before the end.
  world.Pass(absl::Minutes(1) + absl::Seconds(1));
  EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r1"));
  EXPECT_TRUE(world.HasLease(kAda));
  EXPECT_EQ(world.Words(kAda), "CONNECTED v1 a1 r1");
  world.client.Answer(Granted("a2", "r2"));
  world.Settle();
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
  EXPECT_FALSE(world.HasLease(kAda));
  EXPECT_EQ(world.Audit(), "RefreshConnection orgs/acme/users/ada/connections/github v2 0");
  world.Pass(absl::Minutes(49));
  EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r2"));
}

TEST(Refresh, AnEndingServerBeginsNothingAndStoresWhatItBegan) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  world.Pass(absl::Minutes(50));
  ASSERT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r1"));
  world.Connect("users/bob", "b1", "s1");
  server->StopBeginning();
  world.Pass(absl::Minutes(50));
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
  world.client.Answer(Granted("a2", "r2"));
  world.Settle();
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
}

TEST(Refresh, AHundredAskersShareOneExchange) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Minutes(61));
  world.client.Answer(Failed(TokenErrorKind::kTemporary));
  world.client.TakeRefreshes();
  world.Pass(absl::Minutes(6));
  world.client.Answer(Failed(TokenErrorKind::kTemporary));
  world.Settle();
  world.client.TakeRefreshes();
  world.Pass(absl::Seconds(11));
  int answered = 0;
  for (int i = 0; i < 100; ++i) {
    server->Refresh({"acme", kAda, "github"}, /*force=*/i % 2 == 1, [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok()) << status;
      // Durable before it is told.
      EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
      ++answered;
    });
    world.Settle();
  }
  EXPECT_EQ(answered, 0);
  EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r1"));
  world.client.Answer(Granted("a2", "r2"));
  world.Settle();
  EXPECT_EQ(answered, 100);
  EXPECT_EQ(world.Ask(server, kAda), "OK");
  EXPECT_EQ(server->status().refreshed, 1);
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
}

TEST(Refresh, AForcedOneAsksTheProviderUnlessItJustDid) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Granted("a2", ""); };
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  EXPECT_EQ(world.Ask(server, kAda), "OK");
  EXPECT_EQ(world.Ask(server, kAda, /*force=*/true), "OK");
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty()) << "connected a moment ago";
  world.Pass(absl::Seconds(11));
  EXPECT_EQ(world.Ask(server, kAda, /*force=*/true), "OK");
  EXPECT_EQ(world.Ask(server, kAda, /*force=*/true), "OK");
  EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r1"));
  // None was returned.
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r1");
}

TEST(Refresh, TellsOfWhatIsNotThere) {
  RefreshWorld world;
  RefreshScheduler* const server = world.AddServer();
  EXPECT_EQ(world.Ask(server, kAda), "NOT_FOUND NOT_FOUND");
  std::string answer;
  server->Refresh({"nobody", "", "github"}, true, [&](const absl::Status& status) { answer = status.ToString(); });
  world.Settle();
  EXPECT_THAT(answer, HasSubstr("NOT_FOUND: orgs/nobody/connections/github: not found"));
}

TEST(Refresh, InvalidGrantNeedsAPersonAndWipesTheTokens) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Failed(TokenErrorKind::kInvalidGrant, "Access was withdrawn."); };
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Minutes(50));
  EXPECT_EQ(world.Words(kAda), "CONNECT_NEEDED v1  : Access was withdrawn.");
  EXPECT_EQ(world.Ask(server, kAda), "FAILED_PRECONDITION CONNECT_NEEDED");
  EXPECT_EQ(world.Ask(server, kAda, /*force=*/true), "FAILED_PRECONDITION CONNECT_NEEDED");
  EXPECT_EQ(world.Audit(), "RefreshConnection orgs/acme/users/ada/connections/github v1 9CONNECT_NEEDED");
  EXPECT_FALSE(world.HasLease(kAda));
  world.Pass(absl::Hours(100));
  EXPECT_EQ(world.client.TakeRefreshes().size(), 1);
  // Connecting again heals it.
  world.client.automatic = [](const auto&) { return Granted("a3", "r3"); };
  world.Connect(kAda, "a2", "r2");
  world.Pass(absl::Minutes(50));
  EXPECT_EQ(world.Words(kAda), "CONNECTED v3 a3 r3");
}

TEST(Refresh, BacksOffWhileTheProviderFailsAndServesTheValidToken) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Failed(TokenErrorKind::kTemporary, "No answer."); };
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Minutes(49));
  EXPECT_EQ(world.Words(kAda), "CONNECTED v1 a1 r1 failed 1: No answer.");
  EXPECT_EQ(world.Ask(server, kAda), "OK");
  int calls = 0;
  for (int second = 0; second < 600; ++second) {
    world.Pass(absl::Seconds(1));
    calls += static_cast<int>(world.client.TakeRefreshes().size());
  }
  // 2.5, 5, 10, ... up to 150 seconds apart.
  EXPECT_EQ(calls, 9);
  world.Pass(absl::Minutes(2));
  EXPECT_EQ(world.Ask(server, kAda), "UNAVAILABLE PROVIDER_UNAVAILABLE") << "the token has ended";
  world.client.TakeRefreshes();
  EXPECT_EQ(world.Ask(server, kAda), "UNAVAILABLE PROVIDER_UNAVAILABLE");
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty()) << "the backoff holds for askers as well";
  world.client.automatic = [](const auto&) { return Granted("a2", "r2"); };
  world.Pass(absl::Minutes(3));
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
}

TEST(Refresh, HonoursRetryAfterWithinBounds) {
  struct Case {
    const char* name;
    absl::Duration asked;
    absl::Duration kept;
  };
  for (const Case& c : {Case{"seconds", absl::Seconds(400), absl::Seconds(400)},
                        Case{"a year", absl::Hours(24 * 365), absl::Hours(1)}}) {
    SCOPED_TRACE(c.name);
    RefreshWorld world;
    world.client.automatic = [&](const auto&) { return Failed(TokenErrorKind::kRateLimited, "Too many.", c.asked); };
    world.Connect(kAda, "a1", "r1");
    RefreshScheduler* const server = world.AddServer();
    world.Pass(absl::Minutes(49));
    EXPECT_EQ(world.client.TakeRefreshes().size(), 1);
    world.Pass(c.kept - absl::Seconds(1));
    EXPECT_EQ(world.Ask(server, kAda, /*force=*/true), "UNAVAILABLE PROVIDER_UNAVAILABLE");
    EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
    world.Pass(absl::Seconds(1));
    EXPECT_EQ(world.client.TakeRefreshes().size(), 1);
  }
}

TEST(Refresh, ARejectedDefinitionIsTriedAgainOnceItChanges) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Failed(TokenErrorKind::kRejected, "The secret is wrong."); };
  world.Connect(kAda, "a1", "r1", absl::Hours(4));
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Hours(3) + absl::Minutes(46));
  EXPECT_EQ(world.Words(kAda), "CONNECTED v1 a1 r1 failed 1: The secret is wrong.");
  EXPECT_EQ(world.Ask(server, kAda), "OK");
  world.Pass(absl::Minutes(2));
  EXPECT_EQ(world.client.TakeRefreshes().size(), 1);
  world.client.automatic = [](const auto&) { return Granted("a2", "r2"); };
  world.PutProvider("github");
  world.Settle();
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
}

TEST(Refresh, ATokenThatCannotBeRefreshedNeedsAPersonAtItsEnd) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "", absl::Hours(26));
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Hours(25) + absl::Minutes(59));
  EXPECT_EQ(world.Ask(server, kAda), "OK");
  EXPECT_EQ(world.Ask(server, kAda, /*force=*/true), "FAILED_PRECONDITION CONNECT_NEEDED");
  EXPECT_EQ(world.Words(kAda), "CONNECTED v1 a1 ");
  world.Pass(absl::Minutes(1));
  EXPECT_THAT(world.Words(kAda), HasSubstr("CONNECT_NEEDED v1  : The access token has ended"));
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
}

TEST(Refresh, GrantsWithoutAPersonAndAccessTokensAreRefreshedByWhatTheyHave) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Granted("a2", ""); };
  world.PutProvider("machine", [](auto* p) { p->set_grant_type(v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS); });
  world.PutProvider("threads",
                    [](auto* p) { p->mutable_refresh()->set_method(v1::OAUTH_REFRESH_METHOD_ACCESS_TOKEN); });
  world.PutProvider("never", [](auto* p) { p->mutable_refresh()->set_method(v1::OAUTH_REFRESH_METHOD_NONE); });
  for (const char* provider : {"machine", "threads", "never"}) {
    world.Connect("", "a1", "", absl::Hours(1), provider);
  }
  world.AddServer();
  world.Pass(absl::Minutes(50));
  EXPECT_THAT(world.client.TakeRefreshes(), testing::UnorderedElementsAre("machine:a1", "threads:a1"));
  EXPECT_EQ(world.Words("", "machine"), "CONNECTED v2 a2 ");
}

TEST(Refresh, AnUnknownLifetimeIsRefreshedOnDemandAlone) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Granted("a2", "r2", absl::InfiniteDuration()); };
  world.Connect(kAda, "a1", "r1", absl::InfiniteDuration());
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Hours(1000));
  EXPECT_EQ(world.Ask(server, kAda), "OK");
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
  EXPECT_EQ(world.Ask(server, kAda, /*force=*/true), "OK");
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
}

TEST(Refresh, ShortLifetimesAreNotRefreshedAtEveryRead) {
  for (const absl::Duration lifetime : {absl::ZeroDuration(), absl::Seconds(1), absl::Seconds(30), absl::Minutes(2)}) {
    SCOPED_TRACE(absl::FormatDuration(lifetime));
    RefreshWorld world;
    world.client.automatic = [&](const auto&) { return Granted("a", "r", lifetime); };
    world.PutProvider("github", [](auto* p) { p->mutable_refresh()->mutable_margin()->set_seconds(3600); });
    world.Connect(kAda, "a1", "r1", lifetime);
    RefreshScheduler* const server = world.AddServer();
    world.Pass(absl::Seconds(15));
    world.client.TakeRefreshes();
    for (int i = 0; i < 100; ++i) EXPECT_EQ(world.Ask(server, kAda), "OK");
    EXPECT_LE(world.client.TakeRefreshes().size(), 1);
    for (int i = 0; i < 120; ++i) world.Pass(absl::Seconds(1));
    const absl::Duration apart = std::max<absl::Duration>(lifetime / 4, absl::Seconds(1));
    EXPECT_LE(world.client.TakeRefreshes().size(), absl::Seconds(122) / apart + 1);
  }
}

TEST(Refresh, DisconnectingMeanwhileThrowsTheAnswerAway) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Minutes(50));
  world.Disconnect(kAda);
  world.client.Answer(Granted("a2", "r2"));
  world.Settle();
  EXPECT_EQ(world.Words(kAda), "absent");
  EXPECT_FALSE(world.HasLease(kAda));
  EXPECT_EQ(server->status().dropped, 1);
  EXPECT_EQ(server->status().connections, 0);
  EXPECT_EQ(world.Revocations(), "r1/a1;r2/a2");
}

TEST(Refresh, ConnectingAgainMeanwhileWins) {
  for (const bool anew : {false, true}) {
    SCOPED_TRACE(anew ? "deleted first" : "over the old one");
    RefreshWorld world;
    world.Connect(kAda, "a1", "r1");
    world.AddServer();
    world.Pass(absl::Minutes(50));
    if (anew) world.Disconnect(kAda);
    world.Connect(kAda, "b1", "s1");
    world.Settle();
    world.client.Answer(Granted("a2", "r2"));
    world.Settle();
    EXPECT_EQ(world.Words(kAda), anew ? "CONNECTED v1 b1 s1" : "CONNECTED v2 b1 s1");
    // The answer is of no use, and revoking it might end the grant that came since.
    EXPECT_EQ(world.Revocations(), anew ? "r1/a1" : "");
    EXPECT_FALSE(world.HasLease(kAda));
  }
}

TEST(Refresh, ARaceThatWasLostTakesTheWinnersToken) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Minutes(50));
  world.Connect(kAda, "b1", "s1");
  world.client.Answer(Failed(TokenErrorKind::kInvalidGrant));
  EXPECT_EQ(world.Ask(server, kAda), "OK");
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 b1 s1");
}

TEST(Refresh, SurvivesTheRewrapOfADataKey) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  world.AddServer();
  world.Pass(absl::Minutes(50));
  ASSERT_TRUE(world.store->RotateDataKey("acme").ok());
  ASSERT_TRUE(world.store->WaitForPurge(absl::Seconds(30)).ok());
  world.client.Answer(Granted("a2", "r2"));
  world.Settle();
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
  EXPECT_FALSE(world.HasLease(kAda));
}

TEST(Refresh, SuspendedTeamsRestUntilTheTierReturns) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Granted("a2", "r2"); };
  world.Connect("teams/eng", "a1", "r1");
  world.PutOrg("acme", v1::TIER_TEAM);
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Hours(30));
  EXPECT_EQ(world.Ask(server, "teams/eng"), "FAILED_PRECONDITION SCOPE_SUSPENDED");
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
  world.PutOrg("acme", v1::TIER_BUSINESS);
  world.Settle();
  EXPECT_EQ(world.Words("teams/eng"), "CONNECTED v2 a2 r2");
}

TEST(Refresh, ConnectionsOfUsersWhoAreNoMoreAreDeleted) {
  for (const bool again : {false, true}) {
    SCOPED_TRACE(again ? "somebody else of the same name" : "nobody");
    RefreshWorld world;
    world.Connect(kAda, "a1", "r1");
    world.Connect("users/bob", "b1", "s1");
    RefreshScheduler* const server = world.AddServer();
    world.Settle();
    world.DeleteUser("ada");
    if (again) world.PutUser("ada", /*create_time=*/2);
    world.Settle();
    world.Pass(absl::Seconds(3));
    EXPECT_EQ(world.Words(kAda), "absent");
    EXPECT_EQ(world.Words("users/bob"), "CONNECTED v1 b1 s1");
    EXPECT_EQ(world.Revocations(), "r1/a1");
    EXPECT_EQ(world.Audit(), "DeleteConnection orgs/acme/users/ada/connections/github v1 0");
    EXPECT_EQ(server->status().connections, 1);
  }
}

}  // namespace
}  // namespace keyferry::server
