// Bindings to OAuth providers.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/audit/call_record.h"
#include "server/credentials/testing_world.h"
#include "server/mcpservers/mcp_server_rules.h"
#include "server/resolution/resolver.h"
#include "server/resolution/testing_connections.h"
#include "storage/journal.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

constexpr char kServer[] = "orgs/acme/mcpServers/m";
constexpr char kTeamServer[] = "orgs/acme/teams/eng/mcpServers/m";
constexpr char kEng[] = "orgs/acme/teams/eng";

class ConnectionsTest : public testing::TestWithParam<EngineKind> {
 protected:
  ConnectionsTest()
      : servers_(world_.store.get(), world_.clock(), &world_.pages),
        resolver_(world_.store.get(), world_.clock(), world_.usage.get(), /*processes=*/nullptr,
                  "https://keyferry.example/") {
    PutProvider(world_.store.get(), "google");
    for (const char* server : {kServer, kTeamServer}) Apply(server, Bind("TOKEN"));
  }

  static v1::EnvBinding Bind(const std::string& variable, bool optional = false, bool pinned = false) {
    v1::EnvBinding binding;
    binding.set_variable(variable);
    binding.set_oauth("google");
    binding.set_optional(optional);
    binding.set_not_overridable(pinned);
    return binding;
  }
  void Apply(const std::string& server, const v1::EnvBinding& binding) {
    v1::ApplyMcpServerRequest request;
    request.mutable_mcp_server()->set_name(server);
    request.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
    *request.mutable_mcp_server()->add_env() = binding;
    const auto applied = servers_.ApplyMcpServer(world_.As("root"), request);
    ASSERT_TRUE(applied.ok()) << applied.status();
  }
  void Connect(const TestConnection& connection) { PutConnection(world_.store.get(), connection); }
  void ConnectAll() {
    Connect({"users/ada", "personal", 3});
    Connect({"teams/eng", "team", 4});
    Connect({"", "org", 5});
  }

  absl::StatusOr<v1::ResolveResponse> Ask(const Caller& caller, const std::string& server, const std::string& team = "",
                                          Awaited* awaited = nullptr, bool allow_partial = false) {
    v1::ResolveRequest request;
    request.set_mcp_server(server);
    request.set_team(team);
    request.set_allow_partial(allow_partial);
    auto resolved = resolver_.Resolve(caller, request, awaited);
    if (!resolved.ok()) {
      const std::string told = Told(resolved.status());
      EXPECT_FALSE(absl::StrContains(told, "token-")) << told;
    }
    return resolved;
  }
  // "value of SCOPE/connections/google vN", "-" for no value, or the reason of the refusal.
  static std::string InWords(const absl::StatusOr<v1::ResolveResponse>& resolved) {
    if (!resolved.ok()) return DetailOf(resolved.status()).reason();
    if (resolved->variables().empty()) return "-";
    const v1::ResolvedVariable& variable = resolved->variables(0);
    return absl::StrCat(variable.value(), " of ", variable.credential(), " v", variable.version());
  }
  std::string Get(const Caller& caller, const std::string& server, const std::string& team = "") {
    return InWords(Ask(caller, server, team));
  }
  // Outcomes in order, without their prefix.
  std::string Explained(const Caller& caller, const std::string& user = "", std::string* summary = nullptr) {
    v1::ExplainRequest request;
    request.set_mcp_server(kTeamServer);
    request.set_user(user);
    const auto explained = resolver_.Explain(caller, request);
    if (!explained.ok()) return explained.status().ToString();
    std::vector<std::string> outcomes;
    for (const v1::ResolutionStep& step : explained->variables(0).steps()) {
      outcomes.push_back(v1::StepOutcome_Name(step.outcome()).substr(13));
    }
    if (summary != nullptr) *summary = explained->variables(0).summary();
    EXPECT_FALSE(absl::StrContains(explained->DebugString(), "token-"));
    return absl::StrJoin(outcomes, " ");
  }

  World world_{GetParam()};
  McpServerRules servers_;
  Resolver resolver_;
};

