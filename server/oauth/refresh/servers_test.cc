// Several servers over one store, crashes, and clocks that jump.
#include <atomic>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/refresh/testing_refresh.h"

namespace keyferry::server {
namespace {

using storage::Table;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::StartsWith;

constexpr char kAda[] = "users/ada";

TEST(Servers, OneExchangesAndTheOtherWaitsForTheOutcome) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  world.AddServer();
  RefreshScheduler* const second = world.AddServer();
  world.Pass(absl::Minutes(61));
  EXPECT_EQ(world.client.TakeRefreshes().size(), 1);
  EXPECT_EQ(second->status().waiting, 1);
  std::string answer = "waits";
  second->Refresh({"acme", kAda, "github"}, /*force=*/true,
                  [&](const absl::Status& status) { answer = absl::StatusCodeToString(status.code()); });
  world.Settle();
  EXPECT_EQ(answer, "waits");
  world.client.Answer(Granted("a2", "r2"));
  world.Settle();
  EXPECT_EQ(answer, "OK");
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
  EXPECT_EQ(second->status().waiting, 0);
}

TEST(Servers, FailureOfTheOtherIsAnswerEnough) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  world.AddServer();
  RefreshScheduler* const second = world.AddServer();
  world.Pass(absl::Minutes(61));
  world.client.TakeRefreshes();
  std::string answer = "waits";
  second->Refresh({"acme", kAda, "github"}, /*force=*/false,
                  [&](const absl::Status& status) { answer = absl::StatusCodeToString(status.code()); });
  world.Settle();
  world.client.Answer(Failed(TokenErrorKind::kTemporary));
  world.Settle();
  EXPECT_EQ(answer, "UNAVAILABLE");
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
}

// Both find the same connections due at the same moment, with threads, a provider that detects reuse, and askers.
TEST(Servers, AThousandRefreshesAgainstReuseDetectionAreOneExchangeEach) {
  constexpr int kConnections = 100;
  constexpr int kRounds = 10;
  RefreshWorld world;
  ReuseDetector provider;
  world.client.automatic = [&](const auto& call) { return provider.Answer(call, absl::Hours(1)); };
  for (int i = 0; i < kConnections; ++i) {
    world.PutUser(absl::StrCat("u", i));
    world.Connect(absl::StrCat("users/u", i), "a", absl::StrCat("t", i, ".0"));
  }
  RefreshOptions options;
  options.threads = 4;
  world.AddServer(options);
  world.AddServer(options);
  for (int round = 1; round <= kRounds; ++round) {
    // Past the spacing of forced refreshes; the servers' own alarms find nothing due.
    world.now += absl::Seconds(11);
    std::atomic<int> left{2 * kConnections};
    absl::Notification all;
    for (int i = 0; i < kConnections; ++i) {
      for (const auto& server : world.servers) {
        server->Refresh({"acme", absl::StrCat("users/u", i), "github"}, /*force=*/true,
                        [&](const absl::Status& status) {
                          EXPECT_TRUE(status.ok()) << status;
                          if (--left == 0) all.Notify();
                        });
      }
    }
    all.WaitForNotification();
    ASSERT_EQ(provider.granted(), round * kConnections);
  }
  EXPECT_EQ(provider.reused(), 0);
  for (const auto& server : world.servers) server->Drain(absl::Seconds(30));
  for (int i = 0; i < kConnections; ++i) {
    const std::string name = absl::StrCat("t", i);
    EXPECT_EQ(provider.Newest(name), absl::StrCat(name, ".", kRounds));
    EXPECT_EQ(world.Words(absl::StrCat("users/u", i)),
              absl::StrCat("CONNECTED v", kRounds + 1, " access-", name, ".", kRounds, " ", name, ".", kRounds));
  }
}

TEST(Servers, TheLeaseOfADeadOneIsWaitedOutAndTakenOver) {
  struct Case {
    const char* name;
    absl::Duration wall_jump;
  };
  for (const Case& c : {Case{"clock goes on", absl::ZeroDuration()}, Case{"clock set back", -absl::Hours(1)},
                        Case{"clock set forward", absl::Hours(5)}}) {
    SCOPED_TRACE(c.name);
    RefreshWorld world;
    ReuseDetector provider;
    world.Connect(kAda, "a", "t.0");
    world.AddServer();
    world.Pass(absl::Minutes(50));
    EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:t.0"));
    world.Crash();
    world.now += c.wall_jump;
    world.client.automatic = [&](const auto& call) { return provider.Answer(call, absl::Hours(1)); };
    world.AddServer();
    world.Settle();
    world.Pass(absl::Seconds(89));
    EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
    world.Pass(absl::Seconds(1));
    EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:t.0"));
    EXPECT_EQ(world.Words(kAda), "CONNECTED v2 access-t.1 t.1");
  }
}

