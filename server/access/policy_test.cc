#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "server/access/access.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

constexpr char kGithub[] = "orgs/acme/mcpServers/github";
constexpr char kTeamGithub[] = "orgs/acme/teams/eng/mcpServers/github";

Caller User(const std::string& id, v1::OrgRole role, v1::TeamRole in_eng = v1::TEAM_ROLE_UNSPECIFIED) {
  Caller caller;
  caller.org = "acme";
  caller.id = id;
  caller.tier = v1::TIER_BUSINESS;
  caller.role = role;
  if (in_eng != v1::TEAM_ROLE_UNSPECIFIED) caller.teams.emplace_back("eng", in_eng);
  return caller;
}

Caller Of(PrincipalKind kind, v1::OrgRole role) {
  Caller caller = User("owner-of-it", role);
  caller.kind = kind;
  return caller;
}

// The callers of the expectation below, by the letter that stands for them.
std::map<char, Caller> Callers() {
  std::map<char, Caller> callers;
  callers['A'] = User("admin", v1::ORG_ROLE_ADMIN);
  callers['O'] = User("olga", v1::ORG_ROLE_MEMBER, v1::TEAM_ROLE_OWNER);
  callers['L'] = User("lead", v1::ORG_ROLE_MEMBER, v1::TEAM_ROLE_ADMIN);
  callers['M'] = User("mem", v1::ORG_ROLE_MEMBER, v1::TEAM_ROLE_MEMBER);
  callers['U'] = User("other", v1::ORG_ROLE_MEMBER);
  // The user whom personal resources belong to.
  callers['S'] = User("ada", v1::ORG_ROLE_MEMBER);
  // Services share their id with that user, so that a mix-up of kinds shows.
  callers['P'] = Of(PrincipalKind::kService, v1::ORG_ROLE_ADMIN);
  callers['p'] = Of(PrincipalKind::kService, v1::ORG_ROLE_MEMBER);
  callers['P'].id = callers['p'].id = "ada";
  callers['W'] = Of(PrincipalKind::kWorkload, v1::ORG_ROLE_UNSPECIFIED);
  callers['W'].granted_mcp_servers = {kGithub, kTeamGithub};
  // A workload without grants, with everything else that would help it if kinds were mixed up.
  callers['w'] = Of(PrincipalKind::kWorkload, v1::ORG_ROLE_ADMIN);
  callers['w'].id = "ada";
  callers['w'].teams.emplace_back("eng", v1::TEAM_ROLE_OWNER);
  // Everything in another org, by the same ids.
  callers['X'] = User("ada", v1::ORG_ROLE_ADMIN, v1::TEAM_ROLE_OWNER);
  callers['X'].org = "rival";
  return callers;
}

struct Expectation {
  const char* name;
  Resource resource;
  Action action;
  // Who is allowed and who is denied openly; from everybody else it is hidden.
  const char* allowed;
  const char* denied;
};

Resource R(ResourceKind kind, const std::string& team, const std::string& user, const std::string& name) {
  return Resource{kind, "acme", team, user, name};
}