INSTANTIATE_TEST_SUITE_P(Engines, ConnectionsTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(ConnectionsTest, TheNarrowestConnectionAnswers) {
  ConnectAll();
  const Caller ada = world_.As("ada");
  EXPECT_EQ(Get(ada, kServer, kEng), "personal of orgs/acme/users/ada/connections/google v3");
  EXPECT_EQ(Get(world_.As("bob"), kServer, kEng), "team of orgs/acme/teams/eng/connections/google v4");
  EXPECT_EQ(Get(world_.As("bob"), kTeamServer), "team of orgs/acme/teams/eng/connections/google v4");
  EXPECT_EQ(Get(world_.As("bob"), kServer), "org of orgs/acme/connections/google v5") << "no team was named";
  EXPECT_EQ(Get(world_.Workload({kServer}), kServer), "org of orgs/acme/connections/google v5");
  EXPECT_EQ(Get(world_.Workload({kTeamServer}), kTeamServer), "team of orgs/acme/teams/eng/connections/google v4");
  DeleteConnection(world_.store.get(), "users/ada");
  EXPECT_EQ(Get(ada, kServer, kEng), "team of orgs/acme/teams/eng/connections/google v4");
  world_.tier = v1::TIER_FREE;
  EXPECT_EQ(Get(world_.As("ada"), kServer, kEng), "org of orgs/acme/connections/google v5") << "suspended";
}

TEST_P(ConnectionsTest, APinnedBindingTakesTheOrganizationsAlone) {
  ConnectAll();
  Apply(kServer, Bind("TOKEN", /*optional=*/false, /*pinned=*/true));
  EXPECT_EQ(Get(world_.As("ada"), kServer, kEng), "org of orgs/acme/connections/google v5");
  DeleteConnection(world_.store.get(), "");
  const absl::Status missing = Ask(world_.As("ada"), kServer, kEng).status();
  const v1::MissingVariable one = DetailOf(missing).missing_variables(0);
  ASSERT_EQ(one.tried_size(), 1);
  EXPECT_EQ(one.tried(0), "orgs/acme/connections/google");
  EXPECT_EQ(one.connect_url(), "") << "a personal connection would not help";
  EXPECT_TRUE(absl::StrContains(one.next_step(), "--org-wide")) << one.next_step();
}

TEST_P(ConnectionsTest, ATokenAnswersWhileItIsValid) {
  const struct {
    const char* what;
    absl::Duration left;
    bool refreshable;
    bool connect_needed;
    const char* expected;
  } kCases[] = {
      {"valid", absl::Seconds(1), true, false, "own"},
      {"valid, never refreshed", absl::Seconds(1), false, false, "own"},
      {"nobody knows", absl::InfiniteDuration(), false, false, "own"},
      {"ends now", absl::ZeroDuration(), false, false, "org"},
      {"ended", -absl::Seconds(1), false, false, "org"},
      {"ends now, can be refreshed", absl::ZeroDuration(), true, false, "PROVIDER_UNAVAILABLE"},
      {"valid, but to be connected again", absl::Hours(1), true, true, "org"},
      {"ended, to be connected again", -absl::Hours(1), true, true, "org"},
      {"nobody knows, to be connected again", absl::InfiniteDuration(), true, true, "org"},
  };
  Connect({"", "org", 5});
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    Connect({"users/ada", "own", 1, world_.now + c.left, c.refreshable, c.connect_needed});
    const std::string got = Get(world_.As("ada"), kServer);
    EXPECT_EQ(got.substr(0, got.find(' ')), c.expected);
  }
}

TEST_P(ConnectionsTest, SaysWhenTheValueEndsAndAppliesTheTemplate) {
  v1::EnvBinding binding = Bind("TOKEN");
  binding.set_template_("Bearer {value}");
  Apply(kServer, binding);
  Connect({"users/ada", "abc", 1, world_.now + absl::Seconds(90) + absl::Nanoseconds(7)});
  const auto resolved = Ask(world_.As("ada"), kServer);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->variables(0).value(), "Bearer abc");
  EXPECT_EQ(resolved->variables(0).scope(), v1::CREDENTIAL_SCOPE_USER);
  EXPECT_EQ(resolved->variables(0).refresh_time().seconds(), absl::ToUnixSeconds(world_.now) + 90);
  EXPECT_EQ(resolved->variables(0).refresh_time().nanos(), 7);
  Connect({"users/ada", "abc", 2});
  EXPECT_FALSE(Ask(world_.As("ada"), kServer)->variables(0).has_refresh_time()) << "nobody knows";
}

