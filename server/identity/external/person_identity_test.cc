#include "server/identity/external/person_identity.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/identity/jwt/testing_jwt.h"

namespace keyferry::server {
namespace {

constexpr char kIssuer[] = "https://login.example.com";
constexpr char kClaims[] =
    R"({"iss":"https://login.example.com","sub":"ada","aud":"keyferry-cli","iat":1700000000,"exp":1700003600,)"
    R"("email":"ada.l@example.com","email_verified":true,"org":"acme","groups":["staff","eng"]})";
const absl::Time kNow = absl::FromUnixSeconds(1700000100);

class PersonIdentityTest : public ::testing::Test {
 protected:
  PersonIdentityTest() : key_(JwtAlgorithm::kEs256, "k1") {
    issuer_.set_name("corp");
    issuer_.set_kind("oidc");
    issuer_.set_issuer(kIssuer);
    issuer_.add_audience("keyferry-cli");
    issuer_.add_audience("keyferry-web");
    issuer_.add_orgs("acme");
    people().set_user_claim("sub");
    people().set_users("existing");
    people().set_max_age_seconds(86400);
  }

  config::People& people() { return *issuer_.mutable_people(); }
  void AddRole(const std::string& value, const std::string& role) {
    people().set_role_claim("groups");
    people().add_roles()->set_value(value);
    people().mutable_roles(people().roles_size() - 1)->set_role(role);
  }
  void AddTeam(const std::string& value, const std::string& team, const std::string& role) {
    people().set_teams_claim("groups");
    config::TeamOfValue& one = *people().add_teams();
    one.set_value(value);
    one.set_team(team);
    one.set_role(role);
  }
  absl::StatusOr<IdToken> ReadWith(const std::string& header, const std::string& claims, absl::Time now = kNow) const {
    const std::string token = key_.SignText(header, claims);
    const auto jws = ParseJws(token);
    if (!jws.ok()) return jws.status();
    const auto checked =
        CheckClaims(jws->payload, {kIssuer, {issuer_.audience().begin(), issuer_.audience().end()}}, now);
    if (!checked.ok()) return checked.status();
    return ReadIdToken(*jws, *checked, issuer_, now);
  }
  absl::StatusOr<IdToken> Read(const std::string& claims = kClaims, absl::Time now = kNow) const {
    return ReadWith(R"({"alg":"ES256","kid":"k1"})", claims, now);
  }
  // Why the claims are refused that have `to` where the good ones have `from`; "" if they are not.
  std::string Why(absl::string_view from, absl::string_view to) const {
    const std::string claims = absl::StrReplaceAll(kClaims, {{from, to}});
    EXPECT_NE(claims, kClaims) << from;
    const auto read = Read(claims);
    EXPECT_TRUE(read.ok() || absl::IsPermissionDenied(read.status())) << read.status();
    return read.ok() ? "" : std::string(read.status().message());
  }
  void ExpectWhy(absl::string_view from, absl::string_view to, absl::string_view why) const {
    const std::string said = Why(from, to);
    EXPECT_NE(said.find(std::string(why)), std::string::npos) << to << ": " << said;
    EXPECT_FALSE(why.empty() && !said.empty()) << to << ": " << said;
  }
  // Without an empty text, every text is found in.
  std::string UserOf(const std::string& sub) const {
    const auto read = Read(absl::StrReplaceAll(kClaims, {{R"("sub":"ada")", absl::StrCat(R"("sub":")", sub, "\"")}}));
    return read.ok() ? read->identity.person->user : "";
  }