// What a crash leaves at each step between the provider's answer and the commit, and after it.
TEST(Servers, ACrashAtEveryStepLeavesAConnectionOrAReasonToConnect) {
  struct Case {
    const char* name;
    // How many commits of the refresh are let through, and whether the provider answers.
    int commits;
    bool answers;
    const char* end;
  };
  for (const Case& c : {Case{"before the lease", 0, false, "CONNECTED v2 access-t.1 t.1"},
                        Case{"before the answer", 1, false, "CONNECTED v2 access-t.1 t.1"},
                        Case{"answered, not stored", 1, true,
                             "CONNECT_NEEDED v1  : A server stopped in the middle of a refresh, so that the provider's "
                             "answer to it was lost. used twice"},
                        Case{"stored, not told", 2, true, "CONNECTED v2 access-t.1 t.1"}}) {
    for (const storage::EngineKind engine : {storage::EngineKind::kMemory, storage::EngineKind::kRocksDb}) {
      SCOPED_TRACE(absl::StrCat(c.name, " ", storage::EngineName(engine)));
      RefreshWorld world(engine);
      ReuseDetector provider;
      world.Connect(kAda, "a", "t.0");
      RefreshScheduler* const server = world.AddServer();
      world.Settle();
      int commits = 0;
      bool told = false;
      world.store->before_commit = [&](const storage::Mutation&) {
        return commits++ < c.commits ? absl::OkStatus() : absl::DataLossError("the process is dead");
      };
      if (c.answers) world.client.automatic = [&](const auto& call) { return provider.Answer(call, absl::Hours(1)); };
      world.now += absl::Minutes(50);
      world.monotonic += absl::Minutes(50);
      server->Refresh({"acme", kAda, "github"}, /*force=*/true, [&](const absl::Status& s) { told = s.ok(); });
      server->RunDue();
      EXPECT_EQ(told, c.commits == 2);
      world.Crash();
      world.client.automatic = [&](const auto& call) { return provider.Answer(call, absl::Hours(1)); };
      world.AddServer();
      world.Settle();
      world.Pass(absl::Seconds(91));
      EXPECT_EQ(world.Words(kAda), c.end);
    }
  }
}

TEST(Servers, FailsClosedIfTheAuditEntryCannotBeStored) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Minutes(61));
  world.store->before_commit = [](const storage::Mutation& mutation) {
    return mutation.appends().empty() ? absl::OkStatus() : absl::ResourceExhaustedError("disk full");
  };
  std::string answer = "waits";
  server->Refresh({"acme", kAda, "github"}, /*force=*/false,
                  [&](const absl::Status& status) { answer = absl::StatusCodeToString(status.code()); });
  world.client.Answer(Granted("a2", "r2"));
  world.Pass(absl::Seconds(5));
  EXPECT_EQ(answer, "waits");
  EXPECT_EQ(world.Words(kAda), "CONNECTED v1 a1 r1");
  // The answer is kept until the disk takes it.
  world.store->before_commit = nullptr;
  world.Pass(absl::Seconds(15));
  EXPECT_EQ(answer, "OK");
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
  // But not for ever.
  world.Pass(absl::Minutes(61));
  world.store->before_commit = [](const storage::Mutation& mutation) {
    return mutation.appends().empty() ? absl::OkStatus() : absl::ResourceExhaustedError("disk full");
  };
  answer = "waits";
  server->Refresh({"acme", kAda, "github"}, /*force=*/false,
                  [&](const absl::Status& status) { answer = absl::StatusCodeToString(status.code()); });
  world.client.Answer(Granted("a3", "r3"));
  for (int i = 0; i < 40; ++i) world.Pass(absl::Seconds(1));
  EXPECT_EQ(answer, "RESOURCE_EXHAUSTED");
  EXPECT_EQ(server->status().not_stored, 1);
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
}

TEST(Servers, NoticeWhatOthersDo) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Granted("a2", "r2"); };
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  EXPECT_EQ(server->status().connections, 0);
  world.Connect(kAda, "a1", "r1");
  world.Settle();
  world.Pass(absl::Seconds(3));
  EXPECT_EQ(server->status().connections, 1) << "unknown: everything was read again";
  world.Connect("users/bob", "a1", "r1");
  server->Changed({"acme", "users/bob", "github"});
  world.Settle();
  EXPECT_EQ(server->status().connections, 2) << "told";
  world.Disconnect("users/bob");
  world.Settle();
  EXPECT_EQ(server->status().connections, 1);
  world.Pass(absl::Minutes(50));
  EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r1"));
  // As DeleteOrg: first its record, then everything else.
  ASSERT_TRUE(storage::DeleteOne(*world.store, {Table::kOrg, "", "", "acme"}).ok());
  world.Settle();
  EXPECT_EQ(server->status().connections, 0);
  ASSERT_TRUE(world.store->DestroyOrg("acme").ok());
  world.Settle();
  world.Pass(absl::Hours(2));
  EXPECT_THAT(world.client.TakeRefreshes(), IsEmpty());
}

