// What a caller may not see answers exactly as what does not exist.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "tests/integration/bad_requests.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

// Something of the kind that exists and something that does not, for a caller who may see neither.
struct Pair {
  std::string label;
  Who who;
  std::string hidden;
  std::string absent;
};

struct Probe {
  std::string method;
  // `@` stands for the name.
  std::string request;
};

// All that an error tells, with the name that was asked for taken out.
std::string Told(const grpc::Status& status, const std::string& name) {
  const v1::ErrorDetail detail = DetailOf(status);
  return absl::StrReplaceAll(absl::StrCat(static_cast<int>(status.error_code()), "\n", status.error_message(), "\n",
                                          detail.ShortDebugString()),
                             {{name, "NAME"}});
}

std::string With(const std::string& request, const std::string& name) {
  return absl::StrReplaceAll(request, {{"@", name}});
}

class HiddenTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { world_ = new World(); }
  static void TearDownTestSuite() {
    delete world_;
    world_ = nullptr;
  }

  void ExpectIndistinguishable(const std::vector<Probe>& probes, const std::vector<Pair>& pairs) {
    for (const Probe& probe : probes) {
      for (const Pair& pair : pairs) {
        SCOPED_TRACE(absl::StrCat(probe.method, ": ", pair.label, ", as ", NameOf(pair.who)));
        const grpc::Status hidden = world_->Call(pair.who, probe.method, With(probe.request, pair.hidden));
        const grpc::Status absent = world_->Call(pair.who, probe.method, With(probe.request, pair.absent));
        EXPECT_EQ(hidden.error_code(), grpc::NOT_FOUND) << hidden.error_message();
        EXPECT_EQ(Told(hidden, pair.hidden), Told(absent, pair.absent));
        EXPECT_EQ(world_->WhatIsWrong(hidden), "");
      }
    }
  }

  static World* world_;
};
World* HiddenTest::world_ = nullptr;

TEST_F(HiddenTest, AnotherOrganization) {
  int compared = 0;
  for (const MethodEntry& entry : AllEntries()) {
    if (entry.good.empty()) continue;
    SCOPED_TRACE(entry.method);
    const std::string request = world_->Fill(entry.good);
    const std::string absent = absl::StrReplaceAll(request, {{"orgs/acme", "orgs/void"}});
    ASSERT_NE(request, absent);
    const grpc::Status hidden = world_->Call(Who::kRival, entry.method, request);
    EXPECT_EQ(hidden.error_code(), grpc::NOT_FOUND) << hidden.error_message();
    EXPECT_EQ(Told(hidden, "orgs/acme"), Told(world_->Call(Who::kRival, entry.method, absent), "orgs/void"));
    ++compared;
  }
  EXPECT_GE(compared, 53);
}

