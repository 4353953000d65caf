#include "server/mcpservers/mcp_server_rules.h"

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"
#include "server/records.h"
#include "server/resolution/testing_connections.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;
using storage::Table;

constexpr char kName[] = "orgs/acme/mcpServers/github";

// A definition with one binding of each kind.
v1::McpServer Sample(const std::string& name = kName) {
  v1::McpServer server;
  server.set_name(name);
  server.set_transport(v1::MCP_TRANSPORT_STDIO);
  server.set_command("npx");
  server.add_args("-y");
  v1::EnvBinding* binding = server.add_env();
  binding->set_variable("LEVEL");
  binding->set_static_("static-secret");
  binding = server.add_env();
  binding->set_variable("TOKEN");
  binding->set_org_secret("TOKEN");
  binding->set_template_("Bearer {value}");
  binding = server.add_env();
  binding->set_variable("MINE");
  binding->set_user_secret("MINE");
  binding->set_optional(true);
  binding = server.add_env();
  binding->set_variable("TEAMS");
  binding->set_team_secret("TEAMS");
  binding->set_not_overridable(true);
  binding = server.add_env();
  binding->set_variable("GOOGLE");
  binding->set_oauth("google");
  return server;
}

class McpServerRulesTest : public testing::TestWithParam<EngineKind> {
 protected:
  McpServerRulesTest() : rules_(world_.store.get(), world_.clock(), &world_.pages) {}

  absl::StatusOr<v1::ApplyMcpServerResponse> Apply(const Caller& caller, const v1::McpServer& server,
                                                   bool validate_only = false) {
    v1::ApplyMcpServerRequest request;
    *request.mutable_mcp_server() = server;
    request.set_validate_only(validate_only);
    return rules_.ApplyMcpServer(caller, request);
  }
  absl::StatusOr<v1::McpServer> Get(const Caller& caller, const std::string& name) {
    v1::GetMcpServerRequest request;
    request.set_name(name);
    return rules_.GetMcpServer(caller, request);
  }
  absl::Status Delete(const Caller& caller, const std::string& name, const std::string& etag = "") {
    v1::DeleteMcpServerRequest request;
    request.set_name(name);
    request.set_etag(etag);
    return rules_.DeleteMcpServer(caller, request).status();
  }
  absl::StatusOr<v1::ListMcpServersResponse> List(const Caller& caller, const std::string& parent, int page_size = 0,
                                                  const std::string& token = "") {
    v1::ListMcpServersRequest request;
    request.set_parent(parent);
    request.set_page_size(page_size);
    request.set_page_token(token);
    return rules_.ListMcpServers(caller, request);
  }
  // The static value that is stored for a variable.
  std::string Static(const std::string& variable) {
    const auto record =
        ReadRecord<storage::records::McpServerRecord>(*world_.store->View(), {Table::kMcpServer, "acme", "", "github"});
    v1::McpServer server;
    EXPECT_TRUE(server.ParseFromString((*record)->record.definition()));
    for (const auto& binding : server.env()) {
      if (binding.variable() == variable) return binding.static_();
    }
    return "(absent)";
  }

  World world_{GetParam()};
  McpServerRules rules_;
};