// SPEC 1's table, written out by hand. A org ADMIN, O team OWNER, L team ADMIN, M team MEMBER, U any user, S the user
// concerned, P/p services of role ADMIN/MEMBER, W/w workloads with and without grants, X another org.
std::vector<Expectation> Expectations() {
  const Resource org_credential = R(ResourceKind::kOrgCredential, "", "", "orgs/acme/credentials/A");
  const Resource team_credential = R(ResourceKind::kTeamCredential, "eng", "", "orgs/acme/teams/eng/credentials/A");
  const Resource user_credential = R(ResourceKind::kUserCredential, "", "ada", "orgs/acme/users/ada/credentials/A");
  const Resource provider = R(ResourceKind::kOauthProvider, "", "", "orgs/acme/oauthProviders/google");
  // Started by the user whom personal resources belong to, for a team that they are not in.
  Resource attempt = R(ResourceKind::kConnectionAttempt, "eng", "", "orgs/acme/teams/eng/connectionAttempts/a");
  attempt.creator = "orgs/acme/users/ada";
  const Resource org_server = R(ResourceKind::kOrgMcpServer, "", "", kGithub);
  const Resource team_server = R(ResourceKind::kTeamMcpServer, "eng", "", kTeamGithub);
  const Resource org = R(ResourceKind::kOrg, "", "", "orgs/acme");
  const Resource user = R(ResourceKind::kUser, "", "ada", "orgs/acme/users/ada");
  const Resource team = R(ResourceKind::kTeam, "eng", "", "orgs/acme/teams/eng");
  const Resource member = R(ResourceKind::kTeamMember, "eng", "ada", "orgs/acme/teams/eng/members/ada");
  const Resource service = R(ResourceKind::kService, "", "", "orgs/acme/services/ci");
  const Resource workload = R(ResourceKind::kWorkload, "", "", "orgs/acme/workloads/w");
  const Resource user_token = R(ResourceKind::kToken, "", "ada", "orgs/acme/users/ada/tokens/t");
  const Resource service_token = R(ResourceKind::kToken, "", "", "orgs/acme/services/ci/tokens/t");
  const Resource log = R(ResourceKind::kAuditLog, "", "", "orgs/acme");
  const Resource user_entry = R(ResourceKind::kAuditEntry, "", "ada", "");
  const Resource team_entry = R(ResourceKind::kAuditEntry, "eng", "", "");
  const Resource own_entry = R(ResourceKind::kOwnAuditEntry, "", "", "");
  const Resource session = R(ResourceKind::kSession, "", "ada", "orgs/acme/sessions/s");
  // The principal that made it is the workload without grants.
  Resource process = R(ResourceKind::kProcess, "", "", "orgs/acme/processes/p.0123456789abcdef");
  process.creator = "orgs/acme/workloads/ada";
  const Resource self = R(ResourceKind::kOwnIdentity, "", "", "orgs/acme");
  return {
      {"org credential", org_credential, Action::kSee, "AOLMUSPp", ""},
      {"org credential", org_credential, Action::kCreate, "AP", "OLMUSp"},
      {"org credential", org_credential, Action::kUpdate, "AP", "OLMUSp"},
      {"org credential", org_credential, Action::kDelete, "AP", "OLMUSp"},
      {"org credential", org_credential, Action::kResolve, "", "AOLMUSPp"},

      {"team credential", team_credential, Action::kSee, "AOLMP", ""},
      {"team credential", team_credential, Action::kCreate, "OL", "AMP"},
      {"team credential", team_credential, Action::kUpdate, "OL", "AMP"},
      {"team credential", team_credential, Action::kDelete, "AOLP", "M"},
      {"team credential", team_credential, Action::kResolve, "", "AOLMP"},

      {"personal credential", user_credential, Action::kSee, "S", ""},
      {"personal credential", user_credential, Action::kCreate, "S", "AP"},
      {"personal credential", user_credential, Action::kUpdate, "S", ""},
      {"personal credential", user_credential, Action::kDelete, "S", ""},
      {"personal credential", user_credential, Action::kResolve, "", "S"},

      {"OAuth provider", provider, Action::kSee, "AOLMUSPp", ""},
      {"OAuth provider", provider, Action::kCreate, "AP", "OLMUSp"},
      {"OAuth provider", provider, Action::kUpdate, "AP", "OLMUSp"},
      {"OAuth provider", provider, Action::kDelete, "AP", "OLMUSp"},
      {"OAuth provider", provider, Action::kResolve, "", "AOLMUSPp"},

      {"connection attempt", attempt, Action::kSee, "S", ""},
      {"connection attempt", attempt, Action::kCreate, "", "AOLMUSPp"},
      {"connection attempt", attempt, Action::kUpdate, "", "S"},
      {"connection attempt", attempt, Action::kDelete, "", "S"},
      {"connection attempt", attempt, Action::kResolve, "", "S"},

      {"org MCP server", org_server, Action::kSee, "AOLMUSPp", ""},
      {"org MCP server", org_server, Action::kCreate, "AP", "OLMUSp"},
      {"org MCP server", org_server, Action::kUpdate, "AP", "OLMUSp"},
      {"org MCP server", org_server, Action::kDelete, "AP", "OLMUSp"},
      {"org MCP server", org_server, Action::kResolve, "AOLMUSW", "Pp"},

      {"team MCP server", team_server, Action::kSee, "AOLMP", ""},
      {"team MCP server", team_server, Action::kCreate, "AOLP", "M"},
      {"team MCP server", team_server, Action::kUpdate, "AOLP", "M"},
      {"team MCP server", team_server, Action::kDelete, "AOLP", "M"},
      {"team MCP server", team_server, Action::kResolve, "OLMW", "AP"},

      {"org", org, Action::kSee, "AOLMUSPp", ""},
      {"org", org, Action::kCreate, "AP", "OLMUSp"},
      {"org", org, Action::kUpdate, "AP", "OLMUSp"},
      {"org", org, Action::kDelete, "AP", "OLMUSp"},
      {"org", org, Action::kResolve, "", "AOLMUSPp"},

      {"user", user, Action::kSee, "ASP", ""},
      {"user", user, Action::kCreate, "AP", "OLMUSp"},
      {"user", user, Action::kUpdate, "AP", "S"},
      {"user", user, Action::kDelete, "AP", "S"},
      {"user", user, Action::kResolve, "", "ASP"},

      {"team", team, Action::kSee, "AOLMP", ""},
      {"team", team, Action::kCreate, "AP", "OLMUSp"},
      {"team", team, Action::kUpdate, "AP", "OLM"},
      {"team", team, Action::kDelete, "AP", "OLM"},
      {"team", team, Action::kResolve, "", "AOLMP"},

      {"membership", member, Action::kSee, "AOLMP", ""},
      {"membership", member, Action::kCreate, "AOLP", "M"},
      {"membership", member, Action::kUpdate, "AOLP", "M"},
      {"membership", member, Action::kDelete, "AOLP", "M"},
      {"membership", member, Action::kResolve, "", "AOLMP"},

      {"service", service, Action::kSee, "AP", ""},
      {"service", service, Action::kCreate, "AP", "OLMUSp"},
      {"service", service, Action::kUpdate, "AP", ""},
      {"service", service, Action::kDelete, "AP", ""},
      {"service", service, Action::kResolve, "", "AP"},

      {"workload", workload, Action::kSee, "AP", ""},
      {"workload", workload, Action::kCreate, "AP", "OLMUSp"},
      {"workload", workload, Action::kUpdate, "AP", ""},
      {"workload", workload, Action::kDelete, "AP", ""},
      {"workload", workload, Action::kResolve, "", "AP"},

      {"token of a user", user_token, Action::kSee, "ASP", ""},
      {"token of a user", user_token, Action::kCreate, "ASP", ""},
      {"token of a user", user_token, Action::kUpdate, "ASP", ""},
      {"token of a user", user_token, Action::kDelete, "ASP", ""},
      {"token of a user", user_token, Action::kResolve, "", "ASP"},

      {"token of a service", service_token, Action::kSee, "AP", ""},
      {"token of a service", service_token, Action::kCreate, "AP", ""},
      {"token of a service", service_token, Action::kUpdate, "AP", ""},
      {"token of a service", service_token, Action::kDelete, "AP", ""},
      {"token of a service", service_token, Action::kResolve, "", "AP"},

      {"session of a user", session, Action::kSee, "ASP", ""},
      {"session of a user", session, Action::kCreate, "S", "AOLMUPp"},
      {"session of a user", session, Action::kUpdate, "", "ASP"},
      {"session of a user", session, Action::kDelete, "ASP", ""},
      {"session of a user", session, Action::kResolve, "", "ASP"},

      {"process", process, Action::kSee, "", ""},
      {"process", process, Action::kCreate, "", "AOLMUSPp"},
      {"process", process, Action::kUpdate, "w", ""},
      {"process", process, Action::kDelete, "APw", ""},
      {"process", process, Action::kResolve, "", ""},

      {"own identity", self, Action::kSee, "AOLMUSPpWw", ""},
      {"own identity", self, Action::kCreate, "", "AOLMUSPpWw"},
      {"own identity", self, Action::kUpdate, "", "AOLMUSPpWw"},
      {"own identity", self, Action::kDelete, "", "AOLMUSPpWw"},
      {"own identity", self, Action::kResolve, "", "AOLMUSPpWw"},

      {"audit log", log, Action::kSee, "AOLMUSPpWw", ""},
      {"audit log", log, Action::kCreate, "", "AOLMUSPpWw"},
      {"audit log", log, Action::kUpdate, "AP", "OLMUSpWw"},
      {"audit log", log, Action::kDelete, "", "AOLMUSPpWw"},
      {"audit log", log, Action::kResolve, "", "AOLMUSPpWw"},

      {"audit entry of a user", user_entry, Action::kSee, "ASP", ""},
      {"audit entry of a user", user_entry, Action::kCreate, "", "AOLMUSPp"},
      {"audit entry of a user", user_entry, Action::kUpdate, "", "ASP"},
      {"audit entry of a user", user_entry, Action::kDelete, "", "ASP"},
      {"audit entry of a user", user_entry, Action::kResolve, "", "ASP"},

      {"audit entry of a team", team_entry, Action::kSee, "AOLP", ""},
      {"audit entry of a team", team_entry, Action::kCreate, "", "AOLMUSPp"},
      {"audit entry of a team", team_entry, Action::kUpdate, "", "AOLP"},
      {"audit entry of a team", team_entry, Action::kDelete, "", "AOLP"},
      {"audit entry of a team", team_entry, Action::kResolve, "", "AOLP"},

      {"own audit entry", own_entry, Action::kSee, "AOLMUSPpWw", ""},
      {"own audit entry", own_entry, Action::kCreate, "", "AOLMUSPpWw"},
      {"own audit entry", own_entry, Action::kUpdate, "", "AOLMUSPpWw"},
      {"own audit entry", own_entry, Action::kDelete, "", "AOLMUSPpWw"},
      {"own audit entry", own_entry, Action::kResolve, "", "AOLMUSPpWw"},
  };
}

