#include "tests/integration/access_matrix.h"

namespace keyferry::testing {
namespace {

void Append(std::vector<MatrixRow> rows, std::vector<MatrixRow>* all) {
  all->insert(all->end(), rows.begin(), rows.end());
}

// Org credential: an ADMIN does everything, everybody of the org sees name and status. Team credential: an ADMIN sees
// and deletes, OWNER and ADMIN of the team do everything, its MEMBERs see. Personal: the user alone.
std::vector<MatrixRow> CredentialRows() {
  const std::string create = "parent: '@' credential_id: 'NEW_$N' value: 'marker-5e11ed'";
  const std::string update = "credential { name: '@' description: 'again' }";
  const std::string rotate = "name: '@' value: 'marker-5e11ed-again'";
  const std::string batch = "parent: '$ORG' requests { name: '@' value: 'marker-5e11ed-again' }";
  const std::string import = "parent: '@' entries { credential_id: 'IMPORTED_$N' value: 'marker-5e11ed' }";
  return {
      {"CredentialService.CreateCredential", Place::kOrg, "", create, "+D +D NN N"},
      {"CredentialService.GetCredential", Place::kOrg, "credentials/KEY", "name: '@'", "++ ++ NN N"},
      {"CredentialService.ListCredentials", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      {"CredentialService.UpdateCredential", Place::kOrg, "credentials/KEY", update, "+D +D NN N"},
      {"CredentialService.RotateCredential", Place::kOrg, "credentials/KEY", rotate, "+D +D NN N"},
      {"CredentialService.RollbackCredential", Place::kOrg, "credentials/KEY", "name: '@'", "+D +D NN N"},
      {"CredentialService.DeleteCredential", Place::kOrg, "credentials/DOOMED_$N", "name: '@'", "+D +D NN N"},
      {"CredentialService.BatchRotateCredentials", Place::kOrg, "credentials/KEY", batch, "+D +D NN N"},
      {"CredentialService.ImportCredentials", Place::kOrg, "", import, "+D +D NN N"},

      {"CredentialService.CreateCredential", Place::kTeam, "", create, "D++DN DN NN N", true},
      {"CredentialService.GetCredential", Place::kTeam, "credentials/KEY", "name: '@'", "++++N +N NN N"},
      {"CredentialService.ListCredentials", Place::kTeam, "", "parent: '@'", "++++N +N NN N"},
      {"CredentialService.UpdateCredential", Place::kTeam, "credentials/KEY", update, "D++DN DN NN N", true},
      {"CredentialService.RotateCredential", Place::kTeam, "credentials/KEY", rotate, "D++DN DN NN N", true},
      {"CredentialService.RollbackCredential", Place::kTeam, "credentials/KEY", "name: '@'", "D++DN DN NN N", true},
      {"CredentialService.DeleteCredential", Place::kTeam, "credentials/DOOMED_$N", "name: '@'", "+++DN +N NN N"},
      {"CredentialService.BatchRotateCredentials", Place::kTeam, "credentials/KEY", batch, "D++DN DN NN N", true},
      {"CredentialService.ImportCredentials", Place::kTeam, "", import, "D++DN DN NN N", true},

      {"CredentialService.CreateCredential", Place::kUser, "", create, "+DN DN NN N"},
      {"CredentialService.GetCredential", Place::kUser, "credentials/KEY", "name: '@'", "+NN NN NN N"},
      {"CredentialService.ListCredentials", Place::kUser, "", "parent: '@'", "+NN NN NN N"},
      {"CredentialService.ListMyCredentials", Place::kUser, "", "parent: '@'", "+NN NN NN N"},
      {"CredentialService.UpdateCredential", Place::kUser, "credentials/KEY", update, "+NN NN NN N"},
      {"CredentialService.RotateCredential", Place::kUser, "credentials/KEY", rotate, "+NN NN NN N"},
      {"CredentialService.RollbackCredential", Place::kUser, "credentials/KEY", "name: '@'", "+NN NN NN N"},
      {"CredentialService.DeleteCredential", Place::kUser, "credentials/DOOMED_$N", "name: '@'", "+NN NN NN N"},
      {"CredentialService.BatchRotateCredentials", Place::kUser, "credentials/KEY", batch, "+NN NN NN N"},
      {"CredentialService.ImportCredentials", Place::kUser, "", import, "+DN DN NN N"},
  };
}

// MCP servers: an ADMIN all; OWNER and ADMIN of a team all of their team's; members see their team's, everybody the
// org's. Values go to people who see the MCP server and to workloads that are granted it, not to services.
std::vector<MatrixRow> McpServerRows() {
  const std::string apply =
      "mcp_server { name: '@' transport: MCP_TRANSPORT_STDIO command: 'run' "
      "env { variable: 'KEY' org_secret: 'KEY' } }";
  const std::string apply_team =
      "mcp_server { name: '@' transport: MCP_TRANSPORT_STDIO command: 'run' "
      "env { variable: 'KEY' team_secret: 'KEY' } }";
  return {
      {"McpServerService.ApplyMcpServer", Place::kOrg, "mcpServers/tool", apply, "+D +D NN N", false, "", false,
       grpc::OK, true, /*makes_target=*/true},
      {"McpServerService.GetMcpServer", Place::kOrg, "mcpServers/tool", "name: '@'", "++ ++ NN N"},
      {"McpServerService.ListMcpServers", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      {"McpServerService.DeleteMcpServer", Place::kOrg, "mcpServers/doomed-$N", "name: '@'", "+D +D NN N"},
      {"ResolutionService.Resolve", Place::kOrg, "mcpServers/tool", "mcp_server: '@'", "++ DD +N N"},
      {"ResolutionService.Explain", Place::kOrg, "mcpServers/tool", "mcp_server: '@'", "++ II +N N"},
      {"ResolutionService.Watch", Place::kOrg, "mcpServers/tool", "resolve { mcp_server: '@' }", "++ DD +N N"},

      {"McpServerService.ApplyMcpServer", Place::kTeam, "mcpServers/tool", apply_team, "+++DN +N NN N", true, "", false,
       grpc::OK, true, /*makes_target=*/true},
      {"McpServerService.GetMcpServer", Place::kTeam, "mcpServers/tool", "name: '@'", "++++N +N NN N"},
      {"McpServerService.ListMcpServers", Place::kTeam, "", "parent: '@'", "++++N +N NN N"},
      {"McpServerService.DeleteMcpServer", Place::kTeam, "mcpServers/doomed-$N", "name: '@'", "+++DN +N NN N"},
      {"ResolutionService.Resolve", Place::kTeam, "mcpServers/tool", "mcp_server: '@'", "D+++N DN +N N", true},
      {"ResolutionService.Explain", Place::kTeam, "mcpServers/tool", "mcp_server: '@'", "D+++N IN +N N", true},

      // Where the tier does not include the team, the stream begins with the problem.
      {"ResolutionService.Watch", Place::kTeam, "mcpServers/tool", "resolve { mcp_server: '@' }", "D+++N DN +N N"},

      // The team whose credentials may answer, and the user to explain for.
      {"ResolutionService.Resolve", Place::kTeam, "", "mcp_server: '$ORG/mcpServers/tool' team: '@'", "D+++N DD DN N"},
      {"ResolutionService.Explain", Place::kUser, "", "mcp_server: '$ORG/mcpServers/tool' user: '@'", "++N +N NN N"},
  };
}

// Tier, users, teams, memberships, tokens: an ADMIN all, members their team, everybody themselves.
std::vector<MatrixRow> DirectoryRows() {
  const std::string etag = "name: '@' etag: 'stale'";
  return {
      {"DirectoryService.GetOrg", Place::kOrg, "", "name: '@'", "++ ++ NN N"},
      {"DirectoryService.UpdateOrg", Place::kOrg, "", "org { name: '@' display_name: 'same' }", "+D +D NN N"},
      {"DirectoryService.DeleteOrg", Place::kOrg, "", etag, "+D +D NN N", false, "", false, grpc::ABORTED},
      {"DirectoryService.GetOrgEncryption", Place::kOrg, "", "name: '@'", "+D +D NN N"},
      {"DirectoryService.RotateOrgDataKey", Place::kOrg, "", "name: '@'", "+D +D NN N"},

      {"DirectoryService.CreateUser", Place::kOrg, "", "parent: '@' user_id: 'new-$N' user { role: ORG_ROLE_MEMBER }",
       "+D +D NN N"},
      {"DirectoryService.ListUsers", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      {"DirectoryService.GetUser", Place::kUser, "", "name: '@'", "++N +N NN N"},
      {"DirectoryService.UpdateUser", Place::kUser, "", "user { name: '@' display_name: 'same' }", "D+N +N NN N"},
      {"DirectoryService.DeleteUser", Place::kOrg, "users/doomed-$N", "name: '@'", "+N +N NN N"},
      {"DirectoryService.DeleteUser", Place::kUser, "", "name: '@'", "D+N +N NN N", false, "", false, grpc::OK,
       /*send_allowed=*/false},

      {"DirectoryService.CreateTeam", Place::kOrg, "", "parent: '@' team_id: 'new-$N'", "+D +D NN N", true,
       /*tier_team=*/"new"},
      {"DirectoryService.ListTeams", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      {"DirectoryService.GetTeam", Place::kTeam, "", "name: '@'", "++++N +N NN N"},
      {"DirectoryService.DeleteTeam", Place::kOrg, "teams/doomed-$N", "name: '@'", "+N +N NN N"},
      {"DirectoryService.DeleteTeam", Place::kTeam, "", "name: '@'", "+DDDN +N NN N", false, "", false, grpc::OK,
       /*send_allowed=*/false},
      {"DirectoryService.SetTeamMember", Place::kTeam, "members/extra", "member { name: '@' role: TEAM_ROLE_MEMBER }",
       "+++DN +N NN N", true, "", false, grpc::OK, true,
       /*makes_target=*/true},
      {"DirectoryService.ListTeamMembers", Place::kTeam, "", "parent: '@'", "++++N +N NN N"},
      {"DirectoryService.RemoveTeamMember", Place::kTeam, "members/leaver-$N", "name: '@'", "+++DN +N NN N", false, "",
       /*stays_on_tier_team=*/true},

      {"DirectoryService.CreateService", Place::kOrg, "",
       "parent: '@' service_id: 'new-$N' service { role: ORG_ROLE_MEMBER }", "+D +D NN N"},
      {"DirectoryService.ListServices", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      {"DirectoryService.UpdateService", Place::kOrg, "services/portal", "service { name: '@' display_name: 'x' }",
       "+N +N NN N"},
      {"DirectoryService.DeleteService", Place::kOrg, "services/doomed-$N", "name: '@'", "+N +N NN N"},
      {"DirectoryService.CreateWorkload", Place::kOrg, "", "parent: '@' workload_id: 'new-$N'", "+D +D NN N"},
      {"DirectoryService.ListWorkloads", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      {"DirectoryService.UpdateWorkload", Place::kOrg, "workloads/holder", "workload { name: '@' display_name: 'x' }",
       "+N +N NN N"},
      {"DirectoryService.DeleteWorkload", Place::kOrg, "workloads/doomed-$N", "name: '@'", "+N +N NN N"},
  };
}

// Tokens of a user: the user and an ADMIN; of services and workloads: an ADMIN.
std::vector<MatrixRow> TokenRows() {
  return {
      {"TokenService.CreateToken", Place::kUser, "", "parent: '@'", "++N +N NN N"},
      {"TokenService.ListTokens", Place::kUser, "", "parent: '@'", "++N +N NN N"},
      {"TokenService.RevokeToken", Place::kUser, "tokens/$TOKEN", "name: '@'", "++N +N NN N"},
      {"TokenService.CreateToken", Place::kOrg, "services/portal", "parent: '@'", "+N +N NN N"},
      {"TokenService.ListTokens", Place::kOrg, "services/portal", "parent: '@'", "+N +N NN N"},
      {"TokenService.CreateToken", Place::kOrg, "workloads/holder", "parent: '@'", "+N +N NN N"},
      {"TokenService.ListTokens", Place::kOrg, "workloads/holder", "parent: '@'", "+N +N NN N"},
      {"TokenService.GetCaller", Place::kOrg, "", "", "++ ++ ++ +"},
  };
}

// Sessions: users for themselves, services that were given the right, as the one with role MEMBER here; ADMINs see and
// end all of them. Processes are seen by whoever sees their MCP server, a rollout by whoever sees the credential.
std::vector<MatrixRow> SessionAndProcessRows() {
  const std::string create = "parent: '$ORG' session { user: '@' mcp_servers: '$ORG/mcpServers/tool' }";
  return {
      {"SessionService.CreateSession", Place::kUser, "", create, "+DD D+ NN N"},
      {"SessionService.ListSessions", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      {"SessionService.ListSessionKeys", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      // Of the ADMIN's own.
      {"SessionService.GetSession", Place::kOrg, "sessions/$SESSION", "name: '@'", "+N +N NN N"},
      {"SessionService.RevokeSession", Place::kOrg, "sessions/$SESSION", "name: '@'", "+N +N NN N"},
      {"ProcessService.ListProcesses", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      // Of a watch of the granted workload's; an ADMIN may end its record.
      {"ProcessService.ConfirmEnvironment", Place::kOrg, "processes/$PROCESS", "name: '@' revision: $REVISION",
       "NN NN +N N"},
      {"ProcessService.DeleteProcess", Place::kOrg, "processes/$PROCESS", "name: '@'", "+N +N +N N"},
      {"ProcessService.GetCredentialRollout", Place::kOrg, "credentials/KEY", "name: '@'", "++ ++ NN N"},
      {"ProcessService.GetCredentialRollout", Place::kTeam, "credentials/KEY", "name: '@'", "++++N +N NN N"},
      {"ProcessService.GetCredentialRollout", Place::kUser, "credentials/KEY", "name: '@'", "+NN NN NN N"},
  };
}

// Everybody lists the audit log, each what concerns them; the chain as a whole is an ADMIN's.
std::vector<MatrixRow> AuditRows() {
  return {
      {"AuditService.ListAuditEntries", Place::kOrg, "", "parent: '@'", "++ ++ ++ N"},
      {"AuditService.GetAuditHead", Place::kOrg, "", "parent: '@'", "+D +D DD N"},
      {"AuditService.VerifyAuditLog", Place::kOrg, "", "parent: '@'", "+D +D DD N"},
  };
}

// Providers: an ADMIN manages and checks them, everybody of the org sees them, workloads do not.
std::vector<MatrixRow> ProviderRows() {
  const std::string create =
      "parent: '@' oauth_provider_id: 'new-$N' oauth_provider { endpoints { "
      "authorization_url: 'https://127.0.0.1:1/authorize' token_url: 'https://127.0.0.1:1/token' } "
      "client { client_id: 'keyferry' client_secret: 'marker-5e11ed' } }";
  const std::string update = "oauth_provider { name: '@' display_name: 'same' } update_mask { paths: 'display_name' }";
  return {
      {"OauthProviderService.CreateOauthProvider", Place::kOrg, "", create, "+D +D NN N"},
      {"OauthProviderService.GetOauthProvider", Place::kOrg, "oauthProviders/idp", "name: '@'", "++ ++ NN N"},
      {"OauthProviderService.ListOauthProviders", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      {"OauthProviderService.UpdateOauthProvider", Place::kOrg, "oauthProviders/idp", update, "+D +D NN N"},
      {"OauthProviderService.CheckOauthProvider", Place::kOrg, "oauthProviders/idp", "name: '@'", "+D +D NN N"},
      {"OauthProviderService.DeleteOauthProvider", Place::kOrg, "oauthProviders/doomed-$N", "name: '@'", "+D +D NN N"},
  };
}

// Connections: as credentials of the same scope. How far an attempt is, is for who started it.
std::vector<MatrixRow> ConnectionRows() {
  const std::string start = "parent: '@' oauth_provider_id: 'idp'";
  return {
      {"ConnectionService.StartConnection", Place::kOrg, "", start, "+D +D NN N"},
      {"ConnectionService.GetConnection", Place::kOrg, "connections/idp", "name: '@'", "++ ++ NN N"},
      {"ConnectionService.ListConnections", Place::kOrg, "", "parent: '@'", "++ ++ NN N"},
      {"ConnectionService.RefreshConnection", Place::kOrg, "connections/idp", "name: '@'", "+D +D NN N"},
      {"ConnectionService.DeleteConnection", Place::kOrg, "connections/ended-$N", "name: '@'", "+D +D NN N"},
      // Of the ADMIN's own.
      {"ConnectionService.GetConnectionAttempt", Place::kOrg, "connectionAttempts/$ATTEMPT", "name: '@'", "+N NN NN N"},

      {"ConnectionService.StartConnection", Place::kTeam, "", start, "D++DN DN NN N", true},
      {"ConnectionService.GetConnection", Place::kTeam, "connections/idp", "name: '@'", "++++N +N NN N"},
      {"ConnectionService.ListConnections", Place::kTeam, "", "parent: '@'", "++++N +N NN N"},
      {"ConnectionService.RefreshConnection", Place::kTeam, "connections/idp", "name: '@'", "D++DN DN NN N", true},
      {"ConnectionService.DeleteConnection", Place::kTeam, "connections/ended-$N", "name: '@'", "+++DN +N NN N"},

      {"ConnectionService.StartConnection", Place::kUser, "", start, "+DN DN NN N"},
      {"ConnectionService.GetConnection", Place::kUser, "connections/idp", "name: '@'", "+NN NN NN N"},
      {"ConnectionService.ListConnections", Place::kUser, "", "parent: '@'", "+NN NN NN N"},
      {"ConnectionService.RefreshConnection", Place::kUser, "connections/idp", "name: '@'", "+NN NN NN N"},
      {"ConnectionService.DeleteConnection", Place::kUser, "connections/ended-$N", "name: '@'", "+NN NN NN N"},
  };
}

}  // namespace

std::vector<MatrixRow> AccessMatrix() {
  std::vector<MatrixRow> rows;
  for (const auto& part : {CredentialRows(), McpServerRows(), DirectoryRows(), TokenRows(), SessionAndProcessRows(),
                           ProviderRows(), ConnectionRows(), AuditRows()})
    Append(part, &rows);
  return rows;
}

}  // namespace keyferry::testing
