#include "server/resolution/resolver.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"
#include "server/mcpservers/mcp_server_rules.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

class ResolverTest : public testing::TestWithParam<EngineKind> {
 protected:
  ResolverTest()
      : servers_(world_.store.get(), world_.clock(), &world_.pages),
        resolver_(world_.store.get(), world_.clock(), world_.usage.get()) {}

  // Applies as an ADMIN an MCP server with these bindings.
  std::string Apply(const std::string& parent, const std::string& id, std::vector<v1::EnvBinding> env) {
    v1::ApplyMcpServerRequest request;
    request.mutable_mcp_server()->set_name(absl::StrCat(parent, "/mcpServers/", id));
    request.mutable_mcp_server()->set_transport(v1::MCP_TRANSPORT_HTTP);
    for (const v1::EnvBinding& binding : env) *request.mutable_mcp_server()->add_env() = binding;
    const auto applied = servers_.ApplyMcpServer(world_.As("root"), request);
    EXPECT_TRUE(applied.ok()) << applied.status();
    return request.mcp_server().name();
  }
  static v1::EnvBinding Bind(const std::string& variable, SourceKind source, const std::string& name,
                             bool optional = false) {
    v1::EnvBinding binding;
    binding.set_variable(variable);
    binding.set_optional(optional);
    if (source == SourceKind::kStatic) binding.set_static_(name);
    if (source == SourceKind::kOrgSecret) binding.set_org_secret(name);
    if (source == SourceKind::kTeamSecret) binding.set_team_secret(name);
    if (source == SourceKind::kUserSecret) binding.set_user_secret(name);
    if (source == SourceKind::kOauth) binding.set_oauth(name);
    return binding;
  }
  absl::StatusOr<v1::ResolveResponse> Resolve(const Caller& caller, const std::string& server,
                                              const std::string& team = "", bool allow_partial = false) {
    v1::ResolveRequest request;
    request.set_mcp_server(server);
    request.set_team(team);
    request.set_allow_partial(allow_partial);
    return resolver_.Resolve(caller, request);
  }
  absl::StatusOr<v1::ExplainResponse> Explain(const Caller& caller, const std::string& server,
                                              const std::string& team = "", const std::string& user = "") {
    v1::ExplainRequest request;
    request.set_mcp_server(server);
    request.set_team(team);
    request.set_user(user);
    return resolver_.Explain(caller, request);
  }

  World world_{GetParam()};
  McpServerRules servers_;
  Resolver resolver_;
};