TEST_F(HiddenTest, Credentials) {
  const std::vector<Pair> pairs = {
      {"a user's, as the org's ADMIN", Who::kAdmin, "orgs/acme/users/mia/credentials/MIA_KEY",
       "orgs/acme/users/mia/credentials/MIA_KEZ"},
      {"of an absent user", Who::kAdmin, "orgs/acme/users/mia/credentials/MIA_KEY",
       "orgs/acme/users/void/credentials/MIA_KEY"},
      {"a user's", Who::kOwner, "orgs/acme/users/mia/credentials/MIA_KEY", "orgs/acme/users/mia/credentials/MIA_KEZ"},
      {"another team's", Who::kOwner, "orgs/acme/teams/ops/credentials/OPS_KEY",
       "orgs/acme/teams/ops/credentials/OPS_KEZ"},
      {"of an absent team", Who::kMember, "orgs/acme/teams/ops/credentials/OPS_KEY",
       "orgs/acme/teams/void/credentials/OPS_KEY"},
      {"a team's, as a service", Who::kService, "orgs/acme/teams/ops/credentials/OPS_KEY",
       "orgs/acme/teams/ops/credentials/OPS_KEZ"},
      {"an org's, as a workload that resolves it", Who::kWorkload, "orgs/acme/credentials/GITHUB_TOKEN",
       "orgs/acme/credentials/GITHUB_TOKEM"},
      {"another org's", Who::kAdmin, "orgs/rival/credentials/RIVAL_KEY", "orgs/rival/credentials/RIVAL_KEZ"},
  };
  ExpectIndistinguishable(
      {{"CredentialService.GetCredential", "name: '@'"},
       {"CredentialService.UpdateCredential", "credential { name: '@' description: 'x' }"},
       {"CredentialService.UpdateCredential", "credential { name: '@' description: 'x' etag: 'x' }"},
       {"CredentialService.RotateCredential", "name: '@' value: 'x'"},
       {"CredentialService.RollbackCredential", "name: '@'"},
       {"ProcessService.GetCredentialRollout", "name: '@'"},
       {"CredentialService.DeleteCredential", "name: '@'"},
       {"CredentialService.DeleteCredential", "name: '@' etag: 'stale'"}},
      pairs);
  // Names of another organization than the parent are refused before anything is looked up.
  ExpectIndistinguishable(
      {{"CredentialService.BatchRotateCredentials", "parent: 'orgs/acme' requests { name: '@' value: 'x' }"},
       {"CredentialService.BatchRotateCredentials",
        "parent: 'orgs/acme' requests { name: '@' value: 'x' etag: 'stale' }"}},
      {pairs.begin(), pairs.end() - 1});
}

TEST_F(HiddenTest, Parents) {
  const std::vector<Pair> teams = {
      {"another team", Who::kOwner, "orgs/acme/teams/ops", "orgs/acme/teams/void"},
      {"a team", Who::kMember, "orgs/acme/teams/ops", "orgs/acme/teams/void"},
      {"a team, as a service", Who::kService, "orgs/acme/teams/ops", "orgs/acme/teams/void"},
      {"a team, as a workload", Who::kWorkload, "orgs/acme/teams/ops", "orgs/acme/teams/void"},
  };
  ExpectIndistinguishable(
      {{"CredentialService.ListCredentials", "parent: '@'"},
       {"CredentialService.CreateCredential", "parent: '@' credential_id: 'OPS_KEY' value: 'x'"},
       {"CredentialService.ImportCredentials", "parent: '@' entries { credential_id: 'OPS_KEY' value: 'x' }"},
       {"CredentialService.ImportCredentials",
        "parent: '@' entries { credential_id: 'OPS_KEY' value: 'x' } conflict: IMPORT_CONFLICT_SKIP validate_only: "
        "true"},
       {"McpServerService.ListMcpServers", "parent: '@'"},
       {"McpServerService.ApplyMcpServer", "mcp_server { name: '@/mcpServers/x' transport: MCP_TRANSPORT_HTTP }"},
       {"DirectoryService.GetTeam", "name: '@'"},
       {"DirectoryService.DeleteTeam", "name: '@'"},
       {"DirectoryService.ListTeamMembers", "parent: '@'"},
       {"DirectoryService.SetTeamMember", "member { name: '@/members/ben' role: TEAM_ROLE_OWNER }"},
       {"DirectoryService.RemoveTeamMember", "name: '@/members/ben'"}},
      teams);
  ExpectIndistinguishable(
      {{"ResolutionService.Resolve", "mcp_server: 'orgs/acme/mcpServers/github' team: '@'"},
       {"ResolutionService.Watch", "resolve { mcp_server: 'orgs/acme/mcpServers/github' team: '@' }"},
       {"ResolutionService.Explain", "mcp_server: 'orgs/acme/mcpServers/github' team: '@'"}},
      {teams[0], teams[1]});
}

