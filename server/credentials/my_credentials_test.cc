#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "server/credentials/testing_world.h"
#include "server/mcpservers/mcp_server_rules.h"
#include "server/resolution/testing_connections.h"

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

TEST_F(MyCredentialsTest, TellsWhoseConnectionAnswers) {
  Apply("orgs/acme", "a");
  Apply("orgs/acme/teams/eng", "b");
  storage::Store* const store = world_.store.get();
  // "STATUS connection" of the organization's server and of the team's.
  const auto both = [&](const Caller& caller) {
    v1::ListMyCredentialsRequest request;
    request.set_parent(caller.Name());
    request.set_source(v1::CREDENTIAL_SOURCE_OAUTH);
    const auto listed = world_.credentials->ListMyCredentials(caller, request);
    if (!listed.ok()) return listed.status().ToString();
    std::string text;
    for (const auto& mine : listed->my_credentials()) {
      EXPECT_EQ(mine.source(), v1::CREDENTIAL_SOURCE_OAUTH);
      EXPECT_EQ(mine.oauth_provider(), "orgs/acme/oauthProviders/google");
      EXPECT_FALSE(mine.has_credential());
      text += v1::MyCredentialStatus_Name(mine.status()).substr(21) + " " + mine.connection() + "; ";
    }
    return text;
  };
  EXPECT_EQ(both(world_.As("ada")), "CONNECT_NEEDED ; CONNECT_NEEDED ; ");
  PutConnection(store, {""});
  EXPECT_EQ(both(world_.As("zoe")), "SET_BY_ORG orgs/acme/connections/google; ");
  PutConnection(store, {"teams/eng"});
  EXPECT_EQ(both(world_.As("ada")),
            "SET_BY_TEAM orgs/acme/teams/eng/connections/google; SET_BY_TEAM orgs/acme/teams/eng/connections/google; ");
  EXPECT_EQ(both(world_.As("zoe")), "SET_BY_ORG orgs/acme/connections/google; ");
  PutConnection(store, {"users/ada"});
  const std::string own = "SET_BY_ME orgs/acme/users/ada/connections/google; ";
  EXPECT_EQ(both(world_.As("ada")), own + own);
  PutConnection(store, {"users/ada", "t", 1, world_.now});
  EXPECT_EQ(both(world_.As("ada")), own + own) << "a fresh token can be had";
  DeleteConnection(store, "");
  DeleteConnection(store, "teams/eng");
  PutConnection(store, {"users/ada", "t", 1, world_.now, /*refreshable=*/false});
  const std::string again = "CONNECT_NEEDED orgs/acme/users/ada/connections/google; ";
  EXPECT_EQ(both(world_.As("ada")), again + again);
  // Made before this user was.
  Caller later = world_.As("ada");
  later.user_create_time = absl::ToUnixNanos(world_.now);
  EXPECT_EQ(both(later), "CONNECT_NEEDED ; CONNECT_NEEDED ; ");
}

TEST_F(MyCredentialsTest, ListsOneSourceIfAsked) {
  Apply("orgs/acme", "a");
  v1::ListMyCredentialsRequest request;
  request.set_parent("orgs/acme/users/bob");
  request.set_page_size(1);
  request.set_source(v1::CREDENTIAL_SOURCE_MANUAL);
  const auto manual = world_.credentials->ListMyCredentials(world_.As("bob"), request);
  ASSERT_TRUE(manual.ok()) << manual.status();
  EXPECT_EQ(manual->my_credentials(0).credential_id(), "ORG_TOKEN");
  EXPECT_EQ(manual->my_credentials(0).source(), v1::CREDENTIAL_SOURCE_MANUAL);
  request.set_page_token(manual->next_page_token());
  EXPECT_EQ(world_.credentials->ListMyCredentials(world_.As("bob"), request)->my_credentials(0).credential_id(),
            "UNSET_FOR_ALL");
  request.set_source(v1::CREDENTIAL_SOURCE_UNSPECIFIED);
  EXPECT_EQ(DetailOf(world_.credentials->ListMyCredentials(world_.As("bob"), request).status()).field(), "page_token");
  request.clear_page_token();
  request.set_source(static_cast<v1::CredentialSource>(9));
  EXPECT_EQ(DetailOf(world_.credentials->ListMyCredentials(world_.As("bob"), request).status()).field(), "source");
}

