// The methods about sessions.
#include "absl/strings/str_cat.h"
#include "tests/integration/bad_requests.h"

namespace keyferry::testing {
namespace {

constexpr char kMia[] = "orgs/acme/users/mia";
constexpr char kGithub[] = "orgs/acme/mcpServers/github";
constexpr char kSession[] = "orgs/acme/sessions/0123456789abcdef0123456789abcdef";

// An edit of the session that is asked for.
std::string Session(const std::string& edit) { return absl::StrCat("session { ", edit, " }"); }

BadRequests BadOrgs(Who who) {
  return Join({BadNames("parent", "orgs/acme", {kMia, "orgs/acme/teams/eng", kGithub}, who)});
}

BadRequests BadSessions() {
  const auto server = [](const std::string& label, const std::string& name) {
    return Invalid("MCP server: " + label, Set("session.mcp_servers", name), "session.mcp_servers[1]", Who::kService);
  };
  const auto team = [](const std::string& name) {
    return Invalid("team: " + name, Set("session.team", name), "session.team", Who::kService);
  };
  const auto workload = [](const std::string& name) {
    return Invalid("workload: " + name, Set("session.workload", name), "session.workload", Who::kService);
  };
  std::string many;
  for (int i = 0; i < 64; ++i) absl::StrAppend(&many, " mcp_servers: 'orgs/acme/mcpServers/m", i, "'");
  return {
      server("empty", ""),
      server("an org", "orgs/acme"),
      server("a credential", "orgs/acme/credentials/GITHUB_TOKEN"),
      server("a user's", "orgs/acme/users/mia/mcpServers/x"),
      server("wildcard", "orgs/acme/mcpServers/*"),
      server("dot dot", "orgs/acme/mcpServers/.."),
      server("of another org", "orgs/rival/mcpServers/vault"),
      server("NUL", std::string("orgs/acme/mcpServers/a\0b", 24)),
      server("513 bytes", "orgs/acme/mcpServers/" + std::string(492, 'a')),
      server("twice", kGithub),
      Invalid("MCP servers: 65", Session(many), "session.mcp_servers", Who::kService),
      team("orgs/acme"),
      team(kMia),
      team("orgs/rival/teams/red"),
      team("orgs/acme/teams/.."),
      team("orgs/acme/teams/" + std::string(497, 'a')),
      workload("orgs/acme"),
      workload("orgs/acme/services/portal"),
      workload("orgs/rival/workloads/runner"),
      workload("orgs/acme/workloads/*"),
      workload("orgs/acme/workloads/" + std::string(493, 'a')),
  };
}

BadRequests BadTtls() {
  BadRequests bad;
  for (const char* ttl : {"seconds: 0", "seconds: 59", "seconds: 59 nanos: 999999999", "seconds: -1", "seconds: 86401",
                          "seconds: 86400 nanos: 1", "nanos: -1", "seconds: 60 nanos: 1000000000",
                          "seconds: 9223372036854775807", "seconds: -9223372036854775808"}) {
    bad.push_back(Invalid(absl::StrCat("ttl { ", ttl, " }"), absl::StrCat("ttl { ", ttl, " }"), "ttl", Who::kService));
  }
  return bad;
}

BadRequests BadSessionNames() {
  return Join({BadNames("name", kSession,
                        {"orgs/acme", kMia, "orgs/acme/sessions", "orgs/acme/sessions/", "orgs/acme/sessions/X",
                         "orgs/acme/sessions/..", "orgs/acme/users/mia/sessions/x", "orgs/acme/credentials/x"}),
               Absent("name", {kSession, "orgs/acme/sessions/x", "orgs/void/sessions/x", "orgs/rival/sessions/x"}),
               Refused(".NNNN.NN")});
}

}  // namespace

std::vector<MethodEntry> SessionEntries() {
  const auto service = Who::kService;
  return {
      {"SessionService.CreateSession", service,
       "parent: 'orgs/acme' session { user: 'orgs/acme/users/mia' mcp_servers: 'orgs/acme/mcpServers/github' } "
       "ttl { seconds: 3600 }",
       Join({BadOrgs(service),
             BadNames("session.user", kMia,
                      {"orgs/acme", "orgs/acme/services/portal", "orgs/acme/workloads/runner", "orgs/rival/users/eve"},
                      service),
             BadSessions(),
             BadTtls(),
             Refused(".DDDD.NN"),
             {Fails("for another, as the org's ADMIN", "", grpc::PERMISSION_DENIED),
              Fails("for an absent user", Set("session.user", "orgs/acme/users/void"), grpc::NOT_FOUND, service),
              Fails("absent MCP server", Session("mcp_servers: 'orgs/acme/mcpServers/void'"), grpc::NOT_FOUND, service),
              Fails("an MCP server that the user does not see",
                    Session("mcp_servers: 'orgs/acme/teams/eng/mcpServers/builder'"), grpc::NOT_FOUND, service),
              Fails("a team that the user is not in", Session("team: 'orgs/acme/teams/eng'"), grpc::NOT_FOUND, service),
              Fails("of another org, as its ADMIN", "parent: 'orgs/acme'", grpc::NOT_FOUND, Who::kRival)}})},
      {"SessionService.GetSession", Who::kAdmin, "name: '$SESSION'", BadSessionNames()},
      {"SessionService.ListSessions", Who::kAdmin, "parent: 'orgs/acme'",
       Join({BadOrgs(Who::kAdmin),
             Absent("parent", {"orgs/void", "orgs/rival"}),
             BadPages(),
             Refused("......NN"),
             {Invalid("page token of another list", "page_token: '$PAGE_TOKEN'", "page_token"),
              Invalid("user: a team", "user: 'orgs/acme/teams/eng'", "user"),
              Invalid("user: of another org", "user: 'orgs/rival/users/rob'", "user"),
              Invalid("user: no name", "user: 'mia'", "user")}})},
      {"SessionService.RevokeSession", Who::kAdmin, "name: '$SESSION'", BadSessionNames()},
      {"SessionService.ListSessionKeys", Who::kAdmin, "parent: 'orgs/acme'",
       Join({BadOrgs(Who::kAdmin), Absent("parent", {"orgs/void", "orgs/rival"}), Refused("......NN")})},
  };
}

}  // namespace keyferry::testing
