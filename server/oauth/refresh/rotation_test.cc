// Refresh tokens that a provider replaced in a refresh that failed nevertheless.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/refresh/testing_refresh.h"

namespace keyferry::server {
namespace {

using testing::ElementsAre;

constexpr char kAda[] = "users/ada";

// Rotates, and fails after that.
TokenResult Half(TokenResult answer) {
  const auto* const grant = absl::get_if<TokenGrant>(&answer);
  if (grant == nullptr) return answer;
  return FailedAfterRotation(std::string(grant->refresh_token.Expose()));
}

TEST(Rotation, WhatCameBeforeAFailureIsStored) {
  for (const TokenErrorKind kind : {TokenErrorKind::kTemporary, TokenErrorKind::kRateLimited}) {
    RefreshWorld world;
    world.client.automatic = [&](const ScriptedTokenClient::Call& call) {
      if (call.refresh_token == "r1") return FailedAfterRotation("r2", kind);
      if (call.refresh_token == "r2") return FailedAfterRotation("r3", kind);
      return Granted("a2", "r4");
    };
    world.Connect(kAda, "a1", "r1");
    world.AddServer();
    world.Pass(absl::Minutes(49));
    EXPECT_EQ(world.Words(kAda), "CONNECTED v1 a1 r2 failed 1: said no");
    EXPECT_FALSE(world.HasLease(kAda));
    // Twice in a row, so that neither of those before works any more.
    world.Pass(absl::Seconds(3));
    EXPECT_EQ(world.Words(kAda), "CONNECTED v1 a1 r3 failed 2: said no");
    world.Pass(absl::Seconds(6));
    EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r4");
    EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r1", "github:r2", "github:r3"));
  }
}

// As Servers.ACrashAtEveryStepLeavesAConnectionOrAReasonToConnect, for a refresh that fails after it rotated.
TEST(Rotation, ACrashAtEveryStepLeavesAConnectionOrAReasonToConnect) {
  struct Case {
    const char* name;
    int commits;
    bool answers;
    const char* after_crash;
    const char* end;
  };
  for (const Case& c :
       {Case{"before the lease", 0, false, "CONNECTED v1 a t.0", "CONNECTED v2 access-t.1 t.1"},
        Case{"before the answer", 1, false, "CONNECTED v1 a t.0", "CONNECTED v2 access-t.1 t.1"},
        Case{
            "answered, not stored", 1, true, "CONNECTED v1 a t.0",
            "CONNECT_NEEDED v1  : A server stopped in the middle of a refresh, so that the provider's answer to it was "
            "lost. used twice"},
        Case{"stored, not told", 2, true, "CONNECTED v1 a t.1 failed 1: said no", "CONNECTED v2 access-t.2 t.2"}}) {
    for (const storage::EngineKind engine : {storage::EngineKind::kMemory, storage::EngineKind::kRocksDb}) {
      SCOPED_TRACE(absl::StrCat(c.name, " ", storage::EngineName(engine)));
      RefreshWorld world(engine);
      ReuseDetector provider;
      world.Connect(kAda, "a", "t.0");
      RefreshScheduler* const server = world.AddServer();
      world.Settle();
      int commits = 0;
      absl::Status told;
      world.store->before_commit = [&](const storage::Mutation&) {
        return commits++ < c.commits ? absl::OkStatus() : absl::DataLossError("the process is dead");
      };
      if (c.answers) {
        world.client.automatic = [&](const auto& call) { return Half(provider.Answer(call, absl::Hours(1))); };
      }
      world.now += absl::Minutes(50);
      world.monotonic += absl::Minutes(50);
      server->Refresh({"acme", kAda, "github"}, /*force=*/true, [&](const absl::Status& s) { told = s; });
      server->RunDue();
      EXPECT_EQ(absl::IsUnavailable(told), c.commits == 2);
      world.Crash();
      EXPECT_EQ(world.Words(kAda), c.after_crash);
      world.client.automatic = [&](const auto& call) { return provider.Answer(call, absl::Hours(1)); };
      world.AddServer();
      world.Settle();
      world.Pass(absl::Seconds(91));
      EXPECT_EQ(world.Words(kAda), c.end);
    }
  }
}

// A server that could not wait any longer for another's answer uses the token once more, and is told so.
TEST(Rotation, IsNotEndedByAnErrorWithTheTokenBefore) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  world.AddServer();
  world.AddServer();
  world.Pass(absl::Minutes(50));
  EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r1"));
  world.Pass(absl::Seconds(90));
  EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r1"));
  ASSERT_TRUE(world.client.Answer(FailedAfterRotation("r2")));
  world.Settle();
  EXPECT_EQ(world.Words(kAda), "CONNECTED v1 a1 r2 failed 1: said no");
  ASSERT_TRUE(world.client.Answer(Failed(TokenErrorKind::kInvalidGrant, "used twice")));
  world.Settle();
  EXPECT_EQ(world.Words(kAda), "CONNECTED v1 a1 r2 failed 1: said no");
  EXPECT_FALSE(world.HasLease(kAda));
  world.Pass(absl::Seconds(3));
  EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r2"));
}

TEST(Rotation, WhatCameForNobodyIsRevoked) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  world.AddServer();
  world.Pass(absl::Minutes(50));
  world.Disconnect(kAda);
  ASSERT_TRUE(world.client.Answer(FailedAfterRotation("r2")));
  world.Settle();
  EXPECT_EQ(world.Words(kAda), "absent");
  EXPECT_EQ(world.Revocations(), "r1/a1;r2/");
}

}  // namespace
}  // namespace keyferry::server