INSTANTIATE_TEST_SUITE_P(Engines, McpServerRulesTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(McpServerRulesTest, ShowsEverythingButStaticValues) {
  const auto applied = Apply(world_.As("root"), Sample());
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_TRUE(applied->created());
  ASSERT_EQ(applied->missing_credentials_size(), 2);
  EXPECT_EQ(applied->missing_credentials(0), "TOKEN");
  EXPECT_EQ(applied->missing_credentials(1), "oauthProviders/google") << "there is no such provider";
  const auto got = Get(world_.As("bob"), kName);
  EXPECT_EQ(got->SerializeAsString(), applied->mcp_server().SerializeAsString());
  EXPECT_EQ(got->SerializeAsString().find("static-secret"), std::string::npos);
  EXPECT_EQ(got->env(0).source_case(), v1::EnvBinding::kStatic);
  EXPECT_EQ(got->creator(), "orgs/acme/users/root");
  v1::McpServer expected = Sample();
  expected.mutable_env(0)->set_static_("");
  for (int i = 0; i < expected.env_size(); ++i) {
    EXPECT_EQ(got->env(i).SerializeAsString(), expected.env(i).SerializeAsString());
  }
  const auto listed = List(world_.As("bob"), "orgs/acme");
  ASSERT_EQ(listed->mcp_servers_size(), 1);
  EXPECT_EQ(listed->mcp_servers(0).SerializeAsString(), got->SerializeAsString());
}

TEST_P(McpServerRulesTest, WhatGetReturnsCanBeAppliedAgainAndKeepsStaticValues) {
  const Caller root = world_.As("root");
  ASSERT_TRUE(Apply(root, Sample()).ok());
  v1::McpServer again = *Get(root, kName);
  const auto applied = Apply(root, again);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_FALSE(applied->created());
  EXPECT_NE(applied->mcp_server().etag(), again.etag());
  EXPECT_EQ(Static("LEVEL"), "static-secret");
  EXPECT_EQ(DetailOf(Apply(root, again).status()).reason(), "STALE_ETAG");
  again.clear_etag();
  again.mutable_env(0)->set_static_("other");
  ASSERT_TRUE(Apply(root, again).ok());
  EXPECT_EQ(Static("LEVEL"), "other");
  again.mutable_env(0)->set_variable("LEVEL2");
  again.mutable_env(0)->set_static_("");
  EXPECT_EQ(DetailOf(Apply(root, again).status()).field(), "mcp_server.env[0].static");
  again.mutable_env(0)->set_variable("TOKEN");
  again.mutable_env(1)->set_variable("LEVEL");
  EXPECT_EQ(DetailOf(Apply(root, again).status()).field(), "mcp_server.env[0].static")
      << "a credential's binding has no static value to keep";
}

TEST_P(McpServerRulesTest, ValidateOnlyChecksAndChangesNothing) {
  const Caller root = world_.As("root");
  auto before = world_.Revision();
  auto applied = Apply(root, Sample(), /*validate_only=*/true);
  ASSERT_TRUE(applied.ok()) << applied.status();
  EXPECT_TRUE(applied->created());
  EXPECT_EQ(applied->mcp_server().etag(), "");
  EXPECT_EQ(world_.Revision(), before);
  EXPECT_TRUE(absl::IsNotFound(Get(root, kName).status()));
  ASSERT_TRUE(Apply(root, Sample()).ok());
  before = world_.Revision();
  applied = Apply(root, Sample(), /*validate_only=*/true);
  EXPECT_FALSE(applied->created());
  EXPECT_EQ(applied->mcp_server().etag(), Get(root, kName)->etag());
  EXPECT_EQ(world_.Revision(), before);
}

TEST_P(McpServerRulesTest, MissingCredentialsAreThoseOfTheWidestScope) {
  const std::string name = "orgs/acme/teams/eng/mcpServers/github";
  auto applied = Apply(world_.As("ada"), Sample(name));
  ASSERT_TRUE(applied.ok()) << applied.status();
  ASSERT_EQ(applied->missing_credentials_size(), 3);
  EXPECT_EQ(applied->missing_credentials(0), "TEAMS");
  EXPECT_EQ(applied->missing_credentials(1), "TOKEN");
  EXPECT_EQ(applied->missing_credentials(2), "oauthProviders/google");
  world_.Create(world_.As("ada"), "orgs/acme/teams/eng", "TEAMS", "v");
  world_.Create(world_.As("ada"), "orgs/acme/users/ada", "TOKEN", "v");
  applied = Apply(world_.As("ada"), Sample(name));
  ASSERT_EQ(applied->missing_credentials_size(), 2);
  EXPECT_EQ(applied->missing_credentials(0), "TOKEN");
}

TEST_P(McpServerRulesTest, DeleteIsForGoodAndEtagsDoNotComeBack) {
  const Caller root = world_.As("root");
  const std::string etag = Apply(root, Sample())->mcp_server().etag();
  EXPECT_EQ(DetailOf(Delete(root, kName, "stale")).reason(), "STALE_ETAG");
  EXPECT_TRUE(Delete(root, kName, etag).ok());
  EXPECT_TRUE(absl::IsNotFound(Delete(root, kName)));
  EXPECT_TRUE(absl::IsNotFound(Get(root, kName).status()));
  v1::McpServer with_etag = Sample();
  with_etag.set_etag(etag);
  EXPECT_EQ(DetailOf(Apply(root, with_etag).status()).reason(), "STALE_ETAG");
  EXPECT_NE(Apply(root, Sample())->mcp_server().etag(), etag);
}

TEST_P(McpServerRulesTest, BadDefinitionsSayWhichFieldAndChangeNothing) {
  const std::string big(65537, 'x');
  struct Case {
    const char* what;
    const char* field;
    std::function<void(v1::McpServer*)> edit;
  };
  const std::vector<Case> cases = {
      {"no name", "mcp_server.name", [](auto* s) { s->clear_name(); }},
      {"malformed name", "mcp_server.name", [](auto* s) { s->set_name("github"); }},
      {"malformed id", "mcp_server.name", [](auto* s) { s->set_name("orgs/acme/mcpServers/Git"); }},
      {"oversized id", "mcp_server.name", [](auto* s) { s->set_name("orgs/acme/mcpServers/" + std::string(64, 'a')); }},
      {"of a user", "mcp_server.name", [](auto* s) { s->set_name("orgs/acme/users/ada/mcpServers/m"); }},
      {"no transport", "mcp_server.transport", [](auto* s) { s->clear_transport(); }},
      {"unknown transport", "mcp_server.transport",
       [](auto* s) { s->set_transport(static_cast<v1::McpTransport>(9)); }},
      {"no command", "mcp_server.command", [](auto* s) { s->clear_command(); }},
      {"oversized command", "mcp_server.command", [&](auto* s) { s->set_command(big.substr(0, 4097)); }},
      {"NUL in command", "mcp_server.command", [](auto* s) { s->set_command(std::string("a\0b", 3)); }},
      {"many args", "mcp_server.args",
       [](auto* s) {
         for (int i = 0; i < 256; ++i) s->add_args("a");
       }},
      {"oversized args", "mcp_server.args", [&](auto* s) { s->add_args(big.substr(0, 32769)); }},
      {"NUL in args", "mcp_server.args[0]", [](auto* s) { s->set_args(0, std::string("a\0b", 3)); }},
      {"many bindings", "mcp_server.env",
       [](auto* s) {
         for (int i = 0; i < 256; ++i) s->add_env();
       }},
      {"no variable", "mcp_server.env[0].variable", [](auto* s) { s->mutable_env(0)->clear_variable(); }},
      {"malformed variable", "mcp_server.env[0].variable", [](auto* s) { s->mutable_env(0)->set_variable("A=B"); }},
      {"hijacking variable", "mcp_server.env[0].variable", [](auto* s) { s->mutable_env(0)->set_variable("PATH"); }},
      {"ours", "mcp_server.env[0].variable", [](auto* s) { s->mutable_env(0)->set_variable("KEYFERRY_TOKEN"); }},
      {"duplicate variable", "mcp_server.env[1].variable", [](auto* s) { s->mutable_env(1)->set_variable("LEVEL"); }},
      {"no source", "mcp_server.env[0]", [](auto* s) { s->mutable_env(0)->clear_source(); }},
      {"oversized static", "mcp_server.env[0].static", [&](auto* s) { s->mutable_env(0)->set_static_(big); }},
      {"NUL in static", "mcp_server.env[0].static",
       [](auto* s) { s->mutable_env(0)->set_static_(std::string("a\0b", 3)); }},
      {"empty static", "mcp_server.env[0].static", [](auto* s) { s->mutable_env(0)->set_static_(""); }},
      {"org_secret", "mcp_server.env[1].org_secret", [](auto* s) { s->mutable_env(1)->set_org_secret(""); }},
      {"user_secret", "mcp_server.env[2].user_secret", [](auto* s) { s->mutable_env(2)->set_user_secret("a-b"); }},
      {"team_secret", "mcp_server.env[3].team_secret", [](auto* s) { s->mutable_env(3)->set_team_secret("LD_X"); }},
      {"oauth", "mcp_server.env[4].oauth", [](auto* s) { s->mutable_env(4)->set_oauth("Google!"); }},
      {"template without value", "mcp_server.env[1].template", [](auto* s) { s->mutable_env(1)->set_template_("B"); }},
      {"template with five", "mcp_server.env[1].template",
       [](auto* s) { s->mutable_env(1)->set_template_("{value}{value}{value}{value}{value}"); }},
      {"oversized template", "mcp_server.env[1].template",
       [&](auto* s) { s->mutable_env(1)->set_template_("{value}" + big.substr(0, 4090)); }},
      {"oversized together", "mcp_server", [&](auto* s) {
         for (int i = 0; i < 12; ++i) {
           s->add_env()->set_variable(absl::StrCat("V", i));
           s->mutable_env(s->env_size() - 1)->set_static_(big.substr(0, 65536));
         }
       }}};
  const auto before = world_.Revision();
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    v1::McpServer server = Sample();
    c.edit(&server);
    const absl::Status status = Apply(world_.As("root"), server).status();
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    EXPECT_EQ(DetailOf(status).field(), c.field);
    EXPECT_EQ(Told(status).find("static-secret"), std::string::npos);
  }
  EXPECT_EQ(DetailOf(Get(world_.As("root"), "x").status()).field(), "name");
  EXPECT_EQ(DetailOf(Delete(world_.As("root"), "")).field(), "name");
  EXPECT_EQ(DetailOf(List(world_.As("root"), "orgs/acme/users/ada").status()).field(), "parent");
  EXPECT_EQ(DetailOf(List(world_.As("root"), "orgs/acme", -1).status()).field(), "page_size");
  EXPECT_EQ(DetailOf(List(world_.As("root"), "orgs/acme", 0, "x").status()).field(), "page_token");
  EXPECT_EQ(world_.Revision(), before);
}

