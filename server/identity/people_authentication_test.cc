// People who bring an ID token, and what the directory says of them then.
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "server/directory/bootstrap.h"
#include "server/identity/person_binding.h"
#include "server/identity/testing_people.h"
#include "server/identity/token_text.h"

namespace keyferry::server {
namespace {

using Teams = std::vector<std::pair<std::string, v1::TeamRole>>;

TEST_F(PeopleAuthenticationTest, APersonCallsAsTheUserThatTheyAre) {
  directory_.AddUser("ada", v1::ORG_ROLE_ADMIN);
  directory_.AddTeam("eng");
  directory_.AddMember("eng", "ada", v1::TEAM_ROLE_OWNER);
  const auto caller = Call(Token(Claims()));
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->Name(), "orgs/acme/users/ada");
  EXPECT_EQ((*caller)->kind, PrincipalKind::kUser);
  EXPECT_EQ((*caller)->tier, v1::TIER_BUSINESS);
  EXPECT_EQ((*caller)->role, v1::ORG_ROLE_ADMIN);
  EXPECT_EQ((*caller)->teams, (Teams{{"eng", v1::TEAM_ROLE_OWNER}}));
  EXPECT_EQ((*caller)->token_expire_time, directory_.now + absl::Hours(1));
  ASSERT_NE((*caller)->external, nullptr);
  EXPECT_NE((*caller)->user_create_time, 0);
  EXPECT_EQ(RecordsOf(**caller).size(), 2u);
  EXPECT_EQ(User("ada").issuer(), "cluster");
  EXPECT_EQ(User("ada").subject(), "sub-ada");
  EXPECT_EQ(Methods(), std::vector<std::string>{"keyferryd/EnrollUser"});
}

TEST_F(PeopleAuthenticationTest, WhoeverIsNoUserIsRefusedAndToldSo) {
  EXPECT_EQ(Who(Token(Claims())), "IDENTITY_REFUSED");
  EXPECT_EQ(directory_.external.refused_for, "there is no user `orgs/acme/users/ada`");
  EXPECT_TRUE(User("ada").name().empty());
  directory_.AddUser("ada");
  EXPECT_EQ(Who(Token(Claims())), "ada") << "at once";
}

TEST_F(PeopleAuthenticationTest, AnOrganizationThatMayNotBeEnteredIsEnteredByNobody) {
  ASSERT_TRUE(EnsureOrgWithAdmin(directory_.context, "rival", v1::TIER_BUSINESS, "root").ok());
  PersonClaims claims = Claims("root");
  claims.org = "rival";
  claims.may_be_created = true;
  EXPECT_EQ(Who(Token(claims)), "IDENTITY_REFUSED");
  claims.user = "new";
  EXPECT_EQ(Who(Token(claims)), "IDENTITY_REFUSED");
  directory_.external.entered.insert("none");
  claims.org = "none";
  EXPECT_EQ(Who(Token(claims)), "IDENTITY_REFUSED");
  EXPECT_EQ(directory_.external.refused_for, "there is no organization `none`");
  // What was let in is not any more once the configuration is another.
  directory_.AddUser("ada");
  const std::string token = Token(Claims());
  EXPECT_EQ(Who(token), "ada");
  directory_.external.entered.clear();
  ++directory_.external.generation;
  EXPECT_EQ(Who(token), "IDENTITY_REFUSED");
}

TEST_F(PeopleAuthenticationTest, TwoSubjectsAreNeverOneUser) {
  directory_.AddUser("ada");
  EXPECT_EQ(Who(Token(Claims(), "sub-ada")), "ada");
  EXPECT_EQ(Who(Token(Claims(), "sub-eve")), "IDENTITY_REFUSED");
  EXPECT_EQ(Who(Token(Claims(), "sub-ada", "prod")), "IDENTITY_REFUSED") << "another issuer's";
  EXPECT_EQ(Who(Token(Claims(), "sub-ada")), "ada");
  // An ADMIN says who it is.
  ASSERT_EQ(Bind("ada", "cluster", "sub-eve"), absl::OkStatus());
  EXPECT_EQ(Who(Token(Claims(), "sub-ada")), "IDENTITY_REFUSED");
  EXPECT_EQ(Who(Token(Claims(), "sub-eve")), "ada");
  ASSERT_EQ(Bind("ada", "", ""), absl::OkStatus());
  directory_.now += absl::Seconds(61);
  EXPECT_EQ(Who(Token(Claims(), "sub-ada")), "ada");
  EXPECT_EQ(ReasonOf(Bind("ada", "cluster", "")), "INVALID_FIELD");
  EXPECT_EQ(ReasonOf(Bind("ada", "", "sub-ada")), "INVALID_FIELD");
  EXPECT_EQ(ReasonOf(Bind("ada", "elsewhere", "sub-ada")), "INVALID_FIELD");
}

TEST_F(PeopleAuthenticationTest, WhoeverIsNoUserIsMadeOne) {
  PersonClaims claims = Claims();
  claims.may_be_created = true;
  const auto caller = Call(Token(claims));
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->role, v1::ORG_ROLE_MEMBER);
  EXPECT_EQ(User("ada").role(), v1::ORG_ROLE_MEMBER);
  EXPECT_EQ(User("ada").subject(), "sub-ada");
  EXPECT_EQ(Who(Token(claims)), "ada");
  EXPECT_EQ(Methods(), std::vector<std::string>{"keyferryd/EnrollUser"});
  // Users that it did not make are not its to take: whoever chooses that name there would be ADMIN.
  claims.user = "root";
  EXPECT_EQ(Who(Token(claims, "sub-mallory")), "IDENTITY_REFUSED");
  EXPECT_EQ(User("root").subject(), "");
  ASSERT_EQ(Bind("root", "cluster", "sub-root"), absl::OkStatus());
  EXPECT_EQ(Who(Token(claims, "sub-mallory")), "IDENTITY_REFUSED");
  EXPECT_EQ(Who(Token(claims, "sub-root")), "root");
}