TEST_F(HiddenTest, People) {
  const std::vector<Pair> users = {
      {"another user", Who::kMember, "orgs/acme/users/root", "orgs/acme/users/void"},
      {"another user, as a team's OWNER", Who::kOwner, "orgs/acme/users/eli", "orgs/acme/users/void"},
      {"a user, as a service", Who::kService, "orgs/acme/users/root", "orgs/acme/users/void"},
      {"a user, as a workload", Who::kWorkload, "orgs/acme/users/root", "orgs/acme/users/void"},
  };
  ExpectIndistinguishable({{"DirectoryService.GetUser", "name: '@'"},
                           {"DirectoryService.UpdateUser", "user { name: '@' role: ORG_ROLE_MEMBER }"},
                           {"DirectoryService.DeleteUser", "name: '@'"},
                           {"CredentialService.ListCredentials", "parent: '@'"},
                           {"CredentialService.ListMyCredentials", "parent: '@'"},
                           {"CredentialService.CreateCredential", "parent: '@' credential_id: 'A' value: 'x'"},
                           {"CredentialService.ImportCredentials",
                            "parent: '@' entries { credential_id: 'MIA_KEY' value: 'x' } validate_only: true"},
                           {"TokenService.CreateToken", "parent: '@'"},
                           {"TokenService.ListTokens", "parent: '@'"}},
                          users);
  ExpectIndistinguishable({{"ResolutionService.Explain", "mcp_server: 'orgs/acme/mcpServers/github' user: '@'"}},
                          users);
  // An ADMIN lists and reads nothing personal, whether or not there is such a user.
  ExpectIndistinguishable(
      {{"CredentialService.ListCredentials", "parent: '@'"}, {"CredentialService.ListMyCredentials", "parent: '@'"}},
      {{"another's", Who::kAdmin, "orgs/acme/users/mia", "orgs/acme/users/void"}});
}

TEST_F(HiddenTest, PrincipalsAndTokens) {
  for (const Who who : {Who::kMember, Who::kOwner, Who::kService, Who::kWorkload}) {
    ExpectIndistinguishable({{"DirectoryService.DeleteService", "name: '@'"},
                             {"DirectoryService.UpdateService", "service { name: '@' can_create_sessions: true }"},
                             {"TokenService.CreateToken", "parent: '@'"},
                             {"TokenService.ListTokens", "parent: '@'"}},
                            {{"a service", who, "orgs/acme/services/spare", "orgs/acme/services/void"}});
    ExpectIndistinguishable({{"DirectoryService.DeleteWorkload", "name: '@'"},
                             {"DirectoryService.UpdateWorkload", "workload { name: '@' display_name: 'x' }"},
                             {"TokenService.CreateToken", "parent: '@'"},
                             {"TokenService.ListTokens", "parent: '@'"}},
                            {{"a workload", who, "orgs/acme/workloads/spare", "orgs/acme/workloads/void"}});
    if (who == Who::kMember) continue;
    const std::string token = world_->Fill("$TOKEN");
    ExpectIndistinguishable({{"TokenService.RevokeToken", "name: '@'"}},
                            {{"a token", who, token, "orgs/acme/users/mia/tokens/0000000000000000"},
                             {"a token of nobody", who, token, "orgs/acme/users/void/tokens/0000000000000000"}});
  }
}

TEST_F(HiddenTest, Sessions) {
  const std::string session = world_->Fill("$SESSION");
  const std::string absent = "orgs/acme/sessions/00000000000000000000000000000000";
  for (const Who who : {Who::kOwner, Who::kOtherTeam, Who::kWorkload, Who::kRival}) {
    ExpectIndistinguishable({{"SessionService.GetSession", "name: '@'"}, {"SessionService.RevokeSession", "name: '@'"}},
                            {{"another user's session", who, session, absent}});
  }
  // Whether there is such a user is not told to those who may make no session for anybody else.
  for (const Who who : {Who::kMember, Who::kAdmin}) {
    const auto told = [&](const std::string& user) {
      return Told(world_->Call(who, "SessionService.CreateSession",
                               absl::StrCat("parent: 'orgs/acme' session { user: '", user,
                                            "' mcp_servers: 'orgs/acme/mcpServers/github' }")),
                  user);
    };
    EXPECT_EQ(told("orgs/acme/users/ola"), told("orgs/acme/users/void")) << NameOf(who);
  }
  // A session for what its user does not see.
  const std::string request = "parent: 'orgs/acme' session { user: 'orgs/acme/users/mia' mcp_servers: '@' }";
  ExpectIndistinguishable({{"SessionService.CreateSession", request}},
                          {{"another team's MCP server", Who::kMember, "orgs/acme/teams/ops/mcpServers/deployer",
                            "orgs/acme/teams/ops/mcpServers/void"},
                           {"the same, as a service", Who::kService, "orgs/acme/teams/ops/mcpServers/deployer",
                            "orgs/acme/teams/void/mcpServers/deployer"}});
  const std::string with_team =
      "parent: 'orgs/acme' session { user: 'orgs/acme/users/mia' team: '@' "
      "mcp_servers: 'orgs/acme/mcpServers/github' }";
  ExpectIndistinguishable({{"SessionService.CreateSession", with_team}},
                          {{"a team", Who::kMember, "orgs/acme/teams/ops", "orgs/acme/teams/void"},
                           {"a team, as a service", Who::kService, "orgs/acme/teams/ops", "orgs/acme/teams/void"}});
}