// '+' allowed, 'd' PERMISSION_DENIED, 'h' hidden: get, list, apply, delete.
TEST_P(McpServerRulesTest, EveryoneMayDoWhatTheSpecificationSaysAndNoMore) {
  struct Case {
    Caller caller;
    const char* parent;
    const char* expected;
  };
  const std::vector<Case> cases = {
      {world_.As("root"), "orgs/acme", "++++"},
      {world_.As("bob"), "orgs/acme", "++dd"},
      {world_.As("mallory"), "orgs/acme", "hhhh"},
      {world_.As("root"), "orgs/acme/teams/eng", "++++"},
      {world_.As("ada"), "orgs/acme/teams/eng", "++++"},
      {world_.As("bob"), "orgs/acme/teams/eng", "++dd"},
      {world_.As("eve"), "orgs/acme/teams/eng", "hhhh"},
      {world_.As("mallory"), "orgs/acme/teams/eng", "hhhh"},
      {world_.Workload({kName}), "orgs/acme", "hhhh"},
      {world_.Service(v1::ORG_ROLE_MEMBER), "orgs/acme", "++dd"},
      {world_.Service(v1::ORG_ROLE_ADMIN), "orgs/acme/teams/eng", "++++"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(absl::StrCat(c.caller.Name(), " on ", c.parent));
    const std::string parent = c.parent;
    ASSERT_TRUE(Apply(world_.As("root"), Sample(parent + "/mcpServers/github")).ok());
    const auto try_all = [&](const std::string& id) {
      const std::string name = parent + "/mcpServers/" + id;
      return std::vector<absl::Status>{Get(c.caller, name).status(), List(c.caller, parent).status(),
                                       Apply(c.caller, Sample(name)).status(), Delete(c.caller, name)};
    };
    const std::vector<absl::Status> present = try_all("github");
    std::string got;
    for (const absl::Status& status : present) {
      got += status.ok() ? '+' : absl::IsPermissionDenied(status) ? 'd' : absl::IsNotFound(status) ? 'h' : '?';
    }
    EXPECT_EQ(got, c.expected);
    const std::vector<absl::Status> absent = try_all("absent");
    for (size_t i = 0; i < present.size(); ++i) {
      if (got[i] != 'h') continue;
      EXPECT_EQ(Told(present[i]), absl::StrReplaceAll(Told(absent[i]), {{"absent", "github"}}));
    }
  }
  const absl::Status no_team = Apply(world_.As("root"), Sample("orgs/acme/teams/none/mcpServers/m")).status();
  EXPECT_TRUE(absl::IsNotFound(no_team)) << no_team;
  EXPECT_TRUE(absl::IsNotFound(List(world_.As("root"), "orgs/acme/teams/none").status()));
  world_.tier = v1::TIER_FREE;
  const std::string name = "orgs/acme/teams/eng/mcpServers/github";
  EXPECT_EQ(DetailOf(Apply(world_.As("root"), Sample(name)).status()).reason(), "SCOPE_SUSPENDED");
}

TEST_P(McpServerRulesTest, ListsPageByPageAndConcurrentAppliesAllCount) {
  const Caller root = world_.As("root");
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back(
        [&, i] { EXPECT_TRUE(Apply(root, Sample(absl::StrCat("orgs/acme/mcpServers/m", i % 3))).ok()); });
  }
  for (std::thread& thread : threads) thread.join();
  const auto first = List(root, "orgs/acme", 2);
  ASSERT_EQ(first->mcp_servers_size(), 2);
  EXPECT_EQ(first->mcp_servers(0).name(), "orgs/acme/mcpServers/m0");
  const auto second = List(root, "orgs/acme", 2, first->next_page_token());
  ASSERT_EQ(second->mcp_servers_size(), 1);
  EXPECT_EQ(second->mcp_servers(0).name(), "orgs/acme/mcpServers/m2");
  EXPECT_EQ(second->next_page_token(), "");
}