TEST_F(MyCredentialsTest, EveryConditionMustHoldAndPagesFollowTheOrder) {
  Apply("orgs/acme", "a");
  const Caller root = world_.As("root");
  const Caller bob = world_.As("bob");
  for (const char* id : {"B_TOKEN", "A_TOKEN", "KEY"}) {
    world_.Create(root, "orgs/acme", id, "v");
    world_.now += absl::Hours(1);
  }
  world_.Create(bob, "orgs/acme/users/bob", "KEY", "v");
  using Edit = std::function<void(v1::ListMyCredentialsRequest*)>;
  // All names, a page of two at a time.
  const auto names = [&](const Edit& edit) {
    v1::ListMyCredentialsRequest request;
    request.set_parent("orgs/acme/users/bob");
    request.set_page_size(2);
    edit(&request);
    std::string text;
    do {
      const auto page = world_.credentials->ListMyCredentials(bob, request);
      if (!page.ok()) return DetailOf(page.status()).field();
      EXPECT_LE(page->my_credentials_size(), 2);
      for (const auto& mine : page->my_credentials()) text += mine.credential_id() + " ";
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return text;
  };
  const auto order = [](const std::string& order_by) -> Edit {
    return [order_by](v1::ListMyCredentialsRequest* request) { request->set_order_by(order_by); };
  };
  EXPECT_EQ(names([](auto*) {}), "A_TOKEN B_TOKEN KEY ORG_TOKEN UNSET_FOR_ALL V3_OF_ORG ");
  EXPECT_EQ(names([](auto* r) { r->set_id_pattern("*_TOKEN"); }), "A_TOKEN B_TOKEN ORG_TOKEN ");
  EXPECT_EQ(names([](auto* r) { r->add_statuses(v1::MY_CREDENTIAL_STATUS_SET_BY_ME); }), "KEY ");
  EXPECT_EQ(names([](auto* r) {
              r->add_statuses(v1::MY_CREDENTIAL_STATUS_NOT_SET);
              r->add_statuses(v1::MY_CREDENTIAL_STATUS_CONNECT_NEEDED);
            }),
            "ORG_TOKEN UNSET_FOR_ALL V3_OF_ORG ");
  EXPECT_EQ(names([](auto* r) {
              r->set_id_pattern("*_TOKEN");
              r->add_statuses(v1::MY_CREDENTIAL_STATUS_NOT_SET);
              r->set_source(v1::CREDENTIAL_SOURCE_MANUAL);
            }),
            "ORG_TOKEN ");
  EXPECT_EQ(names(order("name desc")), "V3_OF_ORG UNSET_FOR_ALL ORG_TOKEN KEY B_TOKEN A_TOKEN ");
  // What no credential answers for has no time, and comes last in either direction.
  EXPECT_EQ(names(order("create_time")), "B_TOKEN A_TOKEN KEY ORG_TOKEN UNSET_FOR_ALL V3_OF_ORG ");
  EXPECT_EQ(names(order("update_time desc")), "KEY A_TOKEN B_TOKEN ORG_TOKEN UNSET_FOR_ALL V3_OF_ORG ");
  EXPECT_EQ(names(order("last_use_time, name")), "A_TOKEN B_TOKEN KEY ORG_TOKEN UNSET_FOR_ALL V3_OF_ORG ");

  const std::vector<std::pair<std::string, Edit>> bad = {
      {"order_by", order("version")},
      {"id_pattern", [](auto* r) { r->set_id_pattern("[A]"); }},
      {"statuses[1]",
       [](auto* r) {
         r->add_statuses(v1::MY_CREDENTIAL_STATUS_NOT_SET);
         r->add_statuses(v1::MY_CREDENTIAL_STATUS_UNSPECIFIED);
       }},
      {"statuses[0]", [](auto* r) { r->add_statuses(static_cast<v1::MyCredentialStatus>(9)); }},
  };
  for (const auto& [field, edit] : bad) EXPECT_EQ(names(edit), field);

  // A page token is of its conditions and order.
  const std::string token = List("bob", 2)->next_page_token();
  ASSERT_NE(token, "");
  const std::vector<Edit> others = {order("name desc"), [](auto* r) { r->set_id_pattern("*"); },
                                    [](auto* r) { r->add_statuses(v1::MY_CREDENTIAL_STATUS_SET_BY_ORG); }};
  for (const Edit& edit : others) {
    EXPECT_EQ(names([&](auto* r) {
                edit(r);
                r->set_page_token(token);
              }),
              "page_token");
  }
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