TEST_F(PeopleAuthenticationTest, AUserWhoIsDeletedIsGoneForWhatWasBegun) {
  directory_.AddUser("ada");
  const std::string token = Token(Claims());
  ASSERT_EQ(Who(token), "ada");
  const std::string hash = HashTokenText(token);
  ASSERT_TRUE(directory_.authenticator.AuthenticateAgain(hash, /*external=*/true).ok());
  ASSERT_EQ(Delete("ada"), absl::OkStatus());
  EXPECT_FALSE(directory_.authenticator.AuthenticateAgain(hash, /*external=*/true).ok());
  EXPECT_EQ(Who(token), "IDENTITY_REFUSED");
  // Nor does what was begun make somebody a user again, or take the next one of that id.
  PersonClaims claims = Claims("bob");
  claims.may_be_created = true;
  const std::string other = Token(claims, "sub-bob");
  ASSERT_EQ(Who(other), "bob");
  ASSERT_EQ(Delete("bob"), absl::OkStatus());
  EXPECT_FALSE(directory_.authenticator.AuthenticateAgain(HashTokenText(other), /*external=*/true).ok());
  EXPECT_TRUE(User("bob").name().empty());
  directory_.AddUser("ada");
  EXPECT_EQ(ReasonOf(directory_.authenticator.AuthenticateAgain(hash, /*external=*/true).status()), "IDENTITY_REFUSED");
  EXPECT_EQ(User("ada").subject(), "");
}