// "user: A B" for each.
std::vector<std::string> MissingFor(const absl::StatusOr<v1::ApplyMcpServerResponse>& applied) {
  EXPECT_TRUE(applied.ok()) << applied.status();
  std::vector<std::string> shown;
  if (!applied.ok()) return shown;
  for (const v1::MissingFor& one : applied->missing_for()) {
    shown.push_back(absl::StrCat(one.user().substr(one.user().rfind('/') + 1), ":"));
    for (const std::string& id : one.credentials()) absl::StrAppend(&shown.back(), " ", id);
  }
  return shown;
}

v1::McpServer Binds(const std::string& name, const std::string& org, const std::string& team, const std::string& user,
                    bool pinned = false) {
  v1::McpServer server;
  server.set_name(name);
  server.set_transport(v1::MCP_TRANSPORT_HTTP);
  const auto add = [&](const char* variable) {
    v1::EnvBinding* binding = server.add_env();
    binding->set_variable(variable);
    binding->set_not_overridable(pinned);
    return binding;
  };
  if (!org.empty()) add("A")->set_org_secret(org);
  if (!team.empty()) add("B")->set_team_secret(team);
  if (!user.empty()) add("C")->set_user_secret(user);
  return server;
}

TEST_P(McpServerRulesTest, SaysForWhomCredentialsAreMissing) {
  using Lines = std::vector<std::string>;
  const std::string org = "orgs/acme/mcpServers/x";
  const std::string eng = "orgs/acme/teams/eng/mcpServers/x";
  const Caller root = world_.As("root");
  const Caller ada = world_.As("ada");
  const auto missing = [&](const Caller& caller, const v1::McpServer& server) {
    return MissingFor(Apply(caller, server, /*validate_only=*/true));
  };
  // Nobody has anything. A user_secret counts for the caller alone.
  EXPECT_EQ(missing(root, Binds(org, "O", "T", "U")),
            (Lines{"ada: O T", "bob: O T", "eve: O T", "root: O T U", "zoe: O T"}));
  EXPECT_EQ(missing(root, Binds(eng, "O", "T", "U")), (Lines{"ada: O T", "bob: O T"})) << "root is no member";
  EXPECT_EQ(missing(ada, Binds(eng, "O", "T", "U")), (Lines{"ada: O T U", "bob: O T"}));
  EXPECT_EQ(missing(ada, Binds(eng, "", "", "U")), (Lines{"ada: U"}));
  EXPECT_EQ(missing(root, Binds(org, "", "", "")), Lines());

  // A team's answers for its members, the organization's for all.
  world_.Create(ada, "orgs/acme/teams/eng", "O", "v");
  world_.Create(ada, "orgs/acme/teams/eng", "T", "v");
  EXPECT_EQ(missing(root, Binds(org, "O", "T", "")), (Lines{"eve: O T", "root: O T", "zoe: O T"}));
  EXPECT_EQ(missing(ada, Binds(eng, "O", "T", "")), Lines());
  EXPECT_EQ(missing(ada, Binds(eng, "O", "T", "", /*pinned=*/true)), (Lines{"ada: O", "bob: O"}));
  world_.Create(root, "orgs/acme", "O", "v");
  EXPECT_EQ(missing(root, Binds(org, "O", "T", "")), (Lines{"eve: T", "root: T", "zoe: T"}));
  EXPECT_EQ(missing(ada, Binds(eng, "O", "T", "", /*pinned=*/true)), Lines());

  // What is optional is not missing, and a suspended team answers nobody.
  v1::McpServer optional = Binds(org, "", "T", "");
  optional.mutable_env(0)->set_optional(true);
  EXPECT_EQ(missing(root, optional), Lines());
  world_.tier = v1::TIER_FREE;
  EXPECT_EQ(missing(world_.As("root"), Binds(org, "", "T", "")),
            (Lines{"ada: T", "bob: T", "eve: T", "root: T", "zoe: T"}));
}