TEST(PolicyTest, EveryCallerOnEveryResource) {
  const std::map<char, Caller> callers = Callers();
  const std::vector<Expectation> expectations = Expectations();
  // 22 resources, 5 actions: an emptied table must not pass.
  ASSERT_EQ(expectations.size(), 110u);
  for (const Expectation& e : expectations) {
    for (const auto& [letter, caller] : callers) {
      SCOPED_TRACE(testing::Message() << e.name << ", action " << static_cast<int>(e.action) << ", caller " << letter);
      const Decision expected = absl::string_view(e.allowed).find(letter) != absl::string_view::npos  ? Decision::kAllow
                                : absl::string_view(e.denied).find(letter) != absl::string_view::npos ? Decision::kDeny
                                                                                                      : Decision::kHide;
      EXPECT_EQ(Decide(caller, e.action, e.resource), expected);
    }
  }
}

TEST(PolicyTest, TeamRolesOfAnotherTeamDoNotCount) {
  const Caller lead = User("lead", v1::ORG_ROLE_MEMBER, v1::TEAM_ROLE_OWNER);
  for (ResourceKind kind :
       {ResourceKind::kTeamCredential, ResourceKind::kTeamMcpServer, ResourceKind::kTeam, ResourceKind::kTeamMember}) {
    EXPECT_EQ(Decide(lead, Action::kSee, R(kind, "ops", "", "n")), Decision::kHide);
    EXPECT_EQ(Decide(lead, Action::kSee, R(kind, "", "", "n")), Decision::kHide) << "a resource without its team";
  }
}