TEST_F(PeopleAuthenticationTest, AnOlderTokenGivesNothingBackThatANewerOneDidNotSay) {
  directory_.AddUser("ada");
  directory_.AddTeam("eng");
  PersonClaims claims = Claims();
  claims.role = v1::ORG_ROLE_ADMIN;
  claims.teams = {{"eng", v1::TEAM_ROLE_OWNER}};
  const std::string first = Token(claims);
  ASSERT_EQ((*Call(first))->role, v1::ORG_ROLE_ADMIN);
  // An ADMIN takes all away by hand; the newer token agrees, and changes nothing.
  const auto demote = [&] {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name("orgs/acme/users/ada");
    request.mutable_user()->set_role(v1::ORG_ROLE_MEMBER);
    ASSERT_TRUE(directory_.users.UpdateUser(directory_.Root(), request).ok());
    v1::RemoveTeamMemberRequest remove;
    remove.set_name("orgs/acme/teams/eng/members/ada");
    ASSERT_TRUE(directory_.teams.RemoveTeamMember(directory_.Root(), remove).ok());
  };
  demote();
  EXPECT_EQ((*Call(first))->role, v1::ORG_ROLE_MEMBER) << "one as old as what counted only takes away";
  EXPECT_EQ((*Call(first))->RoleIn("eng"), v1::TEAM_ROLE_UNSPECIFIED);
  // One that is shown for the first time after the next one.
  directory_.now += absl::Minutes(1);
  claims.issue_time = directory_.now;
  const std::string late = Token(claims);
  directory_.now += absl::Minutes(1);
  claims.issue_time = directory_.now;
  claims.role = v1::ORG_ROLE_MEMBER;
  claims.teams = {{"eng", v1::TEAM_ROLE_UNSPECIFIED}};
  ASSERT_EQ((*Call(Token(claims)))->role, v1::ORG_ROLE_MEMBER);
  for (const std::string& older : {first, late}) {
    EXPECT_EQ((*Call(older))->role, v1::ORG_ROLE_MEMBER);
    EXPECT_EQ((*Call(older))->RoleIn("eng"), v1::TEAM_ROLE_UNSPECIFIED);
  }
  EXPECT_EQ(Methods().size(), 1u) << "that a token is the newest is no change of roles";
  // A newer one does give.
  directory_.now += absl::Minutes(1);
  claims.issue_time = directory_.now;
  claims.role = v1::ORG_ROLE_ADMIN;
  EXPECT_EQ((*Call(Token(claims)))->role, v1::ORG_ROLE_ADMIN);
}

TEST_F(PeopleAuthenticationTest, WhatWasVerifiedBeforeAReloadEnrolsNobodyAfterIt) {
  directory_.AddUser("ada");
  VerifiedPerson person;
  const std::string token = Token(Claims());
  person.admitted = directory_.external.known.at(token);
  person.generation = directory_.external.generation++;
  EXPECT_TRUE(absl::IsAborted(directory_.enrolment.Enrol(person)));
  person.generation = directory_.external.generation;
  directory_.now += absl::Hours(1);
  EXPECT_TRUE(absl::IsAborted(directory_.enrolment.Enrol(person))) << "it has expired";
  EXPECT_EQ(User("ada").subject(), "");
  directory_.now -= absl::Seconds(1);
  EXPECT_EQ(directory_.enrolment.Enrol(person), absl::OkStatus());
  EXPECT_EQ(User("ada").subject(), "sub-ada");
}

TEST_F(PeopleAuthenticationTest, WhoWasReadBeforeAReloadIsNotKeptAfterIt) {
  for (const char* id : {"ada", "bob"}) {
    directory_.AddUser(id);
    ASSERT_EQ(Who(Token(Claims(id), absl::StrCat("sub-", id))), id);
  }
  const std::string token = Token(Claims("ada"), "sub-ada");
  const std::string other = Token(Claims("bob"), "sub-bob");
  directory_.external.after_verifying = [&] {
    directory_.external.known[token] = directory_.external.known[other];
    ++directory_.external.generation;
    directory_.external.after_verifying = nullptr;
  };
  EXPECT_EQ(Who(token), "ada");
  EXPECT_EQ(Who(token), "bob") << "by the configuration of now";
}