TEST_P(ConnectionsTest, ALaterUserOfTheSameIdGetsNothingOfTheFormers) {
  Connect({"users/ada", "of-the-first", 1, absl::InfiniteFuture(), true, false, /*user_create_time=*/10});
  Caller ada = world_.As("ada");
  ada.user_create_time = 10;
  EXPECT_EQ(Get(ada, kServer), "of-the-first of orgs/acme/users/ada/connections/google v1");
  ada.user_create_time = 20;
  EXPECT_EQ(Get(ada, kServer), "MISSING_VARIABLES");
  Connect({"users/ada", "of-the-first", 1, world_.now, true, false, /*user_create_time=*/10});
  EXPECT_EQ(Get(ada, kServer), "MISSING_VARIABLES") << "and is not refreshed for them";
  EXPECT_EQ(Explained(ada), "NOT_SET NOT_SET NOT_SET");
  // Nor does a personal connection answer for a session of nobody.
  Connect({"users/ada", "of-the-first", 1});
  EXPECT_EQ(Get(world_.Workload({kServer}), kServer), "MISSING_VARIABLES");
}

TEST_P(ConnectionsTest, WhoseConnectionItIsIsNoQuestionOfWhoseClockIsAhead) {
  Caller ada = world_.As("ada");
  ada.user_create_time = absl::ToUnixNanos(world_.now);
  TestConnection connection;
  connection.parent = "users/ada";
  // Made for this user, by a server whose clock is behind.
  connection.user_create_time = ada.user_create_time;
  connection.create_time = world_.now - absl::Hours(1);
  Connect(connection);
  EXPECT_THAT(Explained(ada), testing::HasSubstr("CHOSEN"));
  // Made for another of the same id, by one whose clock is ahead.
  connection.user_create_time = absl::ToUnixNanos(world_.now - absl::Hours(2));
  connection.create_time = world_.now + absl::Hours(1);
  Connect(connection);
  EXPECT_EQ(Explained(ada), "NOT_SET NOT_SET NOT_SET");
  EXPECT_EQ(Get(ada, kServer), "MISSING_VARIABLES");
}

TEST_P(ConnectionsTest, ARecordThatDoesNotSayForWhomItWasMadeGoesByItsToken) {
  TestConnection connection;
  connection.parent = "users/ada";
  connection.user_create_time = 10;
  Connect(connection);
  storage::Mutation mutation;
  storage::records::ConnectionRecord record;
  const storage::RecordKey key = {storage::Table::kConnection, "acme", "users/ada", "google"};
  const auto stored = world_.store->View()->Get(key);
  ASSERT_TRUE(stored.ok() && stored->has_value());
  ASSERT_TRUE(storage::ParseSecretInto((*stored)->payload, record).ok());
  record.clear_user_create_time();
  mutation.Put(key, storage::SerializeSecret(record), /*version=*/1, std::nullopt);
  ASSERT_TRUE(world_.store->Commit(mutation, storage::Durability::kSynced).ok());
  Caller ada = world_.As("ada");
  ada.user_create_time = 10;
  EXPECT_THAT(Explained(ada), testing::HasSubstr("CHOSEN"));
  ada.user_create_time = 20;
  EXPECT_EQ(Explained(ada), "NOT_SET NOT_SET NOT_SET");
}

TEST_P(ConnectionsTest, AConnectionWithoutItsTokenAnswersNothing) {
  Connect({"users/ada", "", 1});
  EXPECT_EQ(Get(world_.As("ada"), kServer), "MISSING_VARIABLES");
  storage::Mutation mutation;
  mutation.Delete({storage::Table::kConnectionToken, "acme", "users/ada", "google"}, std::nullopt);
  ASSERT_TRUE(world_.store->Commit(mutation, storage::Durability::kSynced).ok());
  EXPECT_EQ(Get(world_.As("ada"), kServer), "MISSING_VARIABLES");
}

