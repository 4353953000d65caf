// Issuers of people (kind oidc).
#include "server/config/people_config.h"

#include <gtest/gtest.h>

#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/config/config.h"
#include "server/config/identity_config.h"

namespace keyferry::server {
namespace {

constexpr char kGood[] = R"(identity:
  issuers:
    - name: corp
      kind: oidc
      issuer: https://login.example.com
      discovery: true
      audience: [keyferry-cli, keyferry-web]
      orgs: [acme, rival]
      people:
        org_claim: org
        user_claim: email
        email_domain: example.com
        users: create
        role_claim: groups
        roles:
          - {value: admins, role: admin}
          - {value: 'CN=all,DC=example', role: member}
        teams_claim: groups
        teams:
          - {value: eng, team: eng, role: member}
          - {value: eng-leads, team: eng, role: owner}
    - {name: cluster, kind: kubernetes, issuer: cluster, jwks_file: /jwks.json}
)";

absl::StatusOr<config::Identity> Read(const std::string& yaml) {
  config::Config config;
  absl::Status read = ReadConfigYaml(yaml, "test.yaml", &config);
  if (read.ok()) read = CompleteIdentity(config.mutable_identity());
  if (!read.ok()) return read;
  return config.identity();
}

TEST(PeopleConfigTest, ReadsAndCompletes) {
  const auto identity = Read(kGood);
  ASSERT_TRUE(identity.ok()) << identity.status();
  const config::Issuer& corp = identity->issuers(0);
  EXPECT_EQ(corp.audience_size(), 2);
  EXPECT_EQ(corp.people().roles(1).value(), "CN=all,DC=example");
  EXPECT_EQ(corp.people().teams_size(), 2);
  EXPECT_EQ(corp.people().max_age_seconds(), 86400u);
  EXPECT_FALSE(identity->issuers(1).has_people());
}

// The configuration that docs/operations.md shows.
TEST(PeopleConfigTest, TheDocumentedOneIsComplete) {
  std::ifstream file("docs/operations.md");
  const std::string page((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const size_t section = page.find("## People by OpenID Connect");
  ASSERT_NE(section, std::string::npos);
  constexpr absl::string_view kBegin = "```yaml\n";
  const size_t begin = page.find(std::string(kBegin), section) + kBegin.size();
  const auto identity = Read(page.substr(begin, page.find("```", begin) - begin));
  ASSERT_TRUE(identity.ok()) << identity.status();
  ASSERT_EQ(identity->issuers_size(), 1);
  EXPECT_EQ(identity->issuers(0).people().teams_size(), 2);
  EXPECT_EQ(identity->issuers(0).people().max_age_seconds(), 43200u);
}

TEST(PeopleConfigTest, TheLeastIsWhatIsSafest) {
  const auto identity = Read(
      "identity: {issuers: [{name: corp, kind: oidc, issuer: 'https://a.example', jwks_file: /j, audience: kf, orgs: "
      "[acme]}]}");
  ASSERT_TRUE(identity.ok()) << identity.status();
  const config::People& people = identity->issuers(0).people();
  EXPECT_EQ(people.user_claim(), "sub");
  EXPECT_EQ(people.users(), "existing");
  EXPECT_TRUE(people.role_claim().empty() && people.teams_claim().empty());
}

TEST(PeopleConfigTest, SaysWhatIsWrong) {
  const struct {
    const char* from;
    const char* to;
    const char* problem;
  } cases[] = {
      {"issuer: https://login.example.com", "issuer: login", "issuers[0].discovery` needs an issuer"},
      {"issuer: https://login.example.com\n      discovery: true", "issuer: login\n      jwks_file: /j",
       "issuers[0].issuer` must be an https URL"},
      {"      audience: [keyferry-cli, keyferry-web]\n", "", "issuers[0].audience` is not set"},
      {"      orgs: [acme, rival]\n", "", "issuers[0].orgs` is not set"},
      {"orgs: [acme, rival]", "orgs: ['acme=ml']", "issuers[0].orgs` must name organizations"},
      {"orgs: [acme, rival]", "orgs: ['*']", "issuers[0].orgs` must name organizations"},
      {"        org_claim: org\n", "", "people.org_claim` is not set"},
      {"        email_domain: example.com\n", "", "people.email_domain` must be the domain"},
      {"email_domain: example.com", "email_domain: '@example.com'", "people.email_domain` must be the domain"},
      {"user_claim: email", "user_claim: sub", "people.email_domain` goes with"},
      {"users: create", "users: any", "people.users` must be existing or create"},
      {"users: create", "users: create\n        max_age_seconds: 0", "people.max_age_seconds` must be"},
      {"users: create", "users: create\n        max_age_seconds: 604801", "people.max_age_seconds` must be"},
      {"        role_claim: groups\n", "", "people.roles` goes with `role_claim`"},
      {"role: admin}", "role: owner}", "people.roles[0].role` must be admin or member"},
      {"value: 'CN=all,DC=example'", "value: admins", "people.roles[1]` has the value of another"},
      {"{value: admins,", "{value: '',", "people.roles[0].value` must be a text"},
      {"        teams_claim: groups\n", "", "people.teams` goes with `teams_claim`"},
      {"team: eng, role: member", "team: Eng, role: member", "people.teams[0].team` must be the id"},
      {"role: owner}", "role: root}", "people.teams[1].role` must be owner"},
      {"value: eng-leads", "value: eng", "people.teams[1]` has value and team of another"},
      {"users: create", "users: create\n        user: sub", "unknown key `identity.issuers[0].people.user`"},
      {"audience: [", "token_review: {url: 'https://a', token_file: /t}\n      audience: [", "token_review` goes with"},
      {"issuer: cluster", "issuer: https://login.example.com", "issuers[1].issuer` is that of another"},
      {"issuer: cluster", "issuer: https://login.example.com/", "issuers[1].issuer` is that of another"},
  };
  for (const auto& c : cases) {
    const std::string yaml = absl::StrReplaceAll(kGood, {{c.from, c.to}});
    ASSERT_NE(yaml, kGood) << c.from;
    const auto identity = Read(yaml);
    ASSERT_FALSE(identity.ok()) << c.to;
    EXPECT_NE(identity.status().message().find(c.problem), absl::string_view::npos) << c.problem << identity.status();
  }
}

}  // namespace
}  // namespace keyferry::server