TEST_P(McpServerRulesTest, WhatIsMissingTellsNothingOfOthersPersonalCredentials) {
  const Caller root = world_.As("root");
  const v1::McpServer server = Binds("orgs/acme/mcpServers/x", "O", "T", "U");
  const auto before = Apply(root, server, /*validate_only=*/true);
  for (const char* id : {"O", "T", "U"}) {
    for (const char* user : {"ada", "bob", "eve", "zoe"}) {
      world_.Create(world_.As(user), absl::StrCat("orgs/acme/users/", user), id, "v");
    }
  }
  const auto after = Apply(root, server, /*validate_only=*/true);
  EXPECT_EQ(MissingFor(after), MissingFor(before));
  // The caller's own do count.
  world_.Create(root, "orgs/acme/users/root", "T", "v");
  world_.Create(root, "orgs/acme/users/root", "U", "v");
  EXPECT_EQ(MissingFor(Apply(root, server, /*validate_only=*/true)),
            (std::vector<std::string>{"ada: O T", "bob: O T", "eve: O T", "root: O", "zoe: O T"}));
  EXPECT_EQ(MissingFor(Apply(root, Binds("orgs/acme/mcpServers/x", "", "T", "", /*pinned=*/true), true)),
            (std::vector<std::string>{"ada: T", "bob: T", "eve: T", "root: T", "zoe: T"}));
}