TEST_F(PeopleAuthenticationTest, RolesOfTheClaimsAreTheDirectorysBeforeTheCall) {
  directory_.AddUser("ada");
  for (const char* team : {"eng", "ops", "web"}) directory_.AddTeam(team);
  directory_.AddMember("ops", "ada", v1::TEAM_ROLE_ADMIN);
  directory_.AddMember("web", "ada", v1::TEAM_ROLE_MEMBER);
  PersonClaims claims = Claims();
  claims.role = v1::ORG_ROLE_ADMIN;
  claims.teams = {{"absent", v1::TEAM_ROLE_OWNER}, {"eng", v1::TEAM_ROLE_OWNER}, {"ops", v1::TEAM_ROLE_UNSPECIFIED}};
  const std::string first = Token(claims);
  auto caller = Call(first);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->role, v1::ORG_ROLE_ADMIN);
  EXPECT_EQ((*caller)->RoleIn("eng"), v1::TEAM_ROLE_OWNER);
  EXPECT_EQ((*caller)->RoleIn("ops"), v1::TEAM_ROLE_UNSPECIFIED);
  EXPECT_EQ((*caller)->RoleIn("web"), v1::TEAM_ROLE_MEMBER) << "the claims do not speak of it";
  EXPECT_EQ((*caller)->RoleIn("absent"), v1::TEAM_ROLE_UNSPECIFIED);
  EXPECT_EQ(User("ada").role(), v1::ORG_ROLE_ADMIN);

  // What was taken away upstream is taken away by the next token, for the older ones too.
  directory_.now += absl::Minutes(1);
  claims.issue_time = directory_.now;
  claims.role = v1::ORG_ROLE_MEMBER;
  claims.teams = {{"eng", v1::TEAM_ROLE_UNSPECIFIED}};
  const std::string second = Token(claims);
  caller = Call(second);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->role, v1::ORG_ROLE_MEMBER);
  EXPECT_EQ((*caller)->RoleIn("eng"), v1::TEAM_ROLE_UNSPECIFIED);
  caller = Call(first);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->role, v1::ORG_ROLE_MEMBER) << "an older token brings nothing back";
  EXPECT_EQ((*caller)->RoleIn("eng"), v1::TEAM_ROLE_UNSPECIFIED);
  EXPECT_EQ(Methods(), (std::vector<std::string>{"keyferryd/SetRoles", "keyferryd/EnrollUser"}));
}

// A token that says nothing new must neither empty the cache of callers nor take an ADMIN's change from under them.
TEST_F(PeopleAuthenticationTest, ANewerTokenThatSaysTheSameLeavesTheUserAsTheyAre) {
  directory_.AddUser("ada");
  PersonClaims claims = Claims();
  claims.role = v1::ORG_ROLE_ADMIN;
  ASSERT_EQ(Who(Token(claims)), "ada");
  v1::UpdateUserRequest demote;
  *demote.mutable_user() = User("ada");
  const auto root = directory_.Login("orgs/acme/users/root");
  const auto before = directory_.authenticator.Authenticate(root);
  ASSERT_TRUE(before.ok());
  directory_.now += absl::Minutes(1);
  claims.issue_time = directory_.now;
  ASSERT_EQ(Who(Token(claims)), "ada");
  EXPECT_EQ(*directory_.authenticator.Authenticate(root), *before) << "kept";
  EXPECT_EQ(User("ada").etag(), demote.user().etag());
  // It was noted all the same.
  PersonClaims older = claims;
  older.issue_time -= absl::Seconds(30);
  older.role = v1::ORG_ROLE_MEMBER;
  ASSERT_EQ(Who(Token(older)), "ada");
  EXPECT_EQ(User("ada").role(), v1::ORG_ROLE_ADMIN);
  demote.mutable_user()->set_role(v1::ORG_ROLE_MEMBER);
  demote.mutable_update_mask()->add_paths("role");
  EXPECT_TRUE(directory_.users.UpdateUser(directory_.Root(), demote).ok());
  // And ends with the user.
  ASSERT_EQ(Delete("ada"), absl::OkStatus());
  EXPECT_FALSE(*directory_.store->View()->Contains(PersonClaimsKey("acme", "ada")));
}