  const TestJwtKey key_;
  config::Issuer issuer_;
};

TEST_F(PersonIdentityTest, AnIdTokenSaysWhoItIs) {
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.status();
  const ExternalIdentity& identity = read->identity;
  EXPECT_EQ(identity.issuer, "corp");
  EXPECT_EQ(identity.subject, "ada");
  ASSERT_NE(identity.person, nullptr);
  EXPECT_EQ(identity.person->org, "acme");
  EXPECT_EQ(identity.person->user, "ada");
  EXPECT_EQ(identity.issuer_url, issuer_.issuer());
  EXPECT_FALSE(identity.person->may_be_created);
  EXPECT_TRUE(identity.person->may_bind);
  EXPECT_EQ(identity.person->role, v1::ORG_ROLE_UNSPECIFIED) << "the directory says it";
  EXPECT_TRUE(identity.person->teams.empty());
  EXPECT_EQ(read->expire_time, absl::FromUnixSeconds(1700003600));
}

TEST_F(PersonIdentityTest, OnlyTheSubjectBindsWhoIsThere) {
  people().set_users("create");
  EXPECT_FALSE(Read()->identity.person->may_bind);
  people().set_users("existing");
  people().set_user_claim("org");
  ASSERT_TRUE(Read().ok());
  EXPECT_FALSE(Read()->identity.person->may_bind) << "whoever may change it there would choose who to be";
}

TEST_F(PersonIdentityTest, OtherKindsOfTokensAreNone) {
  EXPECT_TRUE(ReadWith(R"({"alg":"ES256","typ":"JWT"})", kClaims).ok());
  for (const char* type :
       {R"("at+jwt")", R"("application/at+jwt")", R"("logout+jwt")", R"("dpop+jwt")", R"("")", "1"}) {
    EXPECT_FALSE(ReadWith(absl::StrCat(R"({"alg":"ES256","typ":)", type, "}"), kClaims).ok()) << type;
  }
  ExpectWhy(R"("org")", R"("events":{},"org")", "`events`");
  ExpectWhy(R"("org")", R"("cnf":{"jkt":"x"},"org")", "`cnf`");
  ExpectWhy(R"("org")", R"("kubernetes.io":{"namespace":"tools"},"org")", "`kubernetes.io`");
}

TEST_F(PersonIdentityTest, ItWasGivenToAClientOfTheIssuers) {
  constexpr char kAud[] = R"("aud":"keyferry-cli")";
  ExpectWhy(kAud, R"("aud":"other")", "another audience");
  ExpectWhy(kAud, R"("aud":["other"])", "another audience");
  ExpectWhy(kAud, R"("aud":["keyferry-cli"])", "");
  ExpectWhy(kAud, R"("aud":"keyferry-web","azp":"keyferry-cli")", "");
  ExpectWhy(kAud, R"("aud":"keyferry-cli","azp":"other")", "`azp`");
  ExpectWhy(kAud, R"("aud":"keyferry-cli","azp":["keyferry-cli"])", "`azp`");
  ExpectWhy(kAud, R"("aud":["keyferry-cli","other"])", "several audiences");
  ExpectWhy(kAud, R"("aud":["keyferry-cli","other"],"azp":"other")", "`azp`");
  ExpectWhy(kAud, R"("aud":["keyferry-cli","other"],"azp":"keyferry-cli")", "");
}

TEST_F(PersonIdentityTest, ItIsYoung) {
  ExpectWhy(R"("iat":1700000000,)", "", "`iat` is missing");
  people().set_max_age_seconds(600);
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->expire_time, absl::FromUnixSeconds(1700000600)) << "before its `exp`";
  EXPECT_TRUE(Read(kClaims, absl::FromUnixSeconds(1700000659)).ok());
  EXPECT_FALSE(Read(kClaims, absl::FromUnixSeconds(1700000660)).ok());
}

TEST_F(PersonIdentityTest, TwoSubjectsAreNeverOneUser) {
  EXPECT_EQ(UserOf("ada"), "ada");
  EXPECT_EQ(UserOf("ada-1.x_y"), "ada-1.x_y");
  for (const char* sub :
       {"Ada", " ada", "ada ", "ada\\u0000", "ad\\u00e1", "ada/../bob", "auth0|ada", "-ada", "ada@example.com"}) {
    EXPECT_EQ(UserOf(sub), "") << sub;
  }
  EXPECT_EQ(UserOf(std::string(63, 'a')), std::string(63, 'a'));
  EXPECT_EQ(UserOf(std::string(64, 'a')), "");
  people().set_user_claim("preferred_username");
  ExpectWhy(R"("org")", R"("preferred_username":["ada"],"org")", "is no text");
  ExpectWhy(R"("org")", R"("preferred_username":7,"org")", "is no text");
  EXPECT_FALSE(Read().ok()) << "the claim is missing";
  ExpectWhy(R"("sub":"ada")", R"("preferred_username":"ada","sub":"a\u0007b")", "control characters");
}

TEST_F(PersonIdentityTest, AnAddressCountsIfItIsVerifiedAndOfTheDomain) {
  people().set_user_claim("email");
  people().set_email_domain("example.com");
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->identity.person->user, "ada.l");
  EXPECT_EQ(read->identity.subject, "ada");
  constexpr char kVerified[] = R"("email_verified":true)";
  for (const char* other : {R"("email_verified":false)", R"("email_verified":"true")", R"("email_verified":1)",
                            R"("x":true)", R"("email_verified":null)"}) {
    ExpectWhy(kVerified, other, "not verified");
  }
  for (const char* other :
       {"ada.l@example.org", "ada.l@evil-example.com", "ada.l@example.com.evil.org", "ada.l", "ada.l@EXAMPLE.COM"}) {
    ExpectWhy("ada.l@example.com", other, "another domain");
  }
  for (const char* other : {"@example.com", "Ada@example.com", "root@evil.org@example.com"}) {
    ExpectWhy("ada.l@example.com", other, "no id of a user");
  }
}

