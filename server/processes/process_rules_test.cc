#include "server/processes/process_rules.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"
#include "server/errors.h"
#include "server/mcpservers/mcp_server_rules.h"
#include "server/resolution/resolver.h"
#include "server/resolution/testing_connections.h"

namespace keyferry::server {
namespace {

constexpr char kToken[] = "orgs/acme/credentials/TOKEN";
constexpr char kTeamToken[] = "orgs/acme/teams/eng/credentials/TOKEN";
constexpr char kOwnToken[] = "orgs/acme/users/bob/credentials/TOKEN";
constexpr char kServer[] = "orgs/acme/mcpServers/m";
constexpr char kTeamServer[] = "orgs/acme/teams/eng/mcpServers/m";

class ProcessRulesTest : public testing::Test {
 protected:
  ProcessRulesTest()
      : servers_(world_.store.get(), world_.clock(), &world_.pages),
        resolver_(world_.store.get(), world_.clock(), world_.usage.get(), &table_),
        rules_(world_.store.get(), world_.clock(), &world_.pages, &table_) {
    world_.Create(world_.As("root"), "orgs/acme", "TOKEN", "one");
    for (const char* server : {kServer, kTeamServer}) Apply(server, "org", false);
  }

  // A server with one binding of TOKEN from "org", "team" or "user".
  void Apply(const std::string& server, const std::string& source, bool pinned) {
    v1::ApplyMcpServerRequest request;
    request.mutable_mcp_server()->set_name(server);
    request.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
    v1::EnvBinding* binding = request.mutable_mcp_server()->add_env();
    binding->set_variable("VARIABLE");
    binding->set_not_overridable(pinned);
    if (source == "org") binding->set_org_secret("TOKEN");
    if (source == "team") binding->set_team_secret("TOKEN");
    if (source == "user") binding->set_user_secret("TOKEN");
    const auto applied = servers_.ApplyMcpServer(world_.As("root"), request);
    ASSERT_TRUE(applied.ok()) << applied.status();
  }
  std::string Launch(const Caller& caller, const std::string& server, const std::string& process) {
    v1::ResolveRequest request;
    request.set_mcp_server(server);
    request.mutable_process()->set_process_id(process);
    request.mutable_process()->set_host("host-of-" + process);
    const auto resolved = resolver_.Resolve(caller, request);
    EXPECT_TRUE(resolved.ok()) << resolved.status();
    return resolved.ok() ? resolved->process() : "";
  }
  void Rotate(const std::string& name) {
    v1::RotateCredentialRequest request;
    request.set_name(name);
    request.set_value("next");
    const auto rotated = world_.credentials->RotateCredential(world_.As("root"), request);
    ASSERT_TRUE(rotated.ok()) << rotated.status();
  }
  absl::StatusOr<v1::ListProcessesResponse> List(const Caller& caller, const std::string& server = "", int size = 0,
                                                 const std::string& token = "") {
    v1::ListProcessesRequest request;
    request.set_parent("orgs/acme");
    request.set_mcp_server(server);
    request.set_page_size(size);
    request.set_page_token(token);
    return rules_.ListProcesses(caller, request);
  }
  // Ids of the processes that the caller sees, with the versions that they see, e.g. "p1:1 p2:-".
  std::string Seen(const Caller& caller, const std::string& server = "") {
    const auto listed = List(caller, server);
    if (!listed.ok()) return Told(listed.status());
    std::vector<std::string> seen;
    for (const v1::Process& process : listed->processes()) {
      seen.push_back(
          absl::StrCat(process.info().process_id(), ":",
                       process.credentials().empty() ? "-" : absl::StrCat(process.credentials(0).version())));
    }
    return absl::StrJoin(seen, " ");
  }
  absl::StatusOr<v1::CredentialRollout> Rollout(const Caller& caller, const std::string& name) {
    v1::GetCredentialRolloutRequest request;
    request.set_name(name);
    return rules_.GetCredentialRollout(caller, request);
  }
  // "p1:OUTDATED@1 p2:CURRENT@2 | 1 current, 1 outdated".
  std::string RolloutText(const Caller& caller, const std::string& name) {
    const auto rollout = Rollout(caller, name);
    if (!rollout.ok()) return Told(rollout.status());
    std::string text;
    for (const v1::RolloutProcess& process : rollout->processes()) {
      absl::StrAppend(&text, process.process().info().process_id(),
                      process.state() == v1::ROLLOUT_STATE_CURRENT ? ":CURRENT@" : ":OUTDATED@", process.held_version(),
                      " ");
    }
    return absl::StrCat(text, "| ", rollout->current_count(), " current, ", rollout->outdated_count(), " outdated");
  }

