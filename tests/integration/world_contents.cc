#include "tests/integration/world_contents.h"

#include "absl/strings/str_cat.h"
#include "tests/integration/world_connections.h"

namespace keyferry::testing {
namespace {

constexpr char kCreateUser[] = "DirectoryService.CreateUser";
constexpr char kCreateTeam[] = "DirectoryService.CreateTeam";
constexpr char kSetTeamMember[] = "DirectoryService.SetTeamMember";
constexpr char kCreateCredential[] = "CredentialService.CreateCredential";
constexpr char kCreateProvider[] = "OauthProviderService.CreateOauthProvider";
constexpr char kApply[] = "McpServerService.ApplyMcpServer";

std::string Credential(const std::string& parent, const std::string& id) {
  return absl::StrCat("parent: '", parent, "' credential_id: '", id, "' value: '", World::kMarker, "-", id, "'");
}

std::string User(const std::string& id) {
  return absl::StrCat("parent: 'orgs/acme' user_id: '", id, "' user { role: ORG_ROLE_MEMBER }");
}

std::string Member(const std::string& team, const std::string& user, const std::string& role) {
  return absl::StrCat("member { name: 'orgs/acme/teams/", team, "/members/", user, "' role: TEAM_ROLE_", role, " }");
}

std::string Server(const std::string& name, const std::string& env) {
  return absl::StrCat("mcp_server { name: '", name, "' transport: MCP_TRANSPORT_STDIO command: 'run' args: 'fast' ",
                      env, " }");
}

std::string Env(const std::string& variable, const std::string& source) {
  return absl::StrCat(" env { variable: '", variable, "' ", source, " }");
}

void AddReads(const std::string& org, Who admin, const std::vector<std::string>& teams,
              const std::vector<std::string>& principals, std::vector<SetUpCall>* reads) {
  const std::string name = absl::StrCat("name: '", org, "'");
  const std::string parent = absl::StrCat("parent: '", org, "' page_size: 1000");
  for (const char* method : {"DirectoryService.GetOrg", "DirectoryService.GetOrgEncryption"}) {
    reads->push_back({admin, method, name});
  }
  for (const char* method :
       {"DirectoryService.ListUsers", "DirectoryService.ListTeams", "DirectoryService.ListServices",
        "DirectoryService.ListWorkloads", "CredentialService.ListCredentials", "McpServerService.ListMcpServers",
        "SessionService.ListSessions", "OauthProviderService.ListOauthProviders"}) {
    reads->push_back({admin, method, parent});
  }
  reads->push_back({admin, "ConnectionService.ListConnections", absl::StrCat(parent, " all_scopes: true")});
  reads->push_back({admin, "SessionService.ListSessionKeys", absl::StrCat("parent: '", org, "'")});
  for (const std::string& team : teams) {
    for (const char* method :
         {"DirectoryService.ListTeamMembers", "CredentialService.ListCredentials", "McpServerService.ListMcpServers"}) {
      reads->push_back({admin, method, absl::StrCat("parent: '", org, "/teams/", team, "'")});
    }
  }
  for (const std::string& principal : principals) {
    reads->push_back({admin, "TokenService.ListTokens", absl::StrCat("parent: '", org, "/", principal, "'")});
  }
}

}  // namespace

std::vector<SetUpCall> SetUpCalls() {
  std::vector<SetUpCall> calls;
  for (const char* user : {"mia", "ola", "tim", "eli", "ben", "spare"}) {
    calls.push_back({Who::kAdmin, kCreateUser, User(user)});
  }
  for (const char* team : {"eng", "ops", "spare"}) {
    calls.push_back({Who::kAdmin, kCreateTeam, absl::StrCat("parent: 'orgs/acme' team_id: '", team, "'")});
  }
  calls.insert(calls.end(),
               {{Who::kAdmin, kSetTeamMember, Member("eng", "ola", "OWNER")},
                {Who::kAdmin, kSetTeamMember, Member("eng", "tim", "ADMIN")},
                {Who::kAdmin, kSetTeamMember, Member("eng", "eli", "MEMBER")},
                {Who::kAdmin, kSetTeamMember, Member("ops", "ben", "MEMBER")},
                {Who::kAdmin, kCreateCredential, Credential("orgs/acme", "GITHUB_TOKEN")},
                {Who::kAdmin, kCreateCredential, Credential("orgs/acme", "PROBE_KEY")},
                {Who::kAdmin, kCreateCredential, Credential("orgs/acme", "SPARE_KEY")},
                {Who::kAdmin, kCreateCredential, Credential("orgs/acme/users/root", "ROOT_KEY")},
                {Who::kAdmin, kApply,
                 Server("orgs/acme/mcpServers/github",
                        Env("GITHUB_TOKEN", "org_secret: 'GITHUB_TOKEN' template: 'Bearer {value}'") +
                            Env("LEVEL", absl::StrCat("static: '", World::kMarker, "-level'")))},
                {Who::kAdmin, kApply,
                 Server("orgs/acme/mcpServers/probe",
                        Env("A", "org_secret: 'PROBE_KEY'") + Env("B", "org_secret: 'SPARE_KEY'") +
                            Env("C", "user_secret: 'ROOT_KEY'") + Env("D", "org_secret: 'GITHUB_TOKEN'") +
                            Env("E", absl::StrCat("static: '", World::kMarker, "-static'")))},
                {Who::kAdmin, kApply,
                 Server("orgs/acme/mcpServers/incomplete",
                        Env("HAVE", "org_secret: 'GITHUB_TOKEN'") + Env("MISSING", "org_secret: 'NOWHERE'"))},
                {Who::kAdmin, kApply, Server("orgs/acme/mcpServers/spare", "")},
                {Who::kAdmin, "DirectoryService.CreateService",
                 "parent: 'orgs/acme' service_id: 'portal' "
                 "service { role: ORG_ROLE_MEMBER can_create_sessions: true }"},
                {Who::kAdmin, "DirectoryService.CreateService",
                 "parent: 'orgs/acme' service_id: 'spare' service { role: ORG_ROLE_ADMIN }"},
                {Who::kAdmin, "DirectoryService.CreateWorkload",
                 "parent: 'orgs/acme' workload_id: 'runner' "
                 "workload { mcp_servers: 'orgs/acme/mcpServers/github' can_use_sessions: true }"},
                {Who::kAdmin, "DirectoryService.CreateWorkload", "parent: 'orgs/acme' workload_id: 'spare'"},
                {Who::kAdmin, kCreateProvider, NewProvider("acme", "idp")},
                {Who::kAdmin, kCreateProvider, NewProvider("acme", "spare")},
                {Who::kRival, kCreateProvider, NewProvider("rival", "idp")},
                {Who::kRival, kCreateTeam, "parent: 'orgs/rival' team_id: 'red'"},
                {Who::kRival, kCreateUser, "parent: 'orgs/rival' user_id: 'rob' user { role: ORG_ROLE_MEMBER }"},
                {Who::kRival, kCreateCredential, Credential("orgs/rival", "RIVAL_KEY")},
                {Who::kRival, kApply, Server("orgs/rival/mcpServers/vault", Env("A", "org_secret: 'RIVAL_KEY'"))}});
  return calls;
}

std::vector<SetUpCall> SetUpCallsWithTokens() {
  const std::string rotate = absl::StrCat("value: '", World::kMarker, "-rotated'");
  return {
      {Who::kOwner, kCreateCredential, Credential("orgs/acme/teams/eng", "TEAM_KEY")},
      {Who::kMember, kCreateCredential, Credential("orgs/acme/users/mia", "MIA_KEY")},
      {Who::kAdmin, kSetTeamMember, Member("ops", "ben", "OWNER")},
      {Who::kOtherTeam, kCreateCredential, Credential("orgs/acme/teams/ops", "OPS_KEY")},
      {Who::kAdmin, kSetTeamMember, Member("ops", "ben", "MEMBER")},
      {Who::kAdmin, "CredentialService.RotateCredential",
       absl::StrCat("name: 'orgs/acme/credentials/SPARE_KEY' ", rotate)},
      {Who::kAdmin, kApply, Server("orgs/acme/teams/eng/mcpServers/builder", Env("A", "team_secret: 'TEAM_KEY'"))},
      {Who::kAdmin, kApply, Server("orgs/acme/teams/ops/mcpServers/deployer", Env("A", "team_secret: 'OPS_KEY'"))},
      {Who::kAdmin, kApply, Server("orgs/acme/mcpServers/own", Env("A", "user_secret: 'MIA_KEY'"))},
  };
}

std::vector<SetUpCall> DigestCalls() {
  std::vector<SetUpCall> reads;
  AddReads("orgs/acme", Who::kAdmin, {"eng", "ops", "spare"},
           {"users/root", "users/mia", "users/ola", "users/tim", "users/eli", "users/ben", "users/spare",
            "services/portal", "services/spare", "workloads/runner", "workloads/spare"},
           &reads);
  AddReads("orgs/rival", Who::kRival, {"red"}, {"users/eve", "users/rob"}, &reads);
  for (const auto& [who, user] :
       {std::pair(Who::kAdmin, "acme/users/root"), std::pair(Who::kMember, "acme/users/mia"),
        std::pair(Who::kOwner, "acme/users/ola"), std::pair(Who::kTeamAdmin, "acme/users/tim"),
        std::pair(Who::kTeamMember, "acme/users/eli"), std::pair(Who::kOtherTeam, "acme/users/ben"),
        std::pair(Who::kRival, "rival/users/eve")}) {
    reads.push_back({who, "CredentialService.ListCredentials", absl::StrCat("parent: 'orgs/", user, "'")});
    reads.push_back({who, "ConnectionService.ListConnections", absl::StrCat("parent: 'orgs/", user, "'")});
  }
  for (const auto& [who, server] :
       {std::pair(Who::kAdmin, "acme/mcpServers/probe"),
        std::pair(Who::kTeamMember, "acme/teams/eng/mcpServers/builder"),
        std::pair(Who::kOtherTeam, "acme/teams/ops/mcpServers/deployer"),
        std::pair(Who::kMember, "acme/mcpServers/own"), std::pair(Who::kRival, "rival/mcpServers/vault")}) {
    reads.push_back({who, "ResolutionService.Resolve", absl::StrCat("mcp_server: 'orgs/", server, "'")});
  }
  return reads;
}

}  // namespace keyferry::testing