// A service that may create sessions, one that may not and what they created.
TEST(PolicyTest, SessionsAreForTheServicesThatMayCreateThem) {
  Caller maker = Of(PrincipalKind::kService, v1::ORG_ROLE_MEMBER);
  maker.id = "maker";
  maker.can_create_sessions = true;
  Caller other = maker;
  other.id = "other";
  Caller former = maker;
  former.can_create_sessions = false;
  Resource session = R(ResourceKind::kSession, "", "ada", "orgs/acme/sessions/s");
  session.creator = "orgs/acme/services/maker";
  EXPECT_EQ(Decide(maker, Action::kCreate, session), Decision::kAllow);
  EXPECT_EQ(Decide(former, Action::kCreate, session), Decision::kDeny);
  for (const Action action : {Action::kSee, Action::kDelete}) {
    EXPECT_EQ(Decide(maker, action, session), Decision::kAllow);
    EXPECT_EQ(Decide(former, action, session), Decision::kAllow) << "what it created stays its own";
    EXPECT_EQ(Decide(other, action, session), Decision::kHide);
  }
  EXPECT_EQ(Decide(maker, Action::kUpdate, session), Decision::kDeny);
  // The right is a service's alone, in its own org, and of no other kind of resource.
  for (const PrincipalKind kind : {PrincipalKind::kUser, PrincipalKind::kWorkload}) {
    Caller mixed_up = maker;
    mixed_up.kind = kind;
    EXPECT_NE(Decide(mixed_up, Action::kCreate, session), Decision::kAllow);
    EXPECT_NE(Decide(mixed_up, Action::kSee, session), Decision::kAllow);
  }
  Caller rival = maker;
  rival.org = "rival";
  EXPECT_EQ(Decide(rival, Action::kCreate, session), Decision::kHide);
  EXPECT_EQ(Decide(maker, Action::kCreate, R(ResourceKind::kToken, "", "ada", "n")), Decision::kHide);
  session.creator = "";
  EXPECT_EQ(Decide(maker, Action::kSee, session), Decision::kHide);
}

