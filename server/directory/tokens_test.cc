#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/directory/testing_directory.h"

namespace keyferry::server {
namespace {

v1::CreateTokenRequest TokenFor(const std::string& parent, int64_t ttl_seconds = 0) {
  v1::CreateTokenRequest request;
  request.set_parent(parent);
  if (ttl_seconds != 0) request.mutable_ttl()->set_seconds(ttl_seconds);
  return request;
}

absl::Time ExpiryOf(const v1::Token& token) { return absl::FromUnixSeconds(token.expire_time().seconds()); }

TEST(TokensTest, ACreatedTokenAuthenticatesItsPrincipalUntilItExpires) {
  TestDirectory directory;
  directory.AddUser("ada");
  const auto created = directory.tokens.CreateToken(directory.Root(), TokenFor("orgs/acme/users/ada", 3600));
  ASSERT_TRUE(created.ok()) << created.status();
  const std::string bearer = absl::StrCat("Bearer ", created->token());
  const auto caller = directory.authenticator.Authenticate(bearer);
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ((*caller)->Name(), "orgs/acme/users/ada");
  EXPECT_EQ(created->metadata().creator(), "orgs/acme/users/root");
  directory.now += absl::Seconds(3599);
  EXPECT_TRUE(directory.Authenticate(bearer).ok());
  directory.now += absl::Seconds(1);
  EXPECT_EQ(ReasonOf(directory.Authenticate(bearer)), "TOKEN_EXPIRED");
}

TEST(TokensTest, RevocationCountsAtOnce) {
  TestDirectory directory;
  directory.AddUser("ada");
  const auto created = directory.tokens.CreateToken(directory.Root(), TokenFor("orgs/acme/users/ada"));
  const std::string bearer = absl::StrCat("Bearer ", created->token());
  ASSERT_TRUE(directory.Authenticate(bearer).ok());
  v1::RevokeTokenRequest revoke;
  revoke.set_name(created->metadata().name());
  const Caller ada = directory.As("orgs/acme/users/ada");
  ASSERT_TRUE(directory.tokens.RevokeToken(ada, revoke).ok());
  EXPECT_EQ(ReasonOf(directory.Authenticate(bearer)), "TOKEN_UNKNOWN");
  EXPECT_EQ(directory.tokens.RevokeToken(ada, revoke).status().code(), absl::StatusCode::kNotFound);
}

TEST(TokensTest, OwnTokensEndNoLaterThanTheOnePresented) {
  TestDirectory directory;
  directory.AddUser("ada");
  const Caller ada = directory.As("orgs/acme/users/ada");  // 24 hours
  const auto own = directory.tokens.CreateToken(ada, TokenFor("orgs/acme/users/ada", 90 * 86400));
  ASSERT_TRUE(own.ok()) << own.status();
  EXPECT_EQ(ExpiryOf(own->metadata()), ada.token_expire_time);
  const auto for_other = directory.tokens.CreateToken(directory.Root(), TokenFor("orgs/acme/users/ada", 90 * 86400));
  EXPECT_EQ(ExpiryOf(for_other->metadata()), directory.now + absl::Hours(24 * 90));
}

TEST(TokensTest, ALimitOnLiveTokensThatExpiryMakesRoomIn) {
  TestDirectory directory;
  directory.AddUser("ada");
  directory.AddUser("bob");
  const Caller root = directory.Root();
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(directory.tokens.CreateToken(root, TokenFor("orgs/acme/users/ada", 3600)).ok()) << i;
  }
  const auto refused = directory.tokens.CreateToken(root, TokenFor("orgs/acme/users/ada", 3600));
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(ReasonOf(refused.status()), "TOO_MANY");
  EXPECT_TRUE(directory.tokens.CreateToken(root, TokenFor("orgs/acme/users/bob")).ok());
  directory.now += absl::Seconds(3600);
  EXPECT_TRUE(directory.tokens.CreateToken(root, TokenFor("orgs/acme/users/ada")).ok());
}

TEST(TokensTest, SweepTakesWhatWasWrittenBelowAndNothingElse) {
  TestDirectory directory;
  directory.AddUser("ada");
  directory.AddUser("bob");
  directory.PutCredential("users/ada", "LATE");
  directory.PutCredential("users/bob", "KEPT");
  const std::string ada = directory.Login("orgs/acme/users/ada");
  const std::string bob = directory.Login("orgs/acme/users/bob");
  ASSERT_TRUE(SweepBelow(directory.store.get(), "acme", "users/ada", directory.now).ok());
  EXPECT_FALSE(directory.HasCredential("users/ada", "LATE"));
  EXPECT_EQ(ReasonOf(directory.Authenticate(ada)), "TOKEN_UNKNOWN");
  EXPECT_TRUE(directory.HasCredential("users/bob", "KEPT"));
  EXPECT_TRUE(directory.Authenticate(bob).ok());
  EXPECT_TRUE(SweepBelow(directory.store.get(), "acme", "users/ada", directory.now).ok());
}

TEST(TokensTest, NobodyElseManagesThem) {
  TestDirectory directory;
  directory.AddUser("ada");
  directory.AddUser("bob");
  const Caller bob = directory.As("orgs/acme/users/bob");
  v1::ListTokensRequest list;
  list.set_parent("orgs/acme/users/ada");
  EXPECT_EQ(directory.tokens.CreateToken(bob, TokenFor("orgs/acme/users/ada")).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(directory.tokens.ListTokens(bob, list).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(directory.tokens.CreateToken(bob, TokenFor("orgs/acme/users/nobody")).status().code(),
            absl::StatusCode::kNotFound);
  // An absent principal cannot be told from a hidden one.
  list.set_parent("orgs/acme/users/nobody");
  EXPECT_EQ(directory.tokens.ListTokens(bob, list).status().message(), "orgs/acme/users/nobody: not found");
}

TEST(TokensTest, ListsNewestFirstAcrossPages) {
  TestDirectory directory;
  directory.AddUser("ada");
  for (int i = 0; i < 5; ++i) {
    v1::CreateTokenRequest request = TokenFor("orgs/acme/users/ada");
    request.set_display_name(absl::StrCat("t", i));
    ASSERT_TRUE(directory.tokens.CreateToken(directory.Root(), request).ok());
    directory.now += absl::Minutes(1);
  }
  v1::ListTokensRequest list;
  list.set_parent("orgs/acme/users/ada");
  list.set_page_size(2);
  std::string names;
  const Caller root = directory.Root();
  do {
    const auto page = directory.tokens.ListTokens(root, list);
    ASSERT_TRUE(page.ok()) << page.status();
    for (const auto& token : page->tokens()) names += token.display_name();
    list.set_page_token(page->next_page_token());
  } while (!list.page_token().empty());
  EXPECT_EQ(names, "t4t3t2t1t0");
}

TEST(TokensTest, RefusesBadRequestsAndNamesTheField) {
  TestDirectory directory;
  const Caller root = directory.Root();
  struct Case {
    std::string name;
    v1::CreateTokenRequest request;
    std::string message;
  };
  v1::CreateTokenRequest long_name = TokenFor("orgs/acme/users/root");
  long_name.set_display_name(std::string(257, 'x'));
  v1::CreateTokenRequest nanos = TokenFor("orgs/acme/users/root", 60);
  nanos.mutable_ttl()->set_nanos(-1);
  for (const Case& c :
       {Case{"no parent", TokenFor(""), "parent: required"},
        Case{"org", TokenFor("orgs/acme"), "parent: not a principal"},
        Case{"team", TokenFor("orgs/acme/teams/eng"), "parent: not a principal"},
        Case{"short", TokenFor("orgs/acme/users/root", 59), "ttl: out of range"},
        Case{"long", TokenFor("orgs/acme/users/root", 366 * 86400), "ttl: out of range"},
        Case{"huge", TokenFor("orgs/acme/users/root", INT64_MAX), "ttl: out of range"},
        Case{"negative", TokenFor("orgs/acme/users/root", -5), "ttl: out of range"},
        Case{"nanos", nanos, "ttl: out of range"}, Case{"name", long_name, "display_name: longer than 256 bytes"}}) {
    SCOPED_TRACE(c.name);
    const absl::Status status = directory.tokens.CreateToken(root, c.request).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), c.message);
  }
}

TEST(TokensTest, ExpiredTokensAreRemovedWithTheNextOne) {
  TestDirectory directory;
  directory.AddUser("ada");
  ASSERT_TRUE(directory.tokens.CreateToken(directory.Root(), TokenFor("orgs/acme/users/ada", 60)).ok());
  directory.now += absl::Minutes(2);
  ASSERT_TRUE(directory.tokens.CreateToken(directory.Root(), TokenFor("orgs/acme/users/ada", 60)).ok());
  v1::ListTokensRequest list;
  list.set_parent("orgs/acme/users/ada");
  EXPECT_EQ(directory.tokens.ListTokens(directory.Root(), list)->tokens_size(), 1);
}

}  // namespace
}  // namespace keyferry::server