  World world_{storage::EngineKind::kMemory};
  McpServerRules servers_;
  ProcessTable table_;
  Resolver resolver_;
  ProcessRules rules_;
};

TEST_F(ProcessRulesTest, AProcessIsSeenByThoseWhoSeeItsMcpServer) {
  Launch(world_.As("zoe"), kServer, "orgs");
  Launch(world_.As("bob"), kTeamServer, "teams");
  Launch(world_.Workload({kServer}), kServer, "workload");
  EXPECT_EQ(Seen(world_.As("root")), "orgs:1 teams:1 workload:1");
  EXPECT_EQ(Seen(world_.As("ada")), "orgs:1 teams:1 workload:1");
  EXPECT_EQ(Seen(world_.As("eve")), "orgs:1 workload:1");
  EXPECT_EQ(Seen(world_.Service(v1::ORG_ROLE_MEMBER)), "orgs:1 workload:1");
  EXPECT_EQ(Seen(world_.As("root"), kTeamServer), "teams:1");
  const std::string hidden = Told(NotFound("orgs/acme"));
  EXPECT_EQ(Seen(world_.Workload({kServer})), hidden);
  EXPECT_EQ(Seen(world_.As("mallory")), hidden);
  EXPECT_EQ(Seen(world_.As("eve"), kTeamServer), Told(NotFound(kTeamServer)));
  EXPECT_EQ(Seen(world_.As("eve"), "orgs/acme/teams/none/mcpServers/m"),
            Told(NotFound("orgs/acme/teams/none/mcpServers/m")));
  EXPECT_EQ(Seen(world_.As("eve"), "orgs/acme/mcpServers/none"), Told(NotFound("orgs/acme/mcpServers/none")));
  EXPECT_EQ(DetailOf(List(world_.As("root"), "orgs/other/mcpServers/m").status()).field(), "mcp_server");
}

TEST_F(ProcessRulesTest, OthersPersonalCredentialsAndNamesStayHidden) {
  world_.Create(world_.As("bob"), "orgs/acme/users/bob", "TOKEN", "own");
  Launch(world_.As("bob"), kServer, "p");
  EXPECT_EQ(Seen(world_.As("bob")), "p:1");
  for (const Caller& other : {world_.As("root"), world_.As("zoe"), world_.As("ada")}) {
    EXPECT_EQ(Seen(other), "p:-") << other.id;
    EXPECT_EQ(RolloutText(other, kOwnToken), Told(NotFound(kOwnToken))) << other.id;
  }
  EXPECT_EQ(List(world_.As("zoe"))->processes(0).principal(), "");
  EXPECT_EQ(List(world_.As("zoe"))->processes(0).user(), "");
  EXPECT_EQ(List(world_.As("root"))->processes(0).principal(), "orgs/acme/users/bob");
  EXPECT_EQ(List(world_.As("bob"))->processes(0).user(), "orgs/acme/users/bob");
  Launch(world_.Workload({kServer}), kServer, "w");
  EXPECT_EQ(List(world_.As("zoe"))->processes(1).principal(), "");
  EXPECT_EQ(List(world_.As("root"))->processes(1).principal(), "orgs/acme/workloads/injector");
  Launch(world_.As("bob"), kTeamServer, "t");
  EXPECT_EQ(List(world_.As("ada"), kTeamServer)->processes(0).principal(), "orgs/acme/users/bob");
}

TEST_F(ProcessRulesTest, PagesInOrderOfName) {
  for (const char* id : {"c", "a", "b"}) Launch(world_.As("root"), kServer, id);
  const auto first = List(world_.As("root"), "", 2);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_EQ(first->processes_size(), 2);
  EXPECT_EQ(first->processes(1).info().process_id(), "b");
  const auto second = List(world_.As("root"), "", 2, first->next_page_token());
  ASSERT_TRUE(second.ok()) << second.status();
  ASSERT_EQ(second->processes_size(), 1);
  EXPECT_EQ(second->next_page_token(), "");
  EXPECT_EQ(DetailOf(List(world_.As("root"), kServer, 2, first->next_page_token()).status()).field(), "page_token");
}

TEST_F(ProcessRulesTest, ARolloutShowsWhoIsStillOnTheOldVersion) {
  Launch(world_.As("zoe"), kServer, "old");
  Launch(world_.As("bob"), kTeamServer, "teams-old");
  EXPECT_EQ(RolloutText(world_.As("root"), kToken), "old:CURRENT@1 teams-old:CURRENT@1 | 2 current, 0 outdated");
  Rotate(kToken);
  Launch(world_.As("root"), kServer, "new");
  EXPECT_EQ(RolloutText(world_.As("root"), kToken),
            "old:OUTDATED@1 teams-old:OUTDATED@1 new:CURRENT@2 | 1 current, 2 outdated");
  EXPECT_EQ(RolloutText(world_.As("eve"), kToken), "old:OUTDATED@1 new:CURRENT@2 | 1 current, 2 outdated");
  EXPECT_EQ(RolloutText(world_.As("mallory"), kToken), Told(NotFound(kToken)));
  EXPECT_EQ(RolloutText(world_.As("root"), "orgs/acme/credentials/NONE"), Told(NotFound("orgs/acme/credentials/NONE")));
  world_.now += absl::Hours(2);
  EXPECT_EQ(RolloutText(world_.As("root"), kToken), "| 0 current, 0 outdated");
}

TEST_F(ProcessRulesTest, AProcessIsEndedByItsPrincipalOrAnAdmin) {
  const auto end = [&](const Caller& caller, const std::string& name) {
    v1::DeleteProcessRequest request;
    request.set_name(name);
    return rules_.DeleteProcess(caller, request).status();
  };
  const std::string first = Launch(world_.As("bob"), kServer, "p1");
  const std::string second = Launch(world_.As("bob"), kServer, "p2");
  const std::string nobodys = "orgs/acme/processes/p3.0123456789abcdef";
  EXPECT_EQ(end(world_.As("eve"), first), NotFound(first));
  EXPECT_EQ(end(world_.As("eve"), nobodys), NotFound(nobodys)) << "in the same words";
  EXPECT_EQ(Seen(world_.As("root")), "p1:1 p2:1");
  EXPECT_TRUE(end(world_.As("bob"), first).ok());
  EXPECT_EQ(Seen(world_.As("root")), "p2:1");
  EXPECT_TRUE(end(world_.As("bob"), first).ok()) << "and again";
  EXPECT_TRUE(end(world_.As("root"), second).ok());
  EXPECT_TRUE(end(world_.As("root"), nobodys).ok());
  EXPECT_EQ(Seen(world_.As("root")), "");
  EXPECT_EQ(Rollout(world_.As("root"), kToken)->current_count(), 0);
  EXPECT_EQ(end(world_.As("root"), "orgs/acme/processes/P").code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ProcessRulesTest, AVersionOfADeletedCredentialIsNeverTheNewest) {
  Launch(world_.As("root"), kServer, "p");
  v1::DeleteCredentialRequest request;
  request.set_name(kToken);
  ASSERT_TRUE(world_.credentials->DeleteCredential(world_.As("root"), request).ok());
  world_.now += absl::Seconds(1);
  world_.Create(world_.As("root"), "orgs/acme", "TOKEN", "one");
  EXPECT_EQ(RolloutText(world_.As("root"), kToken), "p:OUTDATED@1 | 0 current, 1 outdated");
}

TEST_F(ProcessRulesTest, ConnectionsAreKeptApartFromCredentialsOfTheSameName) {
  constexpr char kConnection[] = "orgs/acme/connections/google";
  constexpr char kOwn[] = "orgs/acme/users/bob/connections/google";
  v1::ApplyMcpServerRequest request;
  request.mutable_mcp_server()->set_name(kServer);
  request.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
  request.mutable_mcp_server()->add_env()->set_variable("VARIABLE");
  request.mutable_mcp_server()->mutable_env(0)->set_oauth("google");
  ASSERT_TRUE(servers_.ApplyMcpServer(world_.As("root"), request).ok());
  world_.Create(world_.As("root"), "orgs/acme", "google", "v");
  PutConnection(world_.store.get(), {"", "token", 3});
  Launch(world_.As("zoe"), kServer, "p");
  EXPECT_EQ(Seen(world_.As("root")), "p:3");
  EXPECT_EQ(List(world_.As("root"))->processes(0).credentials(0).credential(), kConnection);
  EXPECT_EQ(RolloutText(world_.As("root"), kConnection), "p:CURRENT@3 | 1 current, 0 outdated");
  EXPECT_EQ(RolloutText(world_.As("root"), "orgs/acme/credentials/google"), "| 0 current, 0 outdated");
  EXPECT_EQ(absl::StrJoin(Rollout(world_.As("root"), kConnection)->mcp_servers(), " "), kServer);
  EXPECT_EQ(Rollout(world_.As("root"), "orgs/acme/credentials/google")->mcp_servers_size(), 0);
  PutConnection(world_.store.get(), {"", "token", 4});
  EXPECT_EQ(RolloutText(world_.As("root"), kConnection), "p:OUTDATED@3 | 0 current, 1 outdated");

  PutConnection(world_.store.get(), {"users/bob", "token", 9});
  Launch(world_.As("bob"), kServer, "p2");
  EXPECT_EQ(RolloutText(world_.As("bob"), kOwn), "p2:CURRENT@9 | 1 current, 0 outdated");
  EXPECT_EQ(Seen(world_.As("bob")), "p:3 p2:9");
  for (const char* other : {"root", "ada"}) {
    EXPECT_EQ(Seen(world_.As(other)), "p:3 p2:-") << other;
    EXPECT_EQ(RolloutText(world_.As(other), kOwn), Told(NotFound(kOwn))) << other;
  }
  EXPECT_EQ(RolloutText(world_.As("root"), "orgs/acme/connections/none"), Told(NotFound("orgs/acme/connections/none")));
  for (const char* bad :
       {"orgs/acme/services/s/connections/google", "orgs/acme/connections/Not!", "connections/google"}) {
    EXPECT_EQ(DetailOf(Rollout(world_.As("root"), bad).status()).field(), "name") << bad;
  }
}

TEST_F(ProcessRulesTest, NamesTheMcpServersThatItCanAnswer) {
  world_.Create(world_.As("ada"), "orgs/acme/teams/eng", "TOKEN", "team's");
  world_.Create(world_.As("bob"), "orgs/acme/users/bob", "TOKEN", "own");
  struct Case {
    std::string source;
    bool pinned;
    std::string by_org, by_team, by_user;
  };
  const std::string both = absl::StrCat(kServer, " ", kTeamServer);
  const std::vector<Case> cases = {{"org", false, both, both, both}, {"org", true, both, "", ""},
                                   {"team", false, "", both, both},  {"team", true, "", both, ""},
                                   {"user", false, "", "", both},    {"user", true, "", "", both}};
  for (const Case& c : cases) {
    for (const char* server : {kServer, kTeamServer}) Apply(server, c.source, c.pinned);
    const auto names = [&](const std::string& user, const std::string& name) {
      const auto rollout = Rollout(world_.As(user), name);
      return rollout.ok() ? absl::StrJoin(rollout->mcp_servers(), " ") : rollout.status().ToString();
    };
    EXPECT_EQ(names("root", kToken), c.by_org) << c.source << c.pinned;
    EXPECT_EQ(names("ada", kTeamToken), c.by_team) << c.source << c.pinned;
    EXPECT_EQ(names("bob", kOwnToken), c.by_user) << c.source << c.pinned;
  }
  Apply(kServer, "org", false);
  Apply(kTeamServer, "org", false);
  EXPECT_EQ(absl::StrJoin(Rollout(world_.As("eve"), kToken)->mcp_servers(), " "), kServer);
}

}  // namespace
}  // namespace keyferry::server
