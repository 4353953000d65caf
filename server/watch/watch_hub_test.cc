#include "server/watch/watch_hub.h"

#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/errors.h"
#include "server/watch/testing_watch.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;
using storage::Table;

constexpr char kServer[] = "orgs/acme/mcpServers/m";
constexpr char kTeamServer[] = "orgs/acme/teams/eng/mcpServers/m";
constexpr char kToken[] = "orgs/acme/credentials/TOKEN";
const absl::Duration kDebounce = absl::Milliseconds(100);

class WatchHubTest : public testing::TestWithParam<EngineKind> {
 protected:
  WatchHubTest() : w_(GetParam()) {
    w_.world.Create(w_.world.As("root"), "orgs/acme", "TOKEN", "one");
    w_.Apply(kServer, {"TOKEN=TOKEN"});
  }

  // Commits the deletion, or the creation, of any record.
  void Touch(const storage::RecordKey& key, bool remove) {
    storage::Mutation mutation;
    if (remove) {
      mutation.Delete(key, std::nullopt);
    } else {
      mutation.Put(key, storage::SecretBytes::CopyOf(""), 1, std::nullopt);
    }
    ASSERT_TRUE(w_.world.store->Commit(mutation, storage::Durability::kSynced).ok());
  }

  WatchWorld w_;
};

INSTANTIATE_TEST_SUITE_P(Engines, WatchHubTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(WatchHubTest, SendsTheEnvironmentAndThenWhatChanges) {
  auto watch = w_.Open("ada", kServer);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v1:one");
  w_.Rotate(kToken, "two");
  w_.Settle();
  EXPECT_EQ(watch->sink.Take(), "") << "not before the debounce is over";
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v2:two");
  w_.Override("ada", "TOKEN", "mine");
  w_.Override("bob", "TOKEN", "his");
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v1:mine");
  w_.Rotate(kToken, "three");
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "") << "overridden";
  w_.Delete("orgs/acme/users/ada/credentials/TOKEN");
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v3:three");
  w_.Apply(kServer, {"TOKEN=TOKEN", "LEVEL:info"});
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v3:three LEVEL=v0:info");
}

TEST_P(WatchHubTest, ABurstIsOneUpdate) {
  auto watch = w_.Open("ada", kServer);
  watch->sink.Take();
  const int before = w_.UsageEvents();
  for (int i = 2; i <= 6; ++i) {
    w_.Rotate(kToken, absl::StrCat("value", i));
    w_.Pass(absl::Milliseconds(19));
  }
  EXPECT_EQ(watch->sink.Take(), "");
  w_.Pass(absl::Milliseconds(24));
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v6:value6") << "100 ms after the first of them";
  w_.Pass(absl::Seconds(1));
  EXPECT_EQ(watch->sink.Take(), "");
  EXPECT_EQ(w_.UsageEvents(), before + 1) << "one event for each environment that is sent";
}

TEST_P(WatchHubTest, TheDebounceIsTheWatchersOwn) {
  v1::WatchRequest request;
  request.mutable_resolve()->set_mcp_server(kServer);
  request.mutable_debounce()->set_seconds(2);
  auto patient = w_.Open("ada", request);
  request.mutable_debounce()->set_seconds(0);
  auto eager = w_.Open("bob", request);
  patient->sink.Take();
  eager->sink.Take();
  w_.Rotate(kToken, "two");
  w_.Settle();
  EXPECT_EQ(eager->sink.Take(), "env TOKEN=v2:two");
  w_.Pass(absl::Milliseconds(1999));
  EXPECT_EQ(patient->sink.Take(), "");
  w_.Pass(absl::Milliseconds(1));
  EXPECT_EQ(patient->sink.Take(), "env TOKEN=v2:two");
}

TEST_P(WatchHubTest, WhatLeavesTheEnvironmentAsItIsSendsNothing) {
  w_.world.Create(w_.world.As("root"), "orgs/acme", "OTHER", "other");
  auto watch = w_.Open("ada", kServer);
  watch->sink.Take();
  const int before = w_.UsageEvents();
  w_.Rotate("orgs/acme/credentials/OTHER", "more");
  w_.Apply(kServer, {"TOKEN=TOKEN"}, "--verbose");
  ASSERT_TRUE(w_.world.store->RotateDataKey("acme").ok());
  ASSERT_TRUE(w_.world.store->WaitForPurge(absl::Seconds(60)).ok());
  for (int i = 0; i < 3; ++i) w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "");
  EXPECT_EQ(w_.UsageEvents(), before);
}

TEST_P(WatchHubTest, AnotherValueOfTheSameVersionIsSent) {
  auto watch = w_.Open("ada", kServer);
  watch->sink.Take();
  w_.Delete(kToken);
  w_.world.Create(w_.world.As("root"), "orgs/acme", "TOKEN", "another");
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v1:another");
}