TEST(PolicyTest, GrantsAreByExactName) {
  const Caller workload = Callers()['W'];
  EXPECT_EQ(Decide(workload, Action::kResolve, R(ResourceKind::kOrgMcpServer, "", "", kGithub)), Decision::kAllow);
  EXPECT_EQ(Decide(workload, Action::kResolve, R(ResourceKind::kOrgMcpServer, "", "", "orgs/acme/mcpServers/git")),
            Decision::kHide);
  EXPECT_EQ(Decide(workload, Action::kResolve,
                   R(ResourceKind::kTeamMcpServer, "ops", "", "orgs/acme/teams/ops/mcpServers/github")),
            Decision::kHide);
}

TEST(PolicyTest, CallerWithoutOrgOrRoleIsAllowedNothing) {
  Caller nobody;
  EXPECT_EQ(Decide(nobody, Action::kSee, Resource{ResourceKind::kOwnIdentity, "", "", "", "x"}), Decision::kHide);
  const Caller no_role = User("x", v1::ORG_ROLE_UNSPECIFIED);
  EXPECT_EQ(Decide(no_role, Action::kSee, R(ResourceKind::kOrg, "", "", "orgs/acme")), Decision::kHide);
}

TEST(AuthorizeTest, HiddenIsWordedAsAbsent) {
  const Caller other = Callers()['U'];
  const Resource hidden = R(ResourceKind::kTeamCredential, "eng", "", "orgs/acme/teams/eng/credentials/A");
  EXPECT_EQ(Authorize(other, Action::kSee, hidden), NotFound(hidden.name));
}

TEST(AuthorizeTest, DeniedSaysWhatAndWhomToAsk) {
  const absl::Status status =
      Authorize(Callers()['U'], Action::kDelete, R(ResourceKind::kOrgCredential, "", "", "orgs/acme/credentials/A"));
  EXPECT_EQ(status.code(), absl::StatusCode::kPermissionDenied);
  v1::ErrorDetail detail;
  ASSERT_TRUE(GetDetail(status, &detail));
  EXPECT_EQ(detail.reason(), "PERMISSION_DENIED");
  EXPECT_EQ(detail.resource(), "orgs/acme/credentials/A");
  EXPECT_EQ(detail.next_step(), "Ask an ADMIN of the organization.");
}

// Nobody is sent to those who may not, nor to themselves.
TEST(AuthorizeTest, TheNextStepFollowsFromThePolicy) {
  const Resource team_credential = R(ResourceKind::kTeamCredential, "eng", "", "n");
  const Resource team_server = R(ResourceKind::kTeamMcpServer, "eng", "", "n");
  const Resource session = R(ResourceKind::kSession, "", "ada", "n");
  const std::string lead = "Ask an OWNER or ADMIN of the team.";
  const std::string self_or_maker = "Only the user themselves or a service that may create sessions may do this.";
  const struct {
    char caller;
    Action action;
    Resource resource;
    std::string next_step;
  } cases[] = {
      {'M', Action::kCreate, team_credential, lead},
      {'M', Action::kDelete, team_credential, "Ask an ADMIN of the organization or an OWNER or ADMIN of the team."},
      {'A', Action::kCreate, team_credential,
       lead + " An ADMIN of the organization can become one: `keyferry team add-member eng admin --role admin`."},
      {'P', Action::kUpdate, team_credential,
       "Ask an OWNER or ADMIN of the team. An ADMIN of the organization can make a user one: `keyferry team add-member "
       "eng USER --role admin`."},
      {'A', Action::kResolve, team_server,
       "Only a member of the team or a workload that was granted it may do this. An ADMIN of the organization can "
       "become one: `keyferry team add-member eng admin`."},
      {'U', Action::kCreate, session, self_or_maker},
      {'A', Action::kCreate, session,
       self_or_maker + " An ADMIN of the organization can give a service that right: `keyferry service create ID "
                       "--can-create-sessions`."},
      {'A', Action::kCreate, R(ResourceKind::kUserCredential, "", "ada", "n"), "Only the user themselves may do this."},
      {'M', Action::kCreate, R(ResourceKind::kTeam, "ops", "", "n"), "Ask an ADMIN of the organization."},
      {'w', Action::kDelete, R(ResourceKind::kOwnIdentity, "", "", "n"), "Nobody may do this."},
  };
  for (const auto& c : cases) {
    const absl::Status status = Authorize(Callers()[c.caller], c.action, c.resource);
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
    v1::ErrorDetail detail;
    ASSERT_TRUE(GetDetail(status, &detail));
    EXPECT_EQ(detail.next_step(), c.next_step) << c.caller;
  }
}

}  // namespace
}  // namespace keyferry::server
