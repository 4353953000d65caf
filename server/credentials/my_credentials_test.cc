#include <map>
#include <string>

#include "gtest/gtest.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "server/credentials/testing_world.h"
#include "server/mcpservers/mcp_server_rules.h"

namespace keyferry::server {
namespace {

class MyCredentialsTest : public testing::Test {
 protected:
  absl::StatusOr<v1::ListMyCredentialsResponse> List(const std::string& user, int page_size = 0,
                                                     const std::string& token = "") {
    v1::ListMyCredentialsRequest request;
    request.set_parent("orgs/acme/users/" + user);
    request.set_page_size(page_size);
    request.set_page_token(token);
    return world_.credentials->ListMyCredentials(world_.As(user), request);
  }
  std::map<std::string, std::string> Statuses(const std::string& user) {
    std::map<std::string, std::string> statuses;
    const auto listed = List(user);
    EXPECT_TRUE(listed.ok()) << listed.status();
    if (!listed.ok()) return statuses;
    for (const auto& mine : listed->my_credentials()) {
      // After "MY_CREDENTIAL_STATUS_".
      statuses[mine.credential_id()] =
          v1::MyCredentialStatus_Name(mine.status()).substr(21) + " " + mine.credential().name();
    }
    return statuses;
  }
  void Apply(const std::string& parent, const std::string& id) {
    v1::ApplyMcpServerRequest request;
    v1::McpServer* server = request.mutable_mcp_server();
    server->set_name(parent + "/mcpServers/" + id);
    server->set_transport(v1::MCP_TRANSPORT_HTTP);
    const auto add = [&](const std::string& variable) {
      server->add_env()->set_variable(variable + "_OF_" + (id == "a" ? "ORG" : "TEAM"));
      return server->mutable_env(server->env_size() - 1);
    };
    add("V1")->set_org_secret("ORG_TOKEN");
    add("V2")->set_user_secret("UNSET_FOR_" + std::string(id == "a" ? "ALL" : "TEAM"));
    add("V3")->set_oauth("google");
    add("V4")->set_static_("s");
    McpServerRules rules(world_.store.get(), world_.clock(), &world_.pages);
    const auto applied = rules.ApplyMcpServer(world_.As("root"), request);
    ASSERT_TRUE(applied.ok()) << applied.status();
  }

