// Which user an ID token calls as, and for how long after that has ended it calls as nobody.
#include <gtest/gtest.h>

#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/directory/person_bindings.h"
#include "server/identity/person_binding.h"
#include "server/identity/testing_people.h"
#include "server/records.h"

namespace keyferry::server {
namespace {

using PeopleBindingTest = PeopleAuthenticationTest;

TEST_F(PeopleBindingTest, ByAClaimThatPeopleChangeAnAdminBinds) {
  directory_.AddUser("boss", v1::ORG_ROLE_ADMIN);
  PersonClaims claims = Claims("boss");
  claims.may_bind = false;
  EXPECT_EQ(Who(Token(claims, "sub-mallory")), "IDENTITY_REFUSED");
  EXPECT_EQ(directory_.external.refused_for,
            "the user `orgs/acme/users/boss` is bound to nobody; see `keyferry user bind`");
  EXPECT_EQ(User("boss").subject(), "");
  ASSERT_EQ(Bind("boss", "cluster", "sub-boss"), absl::OkStatus());
  EXPECT_EQ(Who(Token(claims, "sub-mallory")), "IDENTITY_REFUSED");
  EXPECT_EQ(Who(Token(claims, "sub-boss")), "boss");
}

TEST_F(PeopleBindingTest, OneSubjectIsNeverTwoUsers) {
  directory_.AddUser("ada");
  directory_.AddUser("bob");
  ASSERT_EQ(Bind("ada", "cluster", "sub-ada"), absl::OkStatus());
  EXPECT_EQ(Who(Token(Claims("bob"), "sub-ada")), "IDENTITY_REFUSED");
  EXPECT_EQ(directory_.external.refused_for, "you are the user `orgs/acme/users/ada` already");
  PersonClaims claims = Claims("new");
  claims.may_be_created = true;
  EXPECT_EQ(Who(Token(claims, "sub-ada")), "IDENTITY_REFUSED");
  EXPECT_TRUE(User("new").name().empty());
  EXPECT_TRUE(absl::IsAlreadyExists(Bind("bob", "cluster", "sub-ada")));
  EXPECT_EQ(User("bob").subject(), "");
  v1::CreateUserRequest request;
  request.set_parent("orgs/acme");
  request.set_user_id("eve");
  request.mutable_user()->set_role(v1::ORG_ROLE_MEMBER);
  request.mutable_user()->set_issuer("cluster");
  request.mutable_user()->set_subject("sub-ada");
  EXPECT_TRUE(absl::IsAlreadyExists(directory_.users.CreateUser(directory_.Root(), request).status()));
  EXPECT_EQ(Bind("bob", "prod", "sub-ada"), absl::OkStatus()) << "another issuer's";
  // Once it is free.
  ASSERT_EQ(Bind("ada", "", ""), absl::OkStatus());
  EXPECT_TRUE(directory_.users.CreateUser(directory_.Root(), request).ok());
}

TEST_F(PeopleBindingTest, WhatWasIssuedBeforeAUserWasDeletedMakesNobodyAUser) {
  PersonClaims claims = Claims("bob");
  claims.may_be_created = true;
  const std::string token = Token(claims, "sub-bob");
  const std::string unused = Token(claims, "sub-bob");
  ASSERT_EQ(Who(token), "bob");
  directory_.now += absl::Minutes(10);
  ASSERT_EQ(Delete("bob"), absl::OkStatus());
  EXPECT_EQ(Who(token), "IDENTITY_REFUSED");
  EXPECT_EQ(Who(unused), "IDENTITY_REFUSED");
  EXPECT_EQ(Who(Token(Claims("bob"), "sub-bob")), "IDENTITY_REFUSED") << "of that very moment";
  EXPECT_TRUE(User("bob").name().empty());
  claims.issue_time = directory_.now + absl::Seconds(30);
  EXPECT_EQ(Who(Token(claims, "sub-bob")), "IDENTITY_REFUSED") << "by a clock that is ahead";
  directory_.now += absl::Seconds(61);
  claims.issue_time = directory_.now;
  EXPECT_EQ(Who(Token(claims, "sub-bob")), "bob") << "the issuer still vouches for him";
  EXPECT_EQ(Who(token), "IDENTITY_REFUSED");
}

TEST_F(PeopleBindingTest, WhatWasIssuedBeforeAUserWasDeletedOrUnboundBindsNobody) {
  directory_.AddUser("ada");
  const std::string token = Token(Claims());
  ASSERT_EQ(Who(token), "ada");
  directory_.now += absl::Minutes(10);
  ASSERT_EQ(Bind("ada", "", ""), absl::OkStatus());
  EXPECT_EQ(Who(token), "IDENTITY_REFUSED");
  directory_.now += absl::Minutes(10);
  EXPECT_EQ(Who(token), "IDENTITY_REFUSED");
  const std::string next = Token(Claims());
  ASSERT_EQ(Who(next), "ada");
  ASSERT_EQ(Delete("ada"), absl::OkStatus());
  directory_.now += absl::Minutes(10);
  directory_.AddUser("ada");
  for (const std::string& old : {token, next}) EXPECT_EQ(Who(old), "IDENTITY_REFUSED");
  EXPECT_EQ(User("ada").subject(), "") << "she is somebody new";
}

TEST_F(PeopleBindingTest, WhatHasEndedIsRememberedAsLongAsATokenOfItCounts) {
  const auto remembered = [&] {
    return ScanRecords<storage::records::PersonBindingRecord>(*directory_.store->View(), storage::Table::kPersonBinding,
                                                              "acme", kEndedPeople)
        ->size();
  };
  for (const char* id : {"ada", "bob", "eve"}) {
    directory_.AddUser(id);
    ASSERT_EQ(Bind(id, "cluster", absl::StrCat("sub-", id)), absl::OkStatus());
  }
  ASSERT_EQ(Delete("ada"), absl::OkStatus());
  EXPECT_EQ(remembered(), 1u);
  directory_.now += absl::Hours(7 * 24);
  ASSERT_EQ(Delete("bob"), absl::OkStatus());
  EXPECT_EQ(remembered(), 2u);
  directory_.now += absl::Hours(24);
  ASSERT_EQ(Delete("eve"), absl::OkStatus());
  EXPECT_EQ(remembered(), 2u);
}

// Else whoever had many deleted could keep the next from being deleted.
TEST_F(PeopleBindingTest, NoEndIsRefusedWhereTooManyHaveEnded) {
  const auto remembered = [&] {
    return ScanRecords<storage::records::PersonBindingRecord>(*directory_.store->View(), storage::Table::kPersonBinding,
                                                              "acme", kEndedPeople)
        ->size();
  };
  constexpr int kMax = 2;
  const auto end = [&](const std::string& id) {
    storage::records::UserRecord user;
    user.set_id(id);
    user.set_issuer("cluster");
    user.set_issuer_url("https://cluster");
    user.set_subject("sub-" + id);
    storage::Mutation mutation;
    EXPECT_EQ(StageBinding(*directory_.store->View(), "acme", user, {}, directory_.now, &mutation, kMax),
              absl::OkStatus());
    EXPECT_TRUE(directory_.store->Commit(mutation, storage::Durability::kSynced).ok());
  };
  PersonClaims claims = Claims("ada");
  const std::string of_ada = Token(claims, "sub-ada", "cluster", "https://cluster");
  directory_.AddUser("ada");
  ASSERT_EQ(Who(of_ada), "ada");
  claims.user = "new";
  claims.may_be_created = true;
  const std::string young = Token(claims, "sub-new", "cluster", "https://cluster");
  end("one");
  for (int i = 0; i < 3; ++i) end("two");
  EXPECT_EQ(remembered(), 2u) << "one who ends again is no new one";
  end("three");
  EXPECT_EQ(remembered(), 1u);
  PersonClaims dropped = Claims("one");
  dropped.may_be_created = true;
  EXPECT_EQ(Who(Token(dropped, "sub-one", "cluster", "https://cluster")), "IDENTITY_REFUSED")
      << "dropped, not forgotten";
  EXPECT_EQ(Who(young), "IDENTITY_REFUSED");
  EXPECT_EQ(Who(of_ada), "ada") << "who is bound already";
  directory_.now += absl::Minutes(2);
  claims.issue_time = directory_.now;
  EXPECT_EQ(Who(Token(claims, "sub-new", "cluster", "https://cluster")), "new");
}

TEST_F(PeopleBindingTest, WhoIsBoundAgainStaysShutToWhatWasBefore) {
  directory_.AddUser("ada");
  const std::string old = Token(Claims(), "sub-ada");
  ASSERT_EQ(Who(old), "ada");
  ASSERT_EQ(Bind("ada", "", ""), absl::OkStatus());
  ASSERT_EQ(Bind("ada", "cluster", "sub-ada"), absl::OkStatus());
  // As if it had been dropped for others.
  const storage::RecordKey ended{storage::Table::kPersonBinding, "acme", kEndedPeople,
                                 PersonBindingId("https://cluster", "sub-ada")};
  ASSERT_TRUE(*directory_.store->View()->Contains(ended));
  storage::Mutation drop;
  drop.Delete(ended, std::nullopt);
  ASSERT_TRUE(directory_.store->Commit(drop, storage::Durability::kSynced).ok());
  EXPECT_EQ(Who(old), "IDENTITY_REFUSED");
}

TEST_F(PeopleBindingTest, AnotherIssuerOfTheSameNameIsAnotherOne) {
  directory_.AddUser("ada");
  ASSERT_EQ(Who(Token(Claims())), "ada");
  EXPECT_EQ(Who(Token(Claims(), "sub-ada", "cluster", "https://elsewhere")), "IDENTITY_REFUSED");
  EXPECT_EQ(directory_.external.refused_for, "the user `orgs/acme/users/ada` is somebody else");
}

TEST_F(PeopleBindingTest, ClaimsOfSomebodyElseCountForNobody) {
  directory_.AddUser("ada");
  PersonClaims claims = Claims();
  claims.role = v1::ORG_ROLE_ADMIN;
  ASSERT_EQ(Who(Token(claims)), "ada");
  ASSERT_EQ(User("ada").role(), v1::ORG_ROLE_ADMIN);
  // Her successor's token is older than hers.
  ASSERT_EQ(Bind("ada", "cluster", "sub-eve"), absl::OkStatus());
  claims.role = v1::ORG_ROLE_MEMBER;
  claims.issue_time -= absl::Minutes(1);
  ASSERT_EQ(Who(Token(claims, "sub-eve")), "ada");
  EXPECT_EQ(User("ada").role(), v1::ORG_ROLE_MEMBER);
}

}  // namespace
}  // namespace keyferry::server