TEST_P(McpServerRulesTest, SaysWhoseConnectionsAreMissing) {
  using Lines = std::vector<std::string>;
  const Caller root = world_.As("root");
  const auto server = [](bool pinned) {
    v1::McpServer made = Binds("orgs/acme/mcpServers/x", "", "", "");
    made.add_env()->set_variable("A");
    made.mutable_env(0)->set_oauth("google");
    made.mutable_env(0)->set_not_overridable(pinned);
    return made;
  };
  const auto missing = [&](bool pinned) {
    const auto applied = Apply(root, server(pinned), /*validate_only=*/true);
    EXPECT_TRUE(applied.ok()) << applied.status();
    Lines lines = MissingFor(applied);
    lines.push_back(absl::StrCat("all:", applied->missing_credentials_size()));
    return lines;
  };
  const std::string google = " oauthProviders/google";
  const Lines nobody = {"ada:" + google, "bob:" + google, "eve:" + google, "root:" + google, "zoe:" + google};
  const auto with = [](Lines lines, const char* all) {
    lines.push_back(all);
    return lines;
  };
  EXPECT_EQ(missing(false), with(nobody, "all:1")) << "there is no such provider";
  PutProvider(world_.store.get(), "google");
  EXPECT_EQ(missing(false), with(nobody, "all:0"));
  EXPECT_EQ(missing(true), with(nobody, "all:1"));
  // Nothing depends on a personal connection of anybody but the caller.
  PutConnection(world_.store.get(), {"users/ada"});
  EXPECT_EQ(missing(false), with(nobody, "all:0"));
  PutConnection(world_.store.get(), {"users/root"});
  EXPECT_EQ(missing(false), (Lines{"ada:" + google, "bob:" + google, "eve:" + google, "zoe:" + google, "all:0"}));
  PutConnection(world_.store.get(), {"teams/eng"});
  EXPECT_EQ(missing(false), (Lines{"eve:" + google, "zoe:" + google, "all:0"}));
  // An ended token counts if a fresh one can be had.
  PutConnection(world_.store.get(), {"", "t", 1, world_.now - absl::Seconds(1), /*refreshable=*/false});
  EXPECT_EQ(missing(true), with(nobody, "all:1"));
  PutConnection(world_.store.get(), {"", "t", 1, world_.now - absl::Seconds(1)});
  EXPECT_EQ(missing(true), (Lines{"all:0"}));
  EXPECT_EQ(missing(false), (Lines{"all:0"}));
}