TEST_P(WatchHubTest, AMissingVariableIsAProblemAndTheStreamGoesOn) {
  auto watch = w_.Open("ada", kServer);
  watch->sink.Take();
  w_.Delete(kToken);
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "problem MISSING_VARIABLES");
  w_.Apply(kServer, {"TOKEN=TOKEN"}, "--verbose");
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "") << "the same problem";
  w_.world.Create(w_.world.As("root"), "orgs/acme", "TOKEN", "one");
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v1:one");
}

TEST_P(WatchHubTest, TheEndOfTheMcpServerEndsIt) {
  auto watch = w_.Open("ada", kServer);
  watch->sink.Take();
  v1::DeleteMcpServerRequest request;
  request.set_name(kServer);
  ASSERT_TRUE(w_.servers.DeleteMcpServer(w_.world.As("root"), request).ok());
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "end NOT_FOUND");
  EXPECT_EQ(w_.hub->open(), 0);
}

TEST_P(WatchHubTest, ARevokedTokenEndsItWithoutWaiting) {
  auto watch = w_.Open("ada", kServer);
  auto other = w_.Open("bob", kServer);
  watch->sink.Take();
  other->sink.Take();
  w_.callers.emplace("ada", absl::UnauthenticatedError("revoked"));
  Touch({Table::kToken, "acme", "users/ada", "t"}, /*remove=*/true);
  w_.Settle();
  EXPECT_EQ(watch->sink.Take(), "end UNAUTHENTICATED");
  EXPECT_EQ(other->sink.Take(), "");
}

TEST_P(WatchHubTest, ALaterUserOfTheSameIdDoesNotGoOnWithIt) {
  auto watch = w_.Open("ada", kServer);
  watch->sink.Take();
  Caller later = w_.world.As("ada");
  later.user_create_time += 1;
  w_.callers.emplace("ada", later);
  Touch({Table::kUser, "acme", "", "ada"}, /*remove=*/false);
  w_.Settle();
  EXPECT_EQ(watch->sink.Take(), "end TOKEN_UNKNOWN");
}

// Whoever is trusted changes without any record.
TEST_P(WatchHubTest, CallersAreCheckedWhenAsked) {
  auto watch = w_.Open("ada", kServer);
  auto other = w_.Open("bob", kServer);
  watch->sink.Take();
  other->sink.Take();
  w_.callers.emplace("ada", absl::UnauthenticatedError("not trusted any more"));
  w_.Settle();
  EXPECT_EQ(watch->sink.Take(), "");
  w_.hub->CheckCallers();
  w_.Settle();
  EXPECT_EQ(watch->sink.Take(), "end UNAUTHENTICATED");
  EXPECT_EQ(other->sink.Take(), "");
}

TEST_P(WatchHubTest, EveryRecordOfTheCallerIsLookedIntoWithoutWaiting) {
  const std::vector<storage::RecordKey> records = {{Table::kOrg, "", "", "acme"},
                                                   {Table::kUser, "acme", "", "ada"},
                                                   {Table::kTokenIndex, "", "", "616461"},
                                                   {Table::kToken, "acme", "users/ada", "t"},
                                                   {Table::kMembership, "acme", "users/ada", "eng"}};
  w_.Apply(kTeamServer, {"TOKEN=TOKEN"});
  for (size_t i = 0; i < records.size(); ++i) {
    w_.callers.clear();
    auto watch = w_.Open("ada", kTeamServer);
    EXPECT_EQ(watch->sink.Take(), "env TOKEN=v1:one");
    w_.callers.emplace("ada", absl::UnauthenticatedError("gone"));
    Touch(records[i], /*remove=*/false);
    w_.Settle();
    EXPECT_EQ(watch->sink.Take(), "end UNAUTHENTICATED") << i;
  }
}

TEST_P(WatchHubTest, ATokenThatExpiresEndsIt) {
  Caller caller = w_.world.As("ada");
  caller.token_expire_time = w_.world.now + absl::Minutes(10);
  w_.callers.emplace("ada", caller);
  auto watch = w_.Open("ada", kServer);
  watch->sink.Take();
  w_.world.now += absl::Minutes(9);
  w_.Settle();
  EXPECT_EQ(watch->sink.Take(), "");
  w_.world.now += absl::Minutes(1);
  w_.Settle();
  EXPECT_EQ(watch->sink.Take(), "end UNAUTHENTICATED");
}

