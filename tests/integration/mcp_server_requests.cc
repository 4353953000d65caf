#include "absl/strings/str_cat.h"
#include "tests/integration/bad_requests.h"

namespace keyferry::testing {
namespace {

constexpr char kGithub[] = "orgs/acme/mcpServers/github";
constexpr char kBuilder[] = "orgs/acme/teams/eng/mcpServers/builder";

const std::vector<std::string>& NotMcpServers() {
  static const auto* names = new std::vector<std::string>{
      "orgs/acme",
      "orgs/acme/mcpServers",
      "orgs/acme/mcpServers/",
      "orgs/acme/mcpServers/GitHub",
      "orgs/acme/mcpServers/..",
      "orgs/acme/mcpservers/github",
      "orgs/acme/users/mia/mcpServers/github",
      "orgs/acme/services/portal/mcpServers/github",
      "orgs/acme/credentials/GITHUB_TOKEN",
      "orgs/acme/mcpServers/github/mcpServers/github",
  };
  return *names;
}

std::vector<std::string> AbsentMcpServers() {
  return {"orgs/acme/mcpServers/absent",
          "orgs/acme/mcpServers/builder",
          "orgs/acme/teams/void/mcpServers/builder",
          "orgs/acme/teams/eng/mcpServers/github",
          "orgs/void/mcpServers/github",
          "orgs/rival/mcpServers/vault"};
}

// An edit that adds a binding, which is then the only one.
std::string Env(const std::string& binding) { return absl::StrCat("mcp_server { env { ", binding, " } }"); }

BadRequests BadBindings() {
  const std::string field = "mcp_server.env[0]";
  std::string many;
  for (int i = 0; i < 257; ++i) absl::StrAppend(&many, " env { variable: 'V", i, "' static: 'x' }");
  BadRequests bad = {
      Invalid("no source", Env("variable: 'A'"), field),
      Invalid("no variable", Env("static: 'x'"), field + ".variable"),
      Invalid("variables: duplicate", Env("variable: 'A' static: 'x'") + Env("variable: 'A' org_secret: 'B'"),
              "mcp_server.env[1].variable"),
      Invalid("bindings: 257", absl::StrCat("mcp_server { ", many, " }"), "mcp_server.env"),
      Invalid("static: empty and none stored", Env("variable: 'A' static: ''"), field + ".static"),
      Invalid("oauth: no id", Env("variable: 'A' oauth: '../x'"), field + ".oauth"),
      Invalid("template: no {value}", Env("variable: 'A' static: 'x' template: 'Bearer'"), field + ".template"),
      Invalid("template: {VALUE}", Env("variable: 'A' static: 'x' template: '{VALUE}'"), field + ".template"),
      Invalid("template: {value} 5 times",
              Env("variable: 'A' static: 'x' template: '{value}{value}{value}{value}{value}'"), field + ".template"),
      Invalid("template: control character", Env("variable: 'A' static: 'x' template: '{value}\\001'"),
              field + ".template"),
      Invalid("template: longer than 4 KiB",
              Env(absl::StrCat("variable: 'A' static: 'x' template: '{value}", std::string(4096, 'x'), "'")),
              field + ".template"),
  };
  for (const char* source : {"org_secret", "team_secret", "user_secret"}) {
    for (BadRequest one : BadVariables(source, absl::StrCat(field, ".", source))) {
      one.edit = Env(absl::StrCat("variable: 'A' ", one.edit));
      bad.push_back(one);
    }
  }
  for (BadRequest one : BadVariables("variable", field + ".variable")) {
    one.edit = Env(absl::StrCat("static: 'x' ", one.edit));
    bad.push_back(one);
  }
  for (BadRequest one : BadValues("static", field + ".static")) {
    one.edit = Env(absl::StrCat("variable: 'A' ", one.edit));
    bad.push_back(one);
  }
  return bad;
}

BadRequests BadLaunches() {
  std::string args;
  for (int i = 0; i < 257; ++i) absl::StrAppend(&args, " args: 'x'");
  BadRequests bad = {
      Invalid("transport: none", "mcp_server { transport: MCP_TRANSPORT_UNSPECIFIED }", "mcp_server.transport"),
      Invalid("transport: unknown", "mcp_server { transport: 99 }", "mcp_server.transport"),
      Invalid("transport: negative", "mcp_server { transport: -1 }", "mcp_server.transport"),
      Invalid("command: none for STDIO", "mcp_server { command: '' }", "mcp_server.command"),
      Invalid("args: 257", absl::StrCat("mcp_server { ", args, " }"), "mcp_server.args"),
      Invalid("args: longer than 32 KiB", Set("mcp_server.args", std::string((32 << 10) + 1, 'x')), "mcp_server.args"),
      Invalid("args: NUL", Set("mcp_server.args", std::string("a\0b", 3)), "mcp_server.args[0]"),
      Invalid("args: escape sequence", Set("mcp_server.args", "\x1b[2J"), "mcp_server.args[0]"),
  };
  return Join({bad, BadTexts("mcp_server.command", 4096)});
}

BadRequests StaleEtags(const std::string& path, const std::string& other) {
  return {Fails("stale etag", Set(path, "stale"), grpc::ABORTED),
          Fails("another's etag", Set(path, other), grpc::ABORTED),
          Fails("etag of 100,000 bytes", Set(path, std::string(100000, 'A')), grpc::ABORTED)};
}

BadRequests RefusedChanges(const std::string& path) {
  return Join({Refused("DDDDDDNN"), Refused("N..DNNNN", Set(path, kBuilder))});
}

}  // namespace

std::vector<MethodEntry> McpServerEntries() {
  return {
      {"McpServerService.ApplyMcpServer", Who::kAdmin,
       "mcp_server { name: 'orgs/acme/mcpServers/new' transport: MCP_TRANSPORT_STDIO command: 'run' }",
       Join({BadNames("mcp_server.name", kGithub, NotMcpServers()),
             BadLaunches(),
             BadBindings(),
             Absent("mcp_server.name", {"orgs/acme/teams/void/mcpServers/x", "orgs/void/mcpServers/x",
                                        "orgs/rival/mcpServers/vault", "orgs/rival/teams/red/mcpServers/x"}),
             RefusedChanges("mcp_server.name"),
             StaleEtags("mcp_server.etag", "$ORG_ETAG"),
             {Fails("etag of one that does not exist", "mcp_server { etag: '$GITHUB_ETAG' }", grpc::ABORTED),
              Invalid("validate only, no command", "validate_only: true mcp_server { command: '' }",
                      "mcp_server.command"),
              Fails("validate only, not permitted", "validate_only: true", grpc::PERMISSION_DENIED, Who::kMember),
              Fails("validate only, stale", "validate_only: true mcp_server { etag: 'stale' }", grpc::ABORTED)}})},
      {"McpServerService.GetMcpServer", Who::kAdmin, absl::StrCat("name: '", kGithub, "'"),
       Join({BadNames("name", kGithub, NotMcpServers()), Absent("name", AbsentMcpServers()), Refused("......NN"),
             Refused("N...NNNN", Set("name", kBuilder))})},
      {"McpServerService.ListMcpServers", Who::kAdmin, "parent: 'orgs/acme'",
       Join({BadNames("parent", "orgs/acme", {"orgs/acme/users/mia", "orgs/acme/services/portal", kGithub}),
             BadPages(),
             Absent("parent", {"orgs/void", "orgs/rival", "orgs/rival/teams/red", "orgs/acme/teams/void"}),
             Refused("......NN"),
             Refused("N...NNNN", "parent: 'orgs/acme/teams/eng'"),
             {Invalid("page token of another list", "page_token: '$PAGE_TOKEN'", "page_token")}})},
      {"McpServerService.DeleteMcpServer", Who::kAdmin, "name: 'orgs/acme/mcpServers/spare'",
       Join({BadNames("name", kGithub, NotMcpServers()), Absent("name", AbsentMcpServers()), RefusedChanges("name"),
             StaleEtags("etag", "$GITHUB_ETAG")})},
  };
}

std::vector<MethodEntry> ResolutionEntries() {
  const std::string github = absl::StrCat("mcp_server: '", kGithub, "'");
  const BadRequests bad_names =
      Join({BadNames("mcp_server", kGithub, NotMcpServers()),
            Absent("mcp_server",
                   {"orgs/acme/mcpServers/absent", "orgs/void/mcpServers/github", "orgs/rival/mcpServers/vault"})});
  // The empty name of a team means none.
  const BadRequests bad_teams = Join(
      {BadRequests{},
       {Invalid("team: an org", "team: 'orgs/acme'", "team"),
        Invalid("team: a user", "team: 'orgs/acme/users/mia'", "team"),
        Invalid("team: dot dot", "team: 'orgs/acme/teams/..'", "team"),
        Invalid("team: upper case", "team: 'orgs/acme/teams/Eng'", "team"),
        Invalid("team: 513 bytes", absl::StrCat("team: 'orgs/acme/teams/", std::string(497, 'a'), "'"), "team"),
        Invalid("team: NUL", "team: 'orgs/acme/teams/e\\000g'", "team"),
        Invalid("team: of another org", "team: 'orgs/rival/teams/red'", "team"),
        Invalid("team: not the MCP server's", absl::StrCat("mcp_server: '", kBuilder, "' team: 'orgs/acme/teams/ops'"),
                "team", Who::kTeamMember),
        Fails("team: absent, as a MEMBER", "team: 'orgs/acme/teams/void'", grpc::NOT_FOUND, Who::kMember),
        Fails("team: absent, as the org's ADMIN", "team: 'orgs/acme/teams/void'", grpc::NOT_FOUND),
        Fails("team: hidden, as a MEMBER", "team: 'orgs/acme/teams/eng'", grpc::NOT_FOUND, Who::kMember),
        Fails("team: not a member, as the org's ADMIN", "team: 'orgs/acme/teams/eng'", grpc::PERMISSION_DENIED),
        Fails("team: as a workload", "team: 'orgs/acme/teams/eng'", grpc::PERMISSION_DENIED, Who::kWorkload)}});
  const BadRequests refused = Join(
      {Refused("N...NNNN", Set("mcp_server", kBuilder)),
       {Fails("a team's, as the org's ADMIN who is no member", Set("mcp_server", kBuilder), grpc::PERMISSION_DENIED),
        Fails("not granted, as a workload", "mcp_server: 'orgs/acme/mcpServers/probe'", grpc::NOT_FOUND,
              Who::kWorkload)}});
  const BadRequests of_resolve =
      Join({bad_names,
            bad_teams,
            refused,
            Refused(".....D.N"),
            {Invalid("process: no id", "process { host: 'a' }", "process.process_id"),
             Fails("a required variable is missing", "mcp_server: 'orgs/acme/mcpServers/incomplete'",
                   grpc::FAILED_PRECONDITION)}});
  return {
      {"ResolutionService.Resolve", Who::kAdmin, github, of_resolve},
      WatchEntry(of_resolve),
      {"ResolutionService.Explain", Who::kAdmin, github,
       Join({bad_names,
             bad_teams,
             refused,
             Refused(".......N"),
             {Invalid("user: none, as a service", "", "user", Who::kService),
              Invalid("user: a team", "user: 'orgs/acme/teams/eng'", "user"),
              Invalid("user: an org", "user: 'orgs/acme'", "user"), Invalid("user: malformed", "user: 'mia'", "user"),
              Invalid("user: NUL", "user: 'orgs/acme/users/m\\000a'", "user"),
              Invalid("user: 513 bytes", absl::StrCat("user: 'orgs/acme/users/", std::string(497, 'a'), "'"), "user"),
              Invalid("user: of another org", "user: 'orgs/rival/users/rob'", "user"),
              Fails("user: absent", "user: 'orgs/acme/users/void'", grpc::NOT_FOUND),
              Fails("user: hidden", "user: 'orgs/acme/users/root'", grpc::NOT_FOUND, Who::kMember),
              Fails("user: hidden from a workload", "user: 'orgs/acme/users/root'", grpc::NOT_FOUND, Who::kWorkload),
              Fails("user: team absent", "user: 'orgs/acme/users/mia' team: 'orgs/acme/teams/void'", grpc::NOT_FOUND),
              Fails("user: not in the team", "user: 'orgs/acme/users/mia' team: 'orgs/acme/teams/eng'",
                    grpc::PERMISSION_DENIED)}})},
  };
}

}  // namespace keyferry::testing