TEST_P(McpServerRulesTest, ReportsAtMostAHundredUsersTheCallerAmongThem) {
  storage::Mutation mutation;
  for (int i = 0; i < 150; ++i) {
    storage::records::UserRecord user;
    user.set_id(absl::StrCat("a", 1000 + i));
    mutation.Put({Table::kUser, "acme", "", user.id()}, storage::SerializeSecret(user), 1, std::nullopt);
  }
  ASSERT_TRUE(world_.store->Commit(mutation, storage::Durability::kSynced).ok());
  const auto shown = MissingFor(Apply(world_.As("root"), Binds("orgs/acme/mcpServers/x", "O", "", ""), true));
  ASSERT_EQ(shown.size(), 100u);
  EXPECT_EQ(shown.front(), "a1000: O");
  EXPECT_EQ(shown.back(), "root: O");
}

TEST_P(McpServerRulesTest, NamesThatHijackAProcessNeedTheOrganizationsPermission) {
  const Caller root = world_.As("root");
  v1::McpServer server = Binds("orgs/acme/mcpServers/x", "PATH", "", "");
  server.mutable_env(0)->set_variable("NODE_OPTIONS");
  const auto field = [&] { return DetailOf(Apply(root, server).status()).field(); };
  EXPECT_EQ(field(), "mcp_server.env[0].variable");
  world_.AllowNames({"NODE_OPTIONS"});
  EXPECT_EQ(field(), "mcp_server.env[0].org_secret");
  world_.AllowNames({"NODE_OPTIONS", "PATH", "KEYFERRY_TOKEN"});
  EXPECT_TRUE(Apply(root, server).ok());
  server.mutable_env(0)->set_variable("KEYFERRY_TOKEN");
  EXPECT_EQ(field(), "mcp_server.env[0].variable") << "never, whatever the record says";
  server.mutable_env(0)->set_variable("NODE_OPTIONS");
  world_.AllowNames({"PATH"});
  EXPECT_EQ(field(), "mcp_server.env[0].variable") << "no longer";
}

}  // namespace
}  // namespace keyferry::server