TEST_P(WatchHubTest, AMembershipAndATierThatChange) {
  w_.world.Create(w_.world.As("ada"), "orgs/acme/teams/eng", "TOKEN", "team's");
  w_.Apply(kTeamServer, {"TOKEN=TOKEN"});
  auto watch = w_.Open("bob", kTeamServer);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v1:team's");
  Caller free = w_.world.As("bob");
  free.tier = v1::TIER_FREE;
  w_.callers.emplace("bob", free);
  Touch({Table::kOrg, "", "", "acme"}, /*remove=*/false);
  w_.Settle();
  EXPECT_EQ(watch->sink.Take(), "") << "a state that may pass, so after the debounce";
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "problem SCOPE_SUSPENDED");
  w_.callers.clear();
  Touch({Table::kOrg, "", "", "acme"}, /*remove=*/false);
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v1:team's");
  Caller outside = w_.world.As("bob");
  outside.teams.clear();
  w_.callers.emplace("bob", outside);
  Touch({Table::kMembership, "acme", "users/bob", "eng"}, /*remove=*/true);
  w_.Settle();
  EXPECT_EQ(watch->sink.Take(), "end NOT_FOUND");
}

TEST_P(WatchHubTest, ASlowReceiverGetsTheNewestAndNoQueue) {
  w_.slow = true;
  auto watch = w_.Open("ada", kServer);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v1:one");
  for (int i = 2; i <= 9; ++i) {
    w_.Rotate(kToken, absl::StrCat("value", i));
    w_.Pass(absl::Seconds(1));
  }
  EXPECT_EQ(watch->sink.Take(), "");
  EXPECT_EQ(watch->sink.messages, 1);
  w_.slow = false;
  w_.Settle();
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v9:value9");
}