TEST(Clock, SetBackRefreshesOnceAndNotInALoop) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Granted("a", "r"); };
  world.Connect(kAda, "a1", "r1");
  world.AddServer();
  world.Settle();
  world.now -= absl::Hours(10);
  int calls = 0;
  for (int second = 0; second < 600; ++second) {
    world.Pass(absl::Seconds(1));
    calls += static_cast<int>(world.client.TakeRefreshes().size());
  }
  EXPECT_EQ(calls, 1);
}

TEST(Clock, SetForwardKeepsTheRates) {
  RefreshWorld world;
  ReuseDetector provider;
  world.client.automatic = [&](const auto& call) { return provider.Answer(call, absl::Hours(1)); };
  world.PutProvider("github", [](auto* p) { p->mutable_refresh()->set_max_per_second(2); });
  for (int i = 0; i < 40; ++i) {
    world.PutUser(absl::StrCat("u", i));
    world.Connect(absl::StrCat("users/u", i), "a", absl::StrCat("t", i, ".0"));
  }
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  world.now += absl::Hours(100);
  for (int second = 0; second < 19; ++second) {
    world.Pass(absl::Seconds(1));
    EXPECT_LE(world.client.TakeRefreshes().size(), 2);
  }
  EXPECT_GT(server->status().due, 0);
  for (int half = 0; half < 50; ++half) world.Pass(absl::Milliseconds(500));
  EXPECT_EQ(provider.granted(), 40);
  EXPECT_EQ(server->status().due, 0);
}

TEST(Outage, CatchesUpAtTheProvidersRateAndFairly) {
  constexpr int kConnections = 100;
  RefreshWorld world;
  ReuseDetector provider;
  bool down = true;
  int calls = 0;
  world.client.automatic = [&](const ScriptedTokenClient::Call& call) {
    if (call.provider == "github") ++calls;
    if (call.provider == "github" && down)
      return Failed(calls % 2 == 0 ? TokenErrorKind::kRateLimited : TokenErrorKind::kTemporary);
    return provider.Answer(call, absl::Hours(3));
  };
  world.PutProvider("github", [](auto* p) { p->mutable_refresh()->set_max_per_second(5); });
  world.PutProvider("other");
  for (int i = 0; i < kConnections; ++i) {
    world.PutUser(absl::StrCat("u", i));
    world.Connect(absl::StrCat("users/u", i), "a", absl::StrCat("t", i, ".0"), absl::Hours(2));
  }
  world.PutUser("one");
  world.Connect("users/one", "a", "other.0", absl::Hours(2), "other");
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  // Half an hour of outage while all are due, in steps of the spacing.
  world.Pass(absl::Minutes(106));
  for (int step = 0; step < 1800; ++step) world.Pass(absl::Seconds(1));
  EXPECT_EQ(provider.Newest("other"), "other.1") << "held up by another provider";
  EXPECT_EQ(provider.granted(), 1);
  EXPECT_THAT(world.Words("users/u7"), StartsWith("CONNECTED v1 a t7.0 failed"));
  down = false;
  int most = 0;
  for (int second = 0; second < 600; ++second) {
    const int before = calls;
    for (int step = 0; step < 5; ++step) world.Pass(absl::Milliseconds(200));
    most = std::max(most, calls - before);
  }
  EXPECT_LE(most, 5);
  EXPECT_EQ(provider.granted(), kConnections + 1);
  EXPECT_EQ(provider.reused(), 0);
  EXPECT_EQ(server->status().due, 0);
}

TEST(Outage, AProviderThatHangsHoldsNobodyUp) {
  RefreshWorld world;
  world.PutProvider("other");
  for (int i = 0; i < 100; ++i) {
    world.PutUser(absl::StrCat("u", i));
    world.Connect(absl::StrCat("users/u", i), "a", "r", absl::Hours(1));
  }
  world.Connect(kAda, "a", "o", absl::Hours(1), "other");
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  for (int step = 0; step < 200; ++step) world.Pass(step == 0 ? absl::Minutes(50) : absl::Milliseconds(1));
  const std::vector<std::string> calls = world.client.TakeRefreshes();
  EXPECT_EQ(calls.size(), 17);
  EXPECT_THAT(calls, testing::Contains("other:o"));
  EXPECT_EQ(server->status().in_flight, 17);
  // Once it is known not to answer, it gets less.
  for (int i = 0; i < 17; ++i) world.client.Answer(Failed(TokenErrorKind::kTemporary));
  for (int step = 0; step < 200; ++step) world.Pass(absl::Milliseconds(1));
  EXPECT_EQ(server->status().in_flight, 4);
}

}  // namespace
}  // namespace keyferry::server