TEST_P(ConnectionsTest, WhatIsMissingSaysHowToConnect) {
  const struct {
    const char* what;
    Caller caller;
    const char* server;
    int tried;
    const char* step;
    const char* url;
  } kCases[] = {
      {"a user", world_.As("ada"), kTeamServer, 3, "`keyferry connect google`",
       "https://keyferry.example/oauth/connect?org=acme&provider=google"},
      {"a user without a team", world_.As("zoe"), kServer, 2, "`keyferry connect google`",
       "https://keyferry.example/oauth/connect?org=acme&provider=google"},
      {"a workload of a team's server", world_.Workload({kTeamServer}), kTeamServer, 2,
       "`keyferry connect google --team eng`", ""},
      {"a workload", world_.Workload({kServer}), kServer, 1, "`keyferry connect google --org-wide`", ""},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    const absl::Status status = Ask(c.caller, c.server).status();
    EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
    const v1::ErrorDetail detail = DetailOf(status);
    ASSERT_EQ(detail.missing_variables_size(), 1);
    const v1::MissingVariable& missing = detail.missing_variables(0);
    EXPECT_EQ(missing.variable(), "TOKEN");
    EXPECT_EQ(missing.tried_size(), c.tried);
    EXPECT_EQ(missing.tried(c.tried - 1), "orgs/acme/connections/google");
    EXPECT_TRUE(absl::StrContains(missing.next_step(), c.step)) << missing.next_step();
    EXPECT_EQ(missing.connect_url(), c.url);
  }
  v1::EnvBinding unknown = Bind("TOKEN");
  unknown.set_oauth("gogle");
  Apply(kServer, unknown);
  const v1::ErrorDetail detail = DetailOf(Ask(world_.As("ada"), kServer).status());
  const v1::MissingVariable& missing = detail.missing_variables(0);
  EXPECT_TRUE(absl::StrContains(missing.next_step(), "has no OAuth provider `gogle`")) << missing.next_step();
  EXPECT_EQ(missing.connect_url(), "");

  const Resolver without_url(world_.store.get(), world_.clock(), world_.usage.get());
  v1::ResolveRequest request;
  request.set_mcp_server(kTeamServer);
  const auto computed = without_url.Compute(world_.As("ada"), request, nullptr);
  EXPECT_EQ(DetailOf(computed.status()).missing_variables(0).connect_url(), "");
}