TEST_P(WatchHubTest, AHeartbeatWhenNothingElseWasSent) {
  auto watch = w_.Open("ada", kServer);
  watch->sink.Take();
  w_.Pass(absl::Seconds(19));
  EXPECT_EQ(watch->sink.Take(), "");
  w_.Rotate(kToken, "two");
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v2:two");
  w_.Pass(absl::Milliseconds(19'800));
  EXPECT_EQ(watch->sink.Take(), "");
  w_.Pass(absl::Milliseconds(200));
  EXPECT_EQ(watch->sink.Take(), "heartbeat");
  w_.Pass(absl::Seconds(20));
  EXPECT_EQ(watch->sink.Take(), "heartbeat");
}

TEST_P(WatchHubTest, ResumesFromARevision) {
  auto watch = w_.Open("ada", kServer);
  const storage::Revision revision = watch->sink.revision;
  EXPECT_EQ(w_.Open("ada", kServer, revision)->sink.Take(), "");
  w_.Rotate(kToken, "two");
  auto behind = w_.Open("ada", kServer, revision);
  EXPECT_EQ(behind->sink.Take(), "env TOKEN=v2:two");
  w_.Delete(kToken);
  EXPECT_EQ(w_.Open("ada", kServer, behind->sink.revision)->sink.Take(), "problem MISSING_VARIABLES");
  w_.world.Create(w_.world.As("root"), "orgs/acme", "TOKEN", "three");
  auto newest = w_.Open("ada", kServer, behind->sink.revision);
  EXPECT_EQ(newest->sink.Take(), "env TOKEN=v1:three");
  EXPECT_EQ(w_.Open("ada", kServer, newest->sink.revision + 1000)->sink.Take(), "env TOKEN=v1:three")
      << "a revision that this store has not reached";
  auto resumed = w_.Open("ada", kServer, newest->sink.revision);
  EXPECT_EQ(resumed->sink.Take(), "");
  w_.Rotate(kToken, "four");
  w_.Pass(kDebounce);
  EXPECT_EQ(resumed->sink.Take(), "env TOKEN=v2:four");
}

TEST_P(WatchHubTest, SendsAgainWhatCannotBeToldAnyMore) {
  WatchOptions options = WatchWorld::NoThreads();
  options.recent_changes = 4;
  WatchWorld forgetful(GetParam(), options);
  forgetful.world.Create(forgetful.world.As("root"), "orgs/acme", "TOKEN", "one");
  forgetful.Apply(kServer, {"TOKEN=TOKEN"});
  auto watch = forgetful.Open("ada", kServer);
  EXPECT_EQ(forgetful.Open("ada", kServer, watch->sink.revision)->sink.Take(), "");
  for (int i = 0; i < 5; ++i) {
    forgetful.world.Create(forgetful.world.As("root"), "orgs/acme", absl::StrCat("OTHER", i), "x");
  }
  EXPECT_EQ(forgetful.Open("ada", kServer, watch->sink.revision)->sink.Take(), "env TOKEN=v1:one");
}

TEST_P(WatchHubTest, BoundsTheWatchesOfEachAndOfAll) {
  WatchOptions options = WatchWorld::NoThreads();
  options.max_per_principal = 2;
  options.max_per_org = 3;
  WatchWorld bounded(GetParam(), options);
  bounded.world.Create(bounded.world.As("root"), "orgs/acme", "TOKEN", "one");
  bounded.Apply(kServer, {"TOKEN=TOKEN"});
  auto first = bounded.Open("ada", kServer);
  EXPECT_TRUE(bounded.Open("ada", kServer)->opened.ok());
  auto third = bounded.Open("ada", kServer);
  EXPECT_EQ(DetailOf(third->opened).reason(), "TOO_MANY_WATCHERS");
  EXPECT_EQ(DetailOf(third->opened).resource(), "orgs/acme/users/ada");
  auto fourth = bounded.Open("bob", kServer);
  EXPECT_TRUE(fourth->opened.ok()) << fourth->opened;
  auto fifth = bounded.Open("eve", kServer);
  EXPECT_EQ(DetailOf(fifth->opened).resource(), "orgs/acme");
  bounded.hub->Cancel(first->id);
  EXPECT_EQ(first->sink.end.code(), absl::StatusCode::kCancelled);
  EXPECT_TRUE(bounded.Open("ada", kServer)->opened.ok());
}

TEST_P(WatchHubTest, RefusesWhatIsWrong) {
  v1::WatchRequest request;
  request.mutable_resolve()->set_mcp_server("orgs/acme");
  EXPECT_EQ(DetailOf(w_.Open("ada", request)->opened).field(), "resolve.mcp_server");
  request.mutable_resolve()->set_mcp_server(kServer);
  request.set_resume_revision(-1);
  EXPECT_EQ(DetailOf(w_.Open("ada", request)->opened).field(), "resume_revision");
  request.set_resume_revision(0);
  request.mutable_debounce()->set_seconds(11);
  EXPECT_EQ(DetailOf(w_.Open("ada", request)->opened).field(), "debounce");
  request.clear_debounce();
  request.mutable_resolve()->mutable_process()->set_process_id("No good");
  EXPECT_EQ(DetailOf(w_.Open("ada", request)->opened).field(), "resolve.process.process_id");
  EXPECT_EQ(Told(w_.Open("mallory", kServer)->opened), Told(NotFound(kServer)));
  EXPECT_EQ(w_.Open("ada", "orgs/acme/mcpServers/none")->sink.Take(), "end NOT_FOUND");
}

TEST_P(WatchHubTest, DrainingEndsEachAfterItsMessage) {
  auto idle = w_.Open("ada", kServer);
  idle->sink.Take();
  w_.slow = true;
  auto writing = w_.Open("bob", kServer);
  writing->sink.Take();
  w_.hub->Drain();
  EXPECT_EQ(idle->sink.Take(), "end SERVER_DRAINING");
  EXPECT_EQ(writing->sink.Take(), "");
  w_.slow = false;
  w_.Settle();
  EXPECT_EQ(writing->sink.Take(), "end SERVER_DRAINING");
  EXPECT_EQ(DetailOf(w_.Open("ada", kServer)->opened).reason(), "SERVER_DRAINING");
}

TEST_P(WatchHubTest, AReceiverThatHasGoneEndsIt) {
  w_.slow = true;
  auto watch = w_.Open("ada", kServer);
  w_.hub->Cancel(watch->id);
  EXPECT_EQ(w_.hub->open(), 1) << "its message is still in flight";
  watch->sink.in_flight = false;
  w_.hub->OnWritten(watch->id, /*written=*/false);
  EXPECT_EQ(watch->sink.end.code(), absl::StatusCode::kCancelled);
  EXPECT_EQ(w_.hub->open(), 0);
  w_.hub->Cancel(watch->id);
}

TEST_P(WatchHubTest, KeepsTheProcessRecordWhileItIsOpen) {
  v1::WatchRequest request;
  request.mutable_resolve()->set_mcp_server(kServer);
  request.mutable_resolve()->mutable_process()->set_process_id("p1");
  request.mutable_resolve()->mutable_process()->mutable_lease()->set_seconds(10);
  auto watch = w_.Open("ada", request);
  w_.world.now += absl::Hours(2);
  w_.Rotate(kToken, "two");
  w_.Pass(kDebounce);
  auto holders = w_.processes.Holders("acme", kToken, w_.world.now);
  ASSERT_EQ(holders.size(), 1);
  EXPECT_TRUE(holders[0].watching);
  EXPECT_EQ(holders[0].process->credentials(0).version(), 2);
  w_.hub->Cancel(watch->id);
  holders = w_.processes.Holders("acme", kToken, w_.world.now + absl::Seconds(9));
  ASSERT_EQ(holders.size(), 1);
  EXPECT_FALSE(holders[0].watching);
  EXPECT_EQ(w_.processes.Holders("acme", kToken, w_.world.now + absl::Seconds(10)).size(), 0);
}

}  // namespace
}  // namespace keyferry::server