TEST_F(HiddenTest, ProvidersAndConnections) {
  ExpectIndistinguishable(
      {{"OauthProviderService.GetOauthProvider", "name: '@'"},
       {"OauthProviderService.UpdateOauthProvider",
        "oauth_provider { name: '@' etag: 'stale' } update_mask { paths: 'display_name' }"},
       {"OauthProviderService.CheckOauthProvider", "name: '@'"},
       {"OauthProviderService.DeleteOauthProvider", "name: '@'"},
       {"OauthProviderService.DeleteOauthProvider", "name: '@' etag: 'stale' validate_only: true"}},
      {{"as a workload", Who::kWorkload, "orgs/acme/oauthProviders/idp", "orgs/acme/oauthProviders/void"},
       {"another org's", Who::kAdmin, "orgs/rival/oauthProviders/idp", "orgs/rival/oauthProviders/void"}});
  ExpectIndistinguishable(
      {{"ConnectionService.GetConnection", "name: '@'"},
       {"ConnectionService.RefreshConnection", "name: '@'"},
       {"ConnectionService.DeleteConnection", "name: '@'"},
       {"ConnectionService.DeleteConnection", "name: '@' etag: 'stale'"}},
      {{"a user's, as the org's ADMIN", Who::kAdmin, "orgs/acme/users/mia/connections/idp",
        "orgs/acme/users/mia/connections/void"},
       {"of an absent user", Who::kAdmin, "orgs/acme/users/mia/connections/idp",
        "orgs/acme/users/void/connections/idp"},
       {"a user's", Who::kOwner, "orgs/acme/users/mia/connections/idp", "orgs/acme/users/mia/connections/void"},
       {"another team's", Who::kOwner, "orgs/acme/teams/ops/connections/idp", "orgs/acme/teams/ops/connections/void"},
       {"of an absent team", Who::kMember, "orgs/acme/teams/ops/connections/idp",
        "orgs/acme/teams/void/connections/idp"},
       {"an org's, as a workload", Who::kWorkload, "orgs/acme/connections/idp", "orgs/acme/connections/void"},
       {"another org's", Who::kAdmin, "orgs/rival/connections/idp", "orgs/rival/connections/void"}});
  const std::string attempt = world_->Fill("$ATTEMPT");
  const std::string absent = "orgs/acme/users/mia/connectionAttempts/00000000000000000000000000000000";
  for (const Who who : {Who::kAdmin, Who::kOwner, Who::kService, Who::kWorkload, Who::kRival}) {
    ExpectIndistinguishable({{"ConnectionService.GetConnectionAttempt", "name: '@'"}},
                            {{"another's attempt", who, attempt, absent}});
  }
}