TEST_P(ConnectionsTest, AnEndedTokenIsAwaitedAndNotPassedOver) {
  Connect({"", "org", 5});
  Connect({"users/ada", "own", 1, world_.now - absl::Seconds(1), true, false, 0, absl::UnixEpoch(),
           world_.now + absl::Seconds(12)});
  for (const bool optional : {false, true}) {
    SCOPED_TRACE(optional);
    Apply(kServer, Bind("TOKEN", optional));
    const auto before = world_.Revision();
    Awaited awaited;
    awaited.waited = false;
    const absl::Status status = Ask(world_.As("ada"), kServer, "", &awaited).status();
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
    const v1::ErrorDetail detail = DetailOf(status);
    EXPECT_EQ(detail.reason(), "PROVIDER_UNAVAILABLE");
    EXPECT_EQ(detail.resource(), "orgs/acme/users/ada/connections/google");
    EXPECT_EQ(detail.retry_delay_ms(), 12'000) << "when the scheduler tries again";
    ASSERT_EQ(awaited.connections.size(), 1u);
    EXPECT_EQ(awaited.connections[0], (ConnectionKey{"acme", "users/ada", "google"}));
    EXPECT_EQ(world_.Revision(), before) << "nothing was given out";
    // Who has waited gets what there is.
    EXPECT_EQ(Get(world_.As("ada"), kServer), optional ? "-" : "PROVIDER_UNAVAILABLE");
    EXPECT_EQ(InWords(Ask(world_.As("ada"), kServer, "", nullptr, /*allow_partial=*/true)), "-");
  }
  // What is missing for good is said at once.
  v1::ApplyMcpServerRequest request;
  request.mutable_mcp_server()->set_name(kServer);
  request.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
  *request.mutable_mcp_server()->add_env() = Bind("TOKEN");
  request.mutable_mcp_server()->add_env()->set_variable("OTHER");
  request.mutable_mcp_server()->mutable_env(1)->set_org_secret("NOT_SET");
  ASSERT_TRUE(servers_.ApplyMcpServer(world_.As("root"), request).ok());
  EXPECT_EQ(Get(world_.As("ada"), kServer), "MISSING_VARIABLES");
}

TEST_P(ConnectionsTest, ExplainsEveryScopeWithoutAValue) {
  std::string summary;
  EXPECT_EQ(Explained(world_.As("ada"), "", &summary), "NOT_SET NOT_SET NOT_SET");
  EXPECT_EQ(summary, "Nothing answers. Connect with `keyferry connect google`.");
  ConnectAll();
  EXPECT_EQ(Explained(world_.As("ada"), "", &summary), "CHOSEN OVERRIDDEN OVERRIDDEN");
  EXPECT_EQ(summary, "Version 3 of orgs/acme/users/ada/connections/google answers.");
  EXPECT_EQ(Explained(world_.As("bob")), "NOT_SET CHOSEN OVERRIDDEN");
  EXPECT_EQ(Explained(world_.Workload({kTeamServer})), "NOT_APPLICABLE CHOSEN OVERRIDDEN");
  Connect({"users/ada", "own", 1, world_.now - absl::Seconds(1)});
  EXPECT_EQ(Explained(world_.As("ada")), "CHOSEN OVERRIDDEN OVERRIDDEN") << "a fresh one can be had";
  Connect({"users/ada", "own", 1, world_.now - absl::Seconds(1), /*refreshable=*/false});
  EXPECT_EQ(Explained(world_.As("ada")), "CONNECT_NEEDED CHOSEN OVERRIDDEN");
  Apply(kTeamServer, Bind("TOKEN", false, /*pinned=*/true));
  EXPECT_EQ(Explained(world_.As("ada")), "PINNED_ELSEWHERE PINNED_ELSEWHERE CHOSEN");
}

TEST_P(ConnectionsTest, AnAdminExplainsForOthersWithoutLearningOfTheirConnections) {
  Caller root = world_.As("root");
  const auto both = [&] {
    std::string summary;
    std::string outcomes = Explained(root, "orgs/acme/users/ada", &summary);
    return outcomes + ": " + summary;
  };
  const std::string without = both();
  EXPECT_EQ(without,
            "HIDDEN NOT_SET NOT_SET: No scope that you can see has a connection; a personal connection of the user may "
            "answer, which only they can see.");
  Connect({"users/ada", "own", 7});
  EXPECT_EQ(both(), without);
  Connect({"users/ada", "own", 7, absl::InfiniteFuture(), true, /*connect_needed=*/true});
  EXPECT_EQ(both(), without);
}

TEST_P(ConnectionsTest, WhatWasGivenOutIsRecordedUnderTheConnectionsName) {
  // A credential of the same name, which must not be mistaken for it.
  world_.Create(world_.As("root"), "orgs/acme", "google", "v");
  Connect({"", "token-in-the-log", 5});
  world_.now += absl::Hours(3);
  ASSERT_TRUE(Ask(world_.As("bob"), kServer).ok());
  const auto view = world_.store->View();
  const auto block = storage::ReadJournalBlock(*view, "acme", storage::ReadJournalHead(*view, "acme")->last_block);
  ASSERT_TRUE(block.ok()) << block.status();
  v1::AuditEntry entry;
  ASSERT_TRUE(entry.ParseFromString(block->entries.back().payload));
  ASSERT_EQ(entry.credentials_size(), 1);
  EXPECT_EQ(entry.credentials(0).credential(), "orgs/acme/connections/google");
  EXPECT_EQ(entry.credentials(0).version(), 5);
  EXPECT_FALSE(absl::StrContains(entry.DebugString(), "token-"));
  const auto use = world_.usage->FindOfConnection(*view, "acme", "", "google", absl::UnixEpoch());
  ASSERT_TRUE(use.ok()) << use.status();
  EXPECT_EQ(use->time, world_.now);
  EXPECT_EQ(use->mcp_server, kServer);
  EXPECT_FALSE(world_.Get(world_.As("root"), "orgs/acme/credentials/google")->has_last_use_time());
}

}  // namespace
}  // namespace keyferry::server