TEST_F(PeopleAuthenticationTest, WithoutClaimsOfRolesTheDirectorySaysThem) {
  directory_.AddUser("ada", v1::ORG_ROLE_ADMIN);
  ASSERT_EQ(Who(Token(Claims())), "ada");
  EXPECT_EQ(User("ada").role(), v1::ORG_ROLE_ADMIN);
  EXPECT_EQ(Methods().size(), 1u);
}

TEST_F(PeopleAuthenticationTest, TheLastAdminIsNotMadeAMember) {
  ASSERT_EQ(Bind("root", "cluster", "sub-ada"), absl::OkStatus());
  PersonClaims claims = Claims("root");
  claims.role = v1::ORG_ROLE_MEMBER;
  const std::string token = Token(claims);
  EXPECT_EQ(Who(token), "LAST_ADMIN");
  EXPECT_EQ(Who(token), "LAST_ADMIN") << "nor called as";
  EXPECT_EQ(User("root").role(), v1::ORG_ROLE_ADMIN);
  ASSERT_EQ(directory_.not_enrolled.size(), 1u) << "the log has it";
  const v1::AuditEntry& denied = directory_.not_enrolled.front();
  EXPECT_EQ(denied.method(), "keyferryd/SetRoles");
  EXPECT_EQ(denied.resource(), "orgs/acme/users/root");
  EXPECT_EQ(denied.identity().issuer(), "cluster");
  EXPECT_EQ(denied.identity().subject(), "sub-ada");
  EXPECT_EQ(denied.reason(), "LAST_ADMIN");
  EXPECT_EQ(denied.peer(), kPeer);
  directory_.AddUser("other", v1::ORG_ROLE_ADMIN);
  directory_.now += Enrolment::kFailureTime;
  const auto caller = Call(token);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->role, v1::ORG_ROLE_MEMBER);
}

TEST_F(PeopleAuthenticationTest, EveryUserOfTierTeamIsInItsTeam) {
  directory_.SetTier(v1::TIER_TEAM);
  PersonClaims claims = Claims();
  claims.may_be_created = true;
  claims.teams = {{"default", v1::TEAM_ROLE_UNSPECIFIED}};
  auto caller = Call(Token(claims));
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->teams, (Teams{{"default", v1::TEAM_ROLE_MEMBER}}));
  claims.user = "bob";
  claims.teams = {{"default", v1::TEAM_ROLE_OWNER}};
  caller = Call(Token(claims, "sub-bob"));
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->teams, (Teams{{"default", v1::TEAM_ROLE_OWNER}}));
}

TEST_F(PeopleAuthenticationTest, ATokenThatTheyMakeEndsWithTheirs) {
  directory_.AddUser("ada");
  const auto caller = Call(Token(Claims()));
  ASSERT_TRUE(caller.ok()) << caller.status();
  v1::CreateTokenRequest request;
  request.set_parent("orgs/acme/users/ada");
  request.mutable_ttl()->set_seconds(86400);
  const auto made = directory_.tokens.CreateToken(**caller, request);
  ASSERT_TRUE(made.ok()) << made.status();
  EXPECT_EQ(made->metadata().expire_time().seconds(), absl::ToUnixSeconds(directory_.now + absl::Hours(1)));
  const auto self = directory_.tokens.GetCaller(**caller, {});
  ASSERT_TRUE(self.ok());
  EXPECT_EQ(self->issuer(), "cluster");
  EXPECT_EQ(self->subject(), "sub-ada");
}

}  // namespace
}  // namespace keyferry::server