  World world_{storage::EngineKind::kMemory};
};

TEST_F(MyCredentialsTest, TellsForEveryVisibleNameWhoSetsIt) {
  const Caller root = world_.As("root");
  const Caller ada = world_.As("ada");
  for (const char* id : {"ORG_TOKEN", "TEAM_TOKEN", "MY_TOKEN"}) world_.Create(root, "orgs/acme", id, "v");
  for (const char* id : {"TEAM_TOKEN", "MY_TOKEN"}) world_.Create(ada, "orgs/acme/teams/eng", id, "v");
  world_.Create(ada, "orgs/acme/users/ada", "MY_TOKEN", "v");
  world_.Create(ada, "orgs/acme/users/ada", "MINE_ALONE", "v");
  Apply("orgs/acme", "a");
  Apply("orgs/acme/teams/eng", "b");

  using Expected = std::map<std::string, std::string>;
  EXPECT_EQ(Statuses("ada"), (Expected{{"MINE_ALONE", "SET_BY_ME orgs/acme/users/ada/credentials/MINE_ALONE"},
                                       {"MY_TOKEN", "SET_BY_ME orgs/acme/users/ada/credentials/MY_TOKEN"},
                                       {"ORG_TOKEN", "SET_BY_ORG orgs/acme/credentials/ORG_TOKEN"},
                                       {"TEAM_TOKEN", "SET_BY_TEAM orgs/acme/teams/eng/credentials/TEAM_TOKEN"},
                                       {"UNSET_FOR_ALL", "NOT_SET "},
                                       {"UNSET_FOR_TEAM", "NOT_SET "},
                                       {"V3_OF_ORG", "CONNECT_NEEDED "},
                                       {"V3_OF_TEAM", "CONNECT_NEEDED "}}));
  EXPECT_EQ(Statuses("zoe"), (Expected{{"MY_TOKEN", "SET_BY_ORG orgs/acme/credentials/MY_TOKEN"},
                                       {"ORG_TOKEN", "SET_BY_ORG orgs/acme/credentials/ORG_TOKEN"},
                                       {"TEAM_TOKEN", "SET_BY_ORG orgs/acme/credentials/TEAM_TOKEN"},
                                       {"UNSET_FOR_ALL", "NOT_SET "},
                                       {"V3_OF_ORG", "CONNECT_NEEDED "}}));
  world_.tier = v1::TIER_FREE;
  EXPECT_EQ(Statuses("ada").at("TEAM_TOKEN"), "SET_BY_ORG orgs/acme/credentials/TEAM_TOKEN");
}

TEST_F(MyCredentialsTest, AnOverrideCountsForItsUserAloneAndRemovingItReverts) {
  const Caller bob = world_.As("bob");
  Apply("orgs/acme", "a");
  EXPECT_EQ(Statuses("bob").at("ORG_TOKEN"), "NOT_SET ");
  world_.Create(world_.As("root"), "orgs/acme", "ORG_TOKEN", "v");
  EXPECT_EQ(Statuses("bob").at("ORG_TOKEN"), "SET_BY_ORG orgs/acme/credentials/ORG_TOKEN");
  world_.Create(world_.As("ada"), "orgs/acme/teams/eng", "ORG_TOKEN", "v");
  EXPECT_EQ(Statuses("bob").at("ORG_TOKEN"), "SET_BY_TEAM orgs/acme/teams/eng/credentials/ORG_TOKEN");
  world_.Create(bob, "orgs/acme/users/bob", "ORG_TOKEN", "v");
  EXPECT_EQ(Statuses("bob").at("ORG_TOKEN"), "SET_BY_ME orgs/acme/users/bob/credentials/ORG_TOKEN");
  EXPECT_EQ(Statuses("ada").at("ORG_TOKEN"), "SET_BY_TEAM orgs/acme/teams/eng/credentials/ORG_TOKEN");
  EXPECT_EQ(Statuses("zoe").at("ORG_TOKEN"), "SET_BY_ORG orgs/acme/credentials/ORG_TOKEN");
  const auto remove = [&](const Caller& caller, const std::string& name) {
    v1::DeleteCredentialRequest request;
    request.set_name(name);
    EXPECT_TRUE(world_.credentials->DeleteCredential(caller, request).ok());
  };
  remove(bob, "orgs/acme/users/bob/credentials/ORG_TOKEN");
  EXPECT_EQ(Statuses("bob").at("ORG_TOKEN"), "SET_BY_TEAM orgs/acme/teams/eng/credentials/ORG_TOKEN");
  remove(world_.As("ada"), "orgs/acme/teams/eng/credentials/ORG_TOKEN");
  remove(world_.As("root"), "orgs/acme/credentials/ORG_TOKEN");
  EXPECT_EQ(Statuses("bob").at("ORG_TOKEN"), "NOT_SET ");
}

TEST_F(MyCredentialsTest, PagesAndAnswersTheUserAlone) {
  for (const char* id : {"C", "A", "B"}) world_.Create(world_.As("root"), "orgs/acme", id, "v");
  const auto first = List("bob", 2);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(first->my_credentials_size(), 2);
  const auto second = List("bob", 2, first->next_page_token());
  ASSERT_EQ(second->my_credentials_size(), 1);
  EXPECT_EQ(second->my_credentials(0).credential_id(), "C");
  EXPECT_EQ(second->next_page_token(), "");
  v1::ListMyCredentialsRequest request;
  request.set_parent("orgs/acme/users/bob");
  for (const Caller& caller : {world_.As("root"), world_.As("mallory"), world_.Service(v1::ORG_ROLE_ADMIN)}) {
    EXPECT_TRUE(absl::IsNotFound(world_.credentials->ListMyCredentials(caller, request).status())) << caller.Name();
  }
}

}  // namespace
}  // namespace keyferry::server