INSTANTIATE_TEST_SUITE_P(Engines, ResolverTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

// SPEC 3, written down again: who answers among p(ersonal), t(eam) and o(rg), as a text of those that are set.
std::string Model(SourceKind source, bool pinned, bool has_user, bool has_team, const std::string& set) {
  std::map<SourceKind, std::string> order = {
      {SourceKind::kOrgSecret, "pto"}, {SourceKind::kTeamSecret, "pt"}, {SourceKind::kUserSecret, "p"}};
  std::string tried = order[source];
  if (pinned) tried = tried.substr(tried.size() - 1);
  for (const char scope : tried) {
    if (scope == 'p' && !has_user) continue;
    if (scope == 't' && !has_team) continue;
    if (set.find(scope) != std::string::npos) return std::string(1, scope);
  }
  return "";
}

const std::vector<std::string> kSets = {"", "p", "t", "o", "pt", "po", "to", "pto"};

// What was answered per variable; "" for what was not.
std::map<std::string, std::string> Answered(const v1::ResolveResponse& response) {
  std::map<std::string, std::string> answered;
  for (const auto& variable : response.variables()) answered[variable.variable()] = variable.value();
  for (const auto& variable : response.unresolved_variables()) answered[variable] = "";
  return answered;
}

TEST_P(ResolverTest, EveryCombinationAnswersAsTheSpecificationSays) {
  std::vector<std::string> all_teams = {"eng", "default"};
  for (const std::string& set : kSets) {
    if (set.empty()) continue;
    const std::string id = "C_" + set;
    if (set.find('p') != std::string::npos) world_.Create(world_.As("ada"), "orgs/acme/users/ada", id, "p");
    if (set.find('o') != std::string::npos) world_.Create(world_.As("root"), "orgs/acme", id, "o");
    if (set.find('t') == std::string::npos) continue;
    for (const auto& team : all_teams) world_.Create(world_.As("ada"), "orgs/acme/teams/" + team, id, "t");
  }
  int checked = 0;
  for (const SourceKind source : {SourceKind::kOrgSecret, SourceKind::kTeamSecret, SourceKind::kUserSecret}) {
    for (const bool pinned : {false, true}) {
      std::vector<v1::EnvBinding> env;
      for (const std::string& set : kSets) {
        env.push_back(Bind("V_" + set, source, "C_" + set, /*optional=*/true));
        env.back().set_not_overridable(pinned);
      }
      const std::string id = absl::StrCat("s", static_cast<int>(source), pinned ? "p" : "");
      const std::string of_org = Apply("orgs/acme", id, env);
      const std::string of_team = Apply("orgs/acme/teams/eng", id, env);
      for (const v1::Tier tier : {v1::TIER_FREE, v1::TIER_TEAM, v1::TIER_BUSINESS, v1::TIER_ENTERPRISE}) {
        world_.tier = tier;
        const bool eng_exists = tier == v1::TIER_BUSINESS || tier == v1::TIER_ENTERPRISE;
        const struct {
          const char* what;
          Caller caller;
          std::string server;
          std::string team;
          bool has_team;
        } kCases[] = {
            {"user, no team", world_.As("ada"), of_org, "", false},
            {"user, eng", world_.As("ada"), of_org, "orgs/acme/teams/eng", eng_exists},
            {"user, default", world_.As("ada"), of_org, "orgs/acme/teams/default", tier != v1::TIER_FREE},
            {"user, server of eng", world_.As("ada"), of_team, "", true},
            {"workload", world_.Workload({of_org}), of_org, "", false},
            {"workload, server of eng", world_.Workload({of_team}), of_team, "orgs/acme/teams/eng", true},
        };
        for (const auto& c : kCases) {
          SCOPED_TRACE(
              absl::StrCat(c.what, " ", v1::Tier_Name(tier), " source ", static_cast<int>(source), " pinned ", pinned));
          const auto resolved = Resolve(c.caller, c.server, c.team);
          const auto explained = Explain(c.caller, c.server, c.team);
          if (c.server == of_team && !eng_exists) {
            EXPECT_EQ(DetailOf(resolved.status()).reason(), "SCOPE_SUSPENDED");
            EXPECT_EQ(DetailOf(explained.status()).reason(), "SCOPE_SUSPENDED");
            continue;
          }
          ASSERT_TRUE(resolved.ok() && explained.ok()) << resolved.status() << explained.status();
          const auto answered = Answered(*resolved);
          ASSERT_EQ(answered.size(), kSets.size());
          for (size_t i = 0; i < kSets.size(); ++i) {
            const std::string& set = kSets[i];
            const bool has_user = c.caller.kind == PrincipalKind::kUser;
            const std::string expected = Model(source, pinned, has_user, c.has_team, set);
            EXPECT_EQ(answered.at("V_" + set), expected) << "set: " << set;
            std::string chosen;
            for (const auto& step : explained->variables(static_cast<int>(i)).steps()) {
              if (step.outcome() != v1::STEP_OUTCOME_CHOSEN) continue;
              chosen += step.scope() == v1::CREDENTIAL_SCOPE_USER   ? "p"
                        : step.scope() == v1::CREDENTIAL_SCOPE_TEAM ? "t"
                                                                    : "o";
            }
            EXPECT_EQ(chosen, expected) << "explained, set: " << set;
            EXPECT_EQ(explained->variables(static_cast<int>(i)).resolved(), !expected.empty());
            ++checked;
          }
        }
      }
      world_.tier = v1::TIER_BUSINESS;
    }
  }
  // 6 servers, 8 sets; 4 cases in every tier and 2 in two of them.
  EXPECT_EQ(checked, 6 * 8 * (4 * 4 + 2 * 2));
}

TEST_P(ResolverTest, SaysWhereAValueCameFromAndFollowsEveryChange) {
  const Caller ada = world_.As("ada");
  const std::string server =
      Apply("orgs/acme", "github",
            {Bind("TOKEN", SourceKind::kOrgSecret, "TOKEN"), Bind("LEVEL", SourceKind::kStatic, "info")});
  world_.Create(world_.As("root"), "orgs/acme", "TOKEN", "org-one");
  auto resolved = Resolve(ada, server);
  ASSERT_TRUE(resolved.ok()) << resolved.status();
  EXPECT_EQ(resolved->variables(0).credential(), "orgs/acme/credentials/TOKEN");
  EXPECT_EQ(resolved->variables(0).version(), 1);
  EXPECT_EQ(resolved->variables(0).scope(), v1::CREDENTIAL_SCOPE_ORG);
  EXPECT_EQ(resolved->variables(1).value(), "info");
  EXPECT_EQ(resolved->variables(1).credential(), "");

  world_.Create(ada, "orgs/acme/users/ada", "TOKEN", "mine");
  EXPECT_EQ(Resolve(ada, server)->variables(0).credential(), "orgs/acme/users/ada/credentials/TOKEN");
  EXPECT_EQ(Resolve(world_.As("bob"), server)->variables(0).value(), "org-one");
  v1::RotateCredentialRequest rotate;
  rotate.set_name("orgs/acme/users/ada/credentials/TOKEN");
  rotate.set_value("mine-two");
  ASSERT_TRUE(world_.credentials->RotateCredential(ada, rotate).ok());
  EXPECT_EQ(Resolve(ada, server)->variables(0).value(), "mine-two");
  EXPECT_EQ(Resolve(ada, server)->variables(0).version(), 2);
  v1::DeleteCredentialRequest remove;
  remove.set_name(rotate.name());
  ASSERT_TRUE(world_.credentials->DeleteCredential(ada, remove).ok());
  EXPECT_EQ(Resolve(ada, server)->variables(0).value(), "org-one");
  v1::EnvBinding templated = Bind("AUTH", SourceKind::kOrgSecret, "TOKEN");
  templated.set_template_("Bearer {value}, again {value}");
  Apply("orgs/acme", "github", {templated, Bind("LEVEL", SourceKind::kStatic, "debug")});
  EXPECT_EQ(Resolve(ada, server)->variables(0).value(), "Bearer org-one, again org-one");
  EXPECT_EQ(Resolve(ada, server)->variables(1).value(), "debug");
}

TEST_P(ResolverTest, MissingVariablesNameWhatWasTriedAndTheCommand) {
  const std::string server =
      Apply("orgs/acme/teams/eng", "many",
            {Bind("A", SourceKind::kOrgSecret, "TOKEN"), Bind("B", SourceKind::kTeamSecret, "TOKEN"),
             Bind("C", SourceKind::kUserSecret, "TOKEN"), Bind("D", SourceKind::kOauth, "google"),
             Bind("E", SourceKind::kOrgSecret, "TOKEN", /*optional=*/true), Bind("F", SourceKind::kStatic, "s")});
  const auto before = world_.Revision();
  const absl::Status status = Resolve(world_.As("ada"), server).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_EQ(world_.Revision(), before) << "nothing was given out, so nothing is recorded";
  const v1::ErrorDetail detail = DetailOf(status);
  EXPECT_EQ(detail.reason(), "MISSING_VARIABLES");
  ASSERT_EQ(detail.missing_variables_size(), 4);
  const struct {
    const char* variable;
    int tried;
    const char* step;
  } kExpected[] = {{"A", 3, "`keyferry credential create TOKEN < VALUE`"},
                   {"B", 2, "`keyferry credential create TOKEN --team eng < VALUE`"},
                   {"C", 1, "`keyferry credential create TOKEN --me < VALUE`"},
                   {"D", 3, "no OAuth provider `google`"}};
  for (int i = 0; i < 4; ++i) {
    const v1::MissingVariable& missing = detail.missing_variables(i);
    EXPECT_EQ(missing.variable(), kExpected[i].variable);
    EXPECT_EQ(missing.tried_size(), kExpected[i].tried);
    EXPECT_NE(missing.next_step().find(kExpected[i].step), std::string::npos) << missing.next_step();
  }
  EXPECT_EQ(detail.missing_variables(0).tried(0), "orgs/acme/users/ada/credentials/TOKEN");
  EXPECT_EQ(detail.missing_variables(0).tried(2), "orgs/acme/credentials/TOKEN");
  const auto partial = Resolve(world_.As("ada"), server, "", /*allow_partial=*/true);
  ASSERT_TRUE(partial.ok()) << partial.status();
  EXPECT_EQ(partial->variables_size(), 1);
  EXPECT_EQ(partial->unresolved_variables_size(), 5);
  const auto explained = Explain(world_.As("ada"), server);
  EXPECT_FALSE(explained->resolvable());
  EXPECT_EQ(explained->variables(3).steps(0).outcome(), v1::STEP_OUTCOME_NOT_SET);
}

TEST_P(ResolverTest, OnlyThoseWhoMayResolveDoAndTheRestSeeNothing) {
  world_.Create(world_.As("root"), "orgs/acme", "TOKEN", "v");
  const std::string of_org = Apply("orgs/acme", "m", {Bind("A", SourceKind::kOrgSecret, "TOKEN")});
  const std::string of_team = Apply("orgs/acme/teams/eng", "m", {Bind("A", SourceKind::kOrgSecret, "TOKEN")});
  const struct {
    const char* what;
    Caller caller;
    std::string server;
    std::string team;
    absl::StatusCode code;
  } kCases[] = {
      {"member", world_.As("zoe"), of_org, "", absl::StatusCode::kOk},
      {"member naming a team of others", world_.As("zoe"), of_org, "orgs/acme/teams/eng", absl::StatusCode::kNotFound},
      {"member naming no team at all", world_.As("zoe"), of_org, "orgs/acme/teams/none", absl::StatusCode::kNotFound},
      {"ADMIN who is not in the team", world_.As("root"), of_org, "orgs/acme/teams/eng",
       absl::StatusCode::kPermissionDenied},
      {"ADMIN, a team's server", world_.As("root"), of_team, "", absl::StatusCode::kPermissionDenied},
      {"member of the team", world_.As("bob"), of_team, "", absl::StatusCode::kOk},
      {"member of another team", world_.As("eve"), of_team, "", absl::StatusCode::kNotFound},
      {"another org", world_.As("mallory"), of_org, "", absl::StatusCode::kNotFound},
      {"service", world_.Service(v1::ORG_ROLE_ADMIN), of_org, "", absl::StatusCode::kPermissionDenied},
      {"workload", world_.Workload({of_org}), of_org, "", absl::StatusCode::kOk},
      {"workload without grant", world_.Workload({of_team}), of_org, "", absl::StatusCode::kNotFound},
      {"workload naming a team", world_.Workload({of_org, of_team}), of_org, "orgs/acme/teams/eng",
       absl::StatusCode::kPermissionDenied},
      {"absent", world_.As("root"), "orgs/acme/mcpServers/none", "", absl::StatusCode::kNotFound},
      {"another team than the server's", world_.As("ada"), of_team, "orgs/acme/teams/default",
       absl::StatusCode::kInvalidArgument},
      {"team of another org", world_.As("ada"), of_org, "orgs/other/teams/eng", absl::StatusCode::kInvalidArgument},
      {"not a team", world_.As("ada"), of_org, "orgs/acme/users/ada", absl::StatusCode::kInvalidArgument},
      {"not a server", world_.As("ada"), "orgs/acme/credentials/m", "", absl::StatusCode::kInvalidArgument},
      {"no server", world_.As("ada"), "", "", absl::StatusCode::kInvalidArgument},
      {"malformed id", world_.As("ada"), "orgs/acme/mcpServers/M!", "", absl::StatusCode::kInvalidArgument},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    const auto before = world_.Revision();
    const auto resolved = Resolve(c.caller, c.server, c.team);
    EXPECT_EQ(resolved.status().code(), c.code) << resolved.status();
    EXPECT_EQ(world_.Revision() == before, c.code != absl::StatusCode::kOk);
    EXPECT_EQ(DetailOf(resolved.status()).reason().empty(), c.code == absl::StatusCode::kOk);
  }
  EXPECT_EQ(Told(Resolve(world_.As("eve"), of_team).status()),
            Told(Resolve(world_.As("eve"), "orgs/acme/teams/eng/mcpServers/m").status()));
  const std::string hidden = Told(Resolve(world_.As("zoe"), of_org, "orgs/acme/teams/eng").status());
  std::string absent = Told(Resolve(world_.As("zoe"), of_org, "orgs/acme/teams/nix").status());
  for (size_t at = absent.find("nix"); at != std::string::npos; at = absent.find("nix")) absent.replace(at, 3, "eng");
  EXPECT_EQ(hidden, absent);
}

TEST_P(ResolverTest, AnAdminExplainsForOthersWithoutLearningOfTheirOwnCredentials) {
  const std::string server =
      Apply("orgs/acme", "m", {Bind("A", SourceKind::kOrgSecret, "TOKEN"), Bind("B", SourceKind::kUserSecret, "MINE")});
  world_.Create(world_.As("root"), "orgs/acme", "TOKEN", "v");
  const auto without = Explain(world_.As("root"), server, "", "orgs/acme/users/bob");
  ASSERT_TRUE(without.ok()) << without.status();
  world_.Create(world_.As("bob"), "orgs/acme/users/bob", "TOKEN", "v");
  world_.Create(world_.As("bob"), "orgs/acme/users/bob", "MINE", "v");
  const auto with = Explain(world_.As("root"), server, "", "orgs/acme/users/bob");
  ASSERT_TRUE(with.ok());
  EXPECT_EQ(with->DebugString(), without->DebugString());
  EXPECT_EQ(with->variables(0).steps(0).outcome(), v1::STEP_OUTCOME_HIDDEN);
  EXPECT_EQ(with->variables(0).steps(2).outcome(), v1::STEP_OUTCOME_CHOSEN);
  EXPECT_EQ(with->variables(1).steps(0).outcome(), v1::STEP_OUTCOME_HIDDEN);
  const auto own = Explain(world_.As("bob"), server);
  EXPECT_EQ(own->variables(0).steps(0).outcome(), v1::STEP_OUTCOME_CHOSEN);
  EXPECT_EQ(own->variables(0).steps(2).outcome(), v1::STEP_OUTCOME_OVERRIDDEN);
  EXPECT_TRUE(own->resolvable());
  EXPECT_TRUE(absl::IsNotFound(Explain(world_.As("ada"), server, "", "orgs/acme/users/bob").status()));
  EXPECT_TRUE(absl::IsNotFound(Explain(world_.As("root"), server, "", "orgs/acme/users/none").status()));
  EXPECT_TRUE(Explain(world_.Service(v1::ORG_ROLE_ADMIN), server, "", "orgs/acme/users/bob").ok());
  EXPECT_TRUE(absl::IsInvalidArgument(Explain(world_.Service(v1::ORG_ROLE_ADMIN), server).status()));
}

TEST_P(ResolverTest, AResolutionShowsAsLastUse) {
  world_.Create(world_.As("root"), "orgs/acme", "TOKEN", "v");
  const std::string server = Apply("orgs/acme", "m", {Bind("A", SourceKind::kOrgSecret, "TOKEN")});
  world_.now += absl::Hours(3);
  ASSERT_TRUE(Resolve(world_.As("bob"), server).ok());
  const auto shown = world_.Get(world_.As("root"), "orgs/acme/credentials/TOKEN");
  EXPECT_EQ(shown->last_use_time().seconds(), absl::ToUnixSeconds(world_.now));
  EXPECT_EQ(shown->last_use_mcp_server(), server);
}

TEST_P(ResolverTest, VariablesThatHijackAProcessAreGivenOutOnlyWhileTheOrganizationAllowsThem) {
  const Caller root = world_.As("root");
  world_.Create(root, "orgs/acme", "OPTIONS", "--x");
  world_.AllowNames({"NODE_OPTIONS", "PATH"});
  const std::string server =
      Apply("orgs/acme", "x",
            {Bind("NODE_OPTIONS", SourceKind::kOrgSecret, "OPTIONS", /*optional=*/true),
             Bind("OTHER", SourceKind::kOrgSecret, "OPTIONS"), Bind("PATH", SourceKind::kStatic, "/bin")});
  const auto allowed = Resolve(root, server);
  ASSERT_TRUE(allowed.ok()) << allowed.status();
  ASSERT_EQ(allowed->variables_size(), 3);
  EXPECT_TRUE(allowed->variables(0).allowed_by_org());
  EXPECT_FALSE(allowed->variables(1).allowed_by_org());
  EXPECT_TRUE(allowed->variables(2).allowed_by_org());
  EXPECT_TRUE(Explain(root, server)->resolvable());

  for (const std::vector<std::string>& names : {std::vector<std::string>{"PATH"}, {"NODE_OPTIONS"}, {}}) {
    world_.AllowNames(names);
    for (const bool partial : {false, true}) {
      const absl::Status refused = Resolve(root, server, "", partial).status();
      EXPECT_TRUE(absl::IsFailedPrecondition(refused)) << refused;
      EXPECT_EQ(DetailOf(refused).reason(), "NAME_NOT_ALLOWED");
    }
    const auto explained = Explain(root, server);
    ASSERT_TRUE(explained.ok()) << explained.status();
    EXPECT_FALSE(explained->resolvable());
    EXPECT_EQ(explained->variables(0).resolved(), names == std::vector<std::string>{"NODE_OPTIONS"});
    EXPECT_TRUE(explained->variables(1).resolved());
  }
}

}  // namespace
}  // namespace keyferry::server