TEST_F(HiddenTest, McpServers) {
  const std::vector<Pair> servers = {
      {"another team's", Who::kOwner, "orgs/acme/teams/ops/mcpServers/deployer", "orgs/acme/teams/ops/mcpServers/void"},
      {"a team's", Who::kMember, "orgs/acme/teams/ops/mcpServers/deployer", "orgs/acme/teams/void/mcpServers/deployer"},
      {"not granted", Who::kWorkload, "orgs/acme/mcpServers/probe", "orgs/acme/mcpServers/void"},
      {"a team's, not granted", Who::kWorkload, "orgs/acme/teams/ops/mcpServers/deployer",
       "orgs/acme/teams/ops/mcpServers/void"},
      {"another org's", Who::kAdmin, "orgs/rival/mcpServers/vault", "orgs/rival/mcpServers/void"},
  };
  ExpectIndistinguishable(
      {{"McpServerService.GetMcpServer", "name: '@'"},
       {"McpServerService.DeleteMcpServer", "name: '@'"},
       {"McpServerService.DeleteMcpServer", "name: '@' etag: 'stale'"},
       {"McpServerService.ApplyMcpServer", "mcp_server { name: '@' transport: MCP_TRANSPORT_HTTP etag: 'stale' }"},
       {"ResolutionService.Resolve", "mcp_server: '@'"},
       {"ResolutionService.Watch", "resolve { mcp_server: '@' }"},
       {"ResolutionService.Explain", "mcp_server: '@'"}},
      servers);
  ExpectIndistinguishable({{"ProcessService.ListProcesses", "parent: 'orgs/acme' mcp_server: '@'"}},
                          {servers[0], servers[1]});
}

TEST_F(HiddenTest, ListsLeaveOutWhatIsHidden) {
  const auto list = [&](Who who, const std::string& method) {
    std::string response;
    const grpc::Status status = world_->Call(who, method, "parent: 'orgs/acme'", &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return response;
  };
  EXPECT_TRUE(absl::StrContains(list(Who::kAdmin, "DirectoryService.ListUsers"), "users/root"));
  for (const Who who : {Who::kMember, Who::kService}) {
    EXPECT_FALSE(absl::StrContains(list(who, "DirectoryService.ListUsers"), "users/root")) << NameOf(who);
    EXPECT_FALSE(absl::StrContains(list(who, "DirectoryService.ListTeams"), "teams/ops")) << NameOf(who);
    EXPECT_FALSE(absl::StrContains(list(who, "DirectoryService.ListServices"), "services/")) << NameOf(who);
    EXPECT_FALSE(absl::StrContains(list(who, "DirectoryService.ListWorkloads"), "workloads/")) << NameOf(who);
    EXPECT_FALSE(absl::StrContains(list(who, "McpServerService.ListMcpServers"), "deployer")) << NameOf(who);
  }
  // A list over scopes shows of people and teams what their own lists would.
  const auto credentials = [&](Who who) {
    std::string response;
    const grpc::Status status =
        world_->Call(who, "CredentialService.ListCredentials",
                     "parent: 'orgs/acme' filter { scopes: CREDENTIAL_SCOPE_ORG scopes: CREDENTIAL_SCOPE_TEAM "
                     "scopes: CREDENTIAL_SCOPE_USER }",
                     &response);
    EXPECT_TRUE(status.ok()) << status.error_message();
    std::string shown;
    for (const char* name : {"GITHUB_TOKEN", "TEAM_KEY", "OPS_KEY", "MIA_KEY", "ROOT_KEY", "RIVAL_KEY"}) {
      if (absl::StrContains(response, name)) absl::StrAppend(&shown, name, " ");
    }
    return shown;
  };
  EXPECT_EQ(credentials(Who::kAdmin), "GITHUB_TOKEN TEAM_KEY OPS_KEY ROOT_KEY ");
  EXPECT_EQ(credentials(Who::kMember), "GITHUB_TOKEN MIA_KEY ");
  EXPECT_EQ(credentials(Who::kTeamMember), "GITHUB_TOKEN TEAM_KEY ");
  EXPECT_EQ(credentials(Who::kOtherTeam), "GITHUB_TOKEN OPS_KEY ");
  EXPECT_EQ(credentials(Who::kService), "GITHUB_TOKEN ");
  EXPECT_TRUE(absl::StrContains(list(Who::kTeamMember, "DirectoryService.ListTeams"), "teams/eng"));
  EXPECT_FALSE(absl::StrContains(list(Who::kTeamMember, "DirectoryService.ListTeams"), "teams/ops"));
}

}  // namespace
}  // namespace keyferry::testing