TEST_F(PersonIdentityTest, AnOrganizationThatTheIssuerDoesNotNameIsEnteredByNobody) {
  issuer_.add_orgs("rival");
  people().set_org_claim("org");
  ASSERT_TRUE(Read().ok());
  ExpectWhy(R"("org":"acme")", R"("org":"rival")", "");
  ExpectWhy(R"("org":"acme")", R"("org":"other")", "no organization of the issuer's");
  ExpectWhy(R"("org":"acme")", R"("org":"acme ")", "no organization of the issuer's");
  ExpectWhy(R"("org":"acme")", R"("org":["acme"])", "is no text");
  ExpectWhy(R"("org":"acme")", R"("org":null)", "is no text");
  ExpectWhy(R"("org":"acme")", R"("x":1)", "is no text");
}

TEST_F(PersonIdentityTest, WhatIsMappedCountsAndNothingElse) {
  AddRole("staff", "member");
  AddRole("admins", "admin");
  AddTeam("eng", "eng", "member");
  AddTeam("leads", "eng", "owner");
  AddTeam("ops", "ops", "admin");
  const auto read = Read();
  ASSERT_TRUE(read.ok()) << read.status();
  EXPECT_EQ(read->identity.person->role, v1::ORG_ROLE_MEMBER);
  const std::vector<std::pair<std::string, v1::TeamRole>> teams = {{"eng", v1::TEAM_ROLE_MEMBER},
                                                                   {"ops", v1::TEAM_ROLE_UNSPECIFIED}};
  EXPECT_EQ(read->identity.person->teams, teams);
  constexpr char kGroups[] = R"("groups":["staff","eng"])";
  const auto with = [&](absl::string_view groups) { return Read(absl::StrReplaceAll(kClaims, {{kGroups, groups}})); };
  const auto all = with(R"("groups":["leads","admins","eng","staff"])");
  ASSERT_TRUE(all.ok()) << all.status();
  EXPECT_EQ(all->identity.person->role, v1::ORG_ROLE_ADMIN);
  EXPECT_EQ(all->identity.person->teams[0].second, v1::TEAM_ROLE_OWNER);
  const auto one = with(R"("groups":"staff")");
  ASSERT_TRUE(one.ok()) << one.status();
  EXPECT_EQ(one->identity.person->teams[0].second, v1::TEAM_ROLE_UNSPECIFIED);
  // A text is one value, whatever it holds, and no other value is near enough.
  for (const char* groups : {R"("groups":"staff admins")", R"("groups":"staff,admins")", R"("groups":["Staff"])",
                             R"("groups":["staff "])", R"("groups":[])", R"("x":1)",
                             R"("groups":["admin"],"role":"admin")", R"("groups":["root"],"roles":["admins"])"}) {
    ExpectWhy(kGroups, groups, "has a role in the organization");
  }
  for (const char* groups : {R"("groups":{"staff":true})", R"("groups":["staff",1])", R"("groups":[["staff"]])",
                             R"("groups":7)", R"("groups":["staff",null])"}) {
    ExpectWhy(kGroups, groups, "no text and no list of texts");
  }
}

TEST_F(PersonIdentityTest, WhatTwoReadersUnderstandInTwoWaysIsRefused) {
  AddRole("staff", "member");
  EXPECT_FALSE(Why(R"("groups":["staff","eng"])", R"("groups":["staff"],"groups":["admins"])").empty());
  EXPECT_FALSE(Why(R"("sub":"ada")", R"("sub":"ada","sub":"root")").empty());
  std::string nested = R"("deep")";
  for (int i = 0; i < 40; ++i) nested = absl::StrCat("[", nested, "]");
  EXPECT_FALSE(Why(R"("groups":["staff","eng"])", absl::StrCat(R"("groups":)", nested)).empty());
}

TEST_F(PersonIdentityTest, HugeClaimsAreBounded) {
  AddRole("staff", "member");
  std::string groups = R"("staff")";
  while (groups.size() < 8000) absl::StrAppend(&groups, R"(,"g)", groups.size(), "\"");
  constexpr char kGroups[] = R"(["staff","eng"])";
  EXPECT_EQ(Why(kGroups, absl::StrCat("[", groups, "]")), "");
  while (groups.size() < 13000) absl::StrAppend(&groups, R"(,"g)", groups.size(), "\"");
  const auto huge = Read(absl::StrReplaceAll(kClaims, {{kGroups, absl::StrCat("[", groups, "]")}}));
  EXPECT_FALSE(huge.ok()) << "a token is at most 16 KiB";
}

}  // namespace
}  // namespace keyferry::server
