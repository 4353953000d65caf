// What ends an attempt to connect without a connection, and what a new grant does to an old one.
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/connect/testing_connect.h"
#include "server/oauth/connection_records.h"
#include "server/records.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;
using testing::AllOf;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr char kAda[] = "orgs/acme/users/ada";
constexpr char kEng[] = "orgs/acme/teams/eng";
constexpr char kAdasGoogle[] = "orgs/acme/users/ada/connections/google";

class ConnectRefusalsTest : public testing::Test {
 protected:
  Caller Ada() { return world_.directory.As(kAda); }
  Caller Root() { return world_.directory.Root(); }
  void DeleteUser(const std::string& id) {
    v1::DeleteUserRequest request;
    request.set_name(absl::StrCat("orgs/acme/users/", id));
    ASSERT_TRUE(world_.directory.users.DeleteUser(Root(), request).ok());
  }
  void SetRole(const std::string& user, v1::OrgRole role) {
    v1::UpdateUserRequest request;
    request.mutable_user()->set_name(absl::StrCat("orgs/acme/users/", user));
    request.mutable_user()->set_role(role);
    request.mutable_update_mask()->add_paths("role");
    ASSERT_TRUE(world_.directory.users.UpdateUser(Root(), request).ok());
  }
  void DeleteProvider(const std::string& id) {
    storage::Mutation mutation;
    mutation.Delete(ProviderKey("acme", id), std::nullopt);
    ASSERT_TRUE(world_.directory.store->Commit(mutation, storage::Durability::kSynced).ok());
  }

  ConnectWorld world_;
  TestBrowser browser_{&world_.handler};
};

TEST_F(ConnectRefusalsTest, WhatTheProviderReportsIsShownInWords) {
  struct Case {
    const char* name;
    const char* query;
    const char* shown;
  };
  const Case kCases[] = {
      {"refused by the person", "error=access_denied", "access_denied"},
      {"a scope", "error=invalid_scope", "scopes"},
      {"the redirect URI", "error=redirect_uri_mismatch", "redirect URI"},
      {"needs an administrator", "error=consent_required&error_description=AADSTS65001+admin+consent", "AADSTS65001"},
      {"no code", "something=else", "no code"},
      {"an empty code", "code=", "no code"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const auto started = world_.Start(Ada(), kAda);
    const HttpResponse redirect = world_.Confirm(&browser_, started.start_url());
    const std::string callback = absl::StrCat(ConnectWorld::CallbackPathOf(redirect), "?", c.query,
                                              "&state=", ConnectWorld::ParameterOf(redirect, "state"));
    const HttpResponse page = browser_.Get(callback);
    EXPECT_EQ(page.status, 400);
    EXPECT_THAT(page.body, HasSubstr(c.shown));
    const v1::ConnectionAttempt attempt = world_.AttemptOf(Ada(), started);
    EXPECT_EQ(attempt.state(), v1::CONNECTION_ATTEMPT_STATE_FAILED);
    EXPECT_THAT(attempt.error(), HasSubstr(c.shown));
    // An answer that came is the only one that counts.
    EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect)).status, 400);
  }
  EXPECT_EQ(world_.tokens.exchanges.size(), 0u);
  EXPECT_EQ(world_.Count(Table::kConnection), 0);
}

TEST_F(ConnectRefusalsTest, AnotherIssuersAnswerIsNotTaken) {
  world_.PutProvider("google", [](v1::OauthProvider* provider) {
    provider->mutable_endpoints()->set_issuer("https://provider.example");
    provider->mutable_authorization()->set_require_issuer(true);
  });
  for (const char* issuer : {"", "&iss=https%3A%2F%2Fevil.example"}) {
    const HttpResponse redirect = world_.Confirm(&browser_, world_.Start(Ada(), kAda).start_url());
    EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect) + issuer).status, 400);
  }
  EXPECT_EQ(world_.tokens.exchanges.size(), 0u);
  const HttpResponse redirect = world_.Confirm(&browser_, world_.Start(Ada(), kAda).start_url());
  EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect) + "&iss=https%3A%2F%2Fprovider.example").status, 200);
}

// Neither provider says who it is (RFC 9207): the address alone tells them apart (RFC 9700, section 4.4).
TEST_F(ConnectRefusalsTest, AnAnswerAtAnotherProvidersAddressIsNotTaken) {
  world_.PutProvider("evil", [](v1::OauthProvider* provider) {
    provider->mutable_endpoints()->set_authorization_url("https://evil.example/authorize");
    provider->mutable_endpoints()->set_token_url("https://evil.example/token");
  });
  const auto started = world_.Start(Ada(), kAda, "evil");
  const HttpResponse to_evil = world_.Confirm(&browser_, started.start_url());
  const HttpResponse to_google = world_.Confirm(&browser_, world_.Start(Ada(), kAda).start_url());
  const std::string own_path = ConnectWorld::CallbackPathOf(to_evil);
  const std::string google_path = ConnectWorld::CallbackPathOf(to_google);
  ASSERT_NE(own_path, google_path);
  // evil sent the browser on to google, with its own state: google answers where it was told to, and its code must not
  // go to evil's token endpoint.
  const std::string answer = absl::StrCat("?code=GOOGLES&state=", ConnectWorld::ParameterOf(to_evil, "state"));
  const std::string error = absl::StrCat("?error=access_denied&state=", ConnectWorld::ParameterOf(to_evil, "state"));
  const std::string unknown = "/oauth/callback/00112233445566778899aabbccddeeff";
  const auto before = world_.Audit().size();
  for (const std::string& url : {google_path + answer, google_path + error, unknown + answer}) {
    const HttpResponse page = browser_.Get(url);
    EXPECT_EQ(page.status, 403) << url;
    EXPECT_THAT(page.body, HasSubstr("another provider"));
  }
  EXPECT_EQ(browser_.Get(google_path + "/.." + answer).status, 404);
  EXPECT_EQ(world_.Audit().size(), before + 3);
  EXPECT_THAT(world_.Audit().back(), HasSubstr("CompleteConnection orgs/acme/users/ada 9 CONNECT_FAILED "
                                               "orgs/acme/users/ada/connections/evil"));
  // A browser that is not the attempt's is told nothing of addresses.
  TestBrowser stranger(&world_.handler);
  EXPECT_THAT(stranger.Get(google_path + answer).body, Not(HasSubstr("another provider")));
  EXPECT_EQ(world_.tokens.exchanges.size(), 0u);
  EXPECT_EQ(world_.AttemptOf(Ada(), started).state(), v1::CONNECTION_ATTEMPT_STATE_PENDING);
  // None of this has ended the attempt: its own answer still counts.
  EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(to_evil)).status, 200);
  ASSERT_EQ(world_.tokens.exchanges.size(), 1u);
  EXPECT_EQ(ConnectWorld::PathOf(world_.tokens.exchanges[0].redirect_uri), own_path);
}

TEST_F(ConnectRefusalsTest, AnAnswerForAProviderThatWasMadeAnewIsNotTaken) {
  const HttpResponse redirect = world_.Confirm(&browser_, world_.Start(Ada(), kAda).start_url());
  DeleteProvider("google");
  world_.PutProvider("google", [](v1::OauthProvider* provider) {
    provider->mutable_endpoints()->set_token_url("https://evil.example/token");
  });
  world_.PutProvider("google", [](v1::OauthProvider*) {});
  // The address is the same, the provider is not.
  EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect)).status, 400);
  EXPECT_EQ(world_.tokens.exchanges.size(), 0u);
}

TEST_F(ConnectRefusalsTest, MarkupInWhatOthersWroteStaysText) {
  world_.PutProvider("google", [](v1::OauthProvider* provider) {
    provider->set_display_name("<script>alert('p')</script>\xE2\x80\xAE");
  });
  v1::UpdateUserRequest rename;
  rename.mutable_user()->set_name(kAda);
  rename.mutable_user()->set_display_name("\"><img src=x onerror=alert(1)>");
  rename.mutable_update_mask()->add_paths("display_name");
  ASSERT_TRUE(world_.directory.users.UpdateUser(Root(), rename).ok());
  const auto started = world_.Start(Ada(), kAda);
  const HttpResponse start = browser_.Get(ConnectWorld::PathOf(started.start_url()));
  EXPECT_THAT(start.body, AllOf(HasSubstr("&lt;script&gt;"), Not(HasSubstr("<script")), Not(HasSubstr("<img"))));

  const HttpResponse redirect = world_.Confirm(&browser_, started.start_url());
  const HttpResponse error =
      browser_.Get(absl::StrCat(ConnectWorld::CallbackPathOf(redirect),
                                "?error=x&error_description=%3Cscript%3Ealert(1)%3C%2Fscript%3E%22%3E&state=",
                                ConnectWorld::ParameterOf(redirect, "state")));
  EXPECT_EQ(error.status, 400);
  EXPECT_THAT(error.body, AllOf(HasSubstr("&lt;script&gt;"), Not(HasSubstr("<script"))));

  world_.tokens.answers.push_back([] { return FakeTokens::Grant(1, "<b>ada</b>"); });
  const HttpResponse result = world_.Connect(&browser_, Ada(), kAda);
  EXPECT_THAT(result.body, AllOf(HasSubstr("&lt;b&gt;ada"), Not(HasSubstr("<b>")), Not(HasSubstr("<script"))));
  for (const char* query : {"org=<b>&provider=google", "org=acme&provider=%3Cb%3E", "org=acme", ""}) {
    const HttpResponse page = browser_.Get(absl::StrCat("/oauth/connect?", query));
    EXPECT_EQ(page.status, 400) << query;
    EXPECT_THAT(page.body, Not(HasSubstr("<b>")));
  }
  for (const HttpResponse* page : {&start, &error, &result}) {
    EXPECT_THAT(HeaderOf(*page, "Content-Security-Policy"),
                AllOf(HasSubstr("default-src 'none'"), HasSubstr("frame-ancestors 'none'"), Not(HasSubstr("unsafe"))));
    EXPECT_EQ(HeaderOf(*page, "Cache-Control"), "no-store");
    EXPECT_EQ(HeaderOf(*page, "Referrer-Policy"), "no-referrer");
  }
}

TEST_F(ConnectRefusalsTest, WhoMayNotConnectAnyMoreDoesNot) {
  struct Case {
    const char* name;
    const char* starter;
    const char* parent;
    std::function<void()> change;
  };
  const Case kCases[] = {
      {"removed from the team", kAda, kEng,
       [this] {
         v1::RemoveTeamMemberRequest request;
         request.set_name("orgs/acme/teams/eng/members/ada");
         ASSERT_TRUE(world_.directory.teams.RemoveTeamMember(Root(), request).ok());
       }},
      {"no longer OWNER", kAda, kEng, [this] { world_.directory.AddMember("eng", "ada", v1::TEAM_ROLE_MEMBER); }},
      {"no longer ADMIN", "orgs/acme/users/carl", "orgs/acme", [this] { SetRole("carl", v1::ORG_ROLE_MEMBER); }},
      {"the team is suspended", kAda, kEng, [this] { world_.directory.SetTier(v1::TIER_FREE); }},
      {"deleted", kAda, kAda, [this] { DeleteUser("ada"); }},
      {"deleted and made again", kAda, kAda,
       [this] {
         DeleteUser("ada");
         world_.directory.now += absl::Seconds(1);
         world_.directory.AddUser("ada");
       }},
      {"deleted, for a team", kAda, kEng, [this] { DeleteUser("ada"); }},
      {"deleted and made again, for a team", kAda, kEng,
       [this] {
         DeleteUser("ada");
         world_.directory.now += absl::Seconds(1);
         world_.directory.AddUser("ada");
         world_.directory.AddMember("eng", "ada", v1::TEAM_ROLE_OWNER);
       }},
      {"the provider is gone", kAda, kAda, [this] { DeleteProvider("google"); }},
      {"the provider was changed", kAda, kAda,
       [this] {
         world_.PutProvider("google", [](v1::OauthProvider* provider) {
           provider->mutable_endpoints()->set_token_url("https://elsewhere.example/token");
         });
       }},
  };
  for (const bool during : {false, true}) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(absl::StrCat(c.name, during ? ", during the exchange" : ", before the callback"));
      ConnectWorld& world = world_;
      world.PutProvider("google", [](v1::OauthProvider*) {});
      world.directory.SetTier(v1::TIER_BUSINESS);
      // Whatever the case before has taken away.
      v1::CreateUserRequest create;
      create.set_parent("orgs/acme");
      create.set_user_id("ada");
      create.mutable_user()->set_role(v1::ORG_ROLE_MEMBER);
      (void)world.directory.users.CreateUser(Root(), create).ok();
      create.set_user_id("carl");
      create.mutable_user()->set_role(v1::ORG_ROLE_ADMIN);
      (void)world.directory.users.CreateUser(Root(), create).ok();
      SetRole("carl", v1::ORG_ROLE_ADMIN);
      world.directory.AddMember("eng", "ada", v1::TEAM_ROLE_OWNER);

      const size_t exchanges = world.tokens.exchanges.size();
      const auto started = world.Start(world.directory.As(c.starter), c.parent);
      const HttpResponse redirect = world.Confirm(&browser_, started.start_url());
      ASSERT_EQ(redirect.status, 303);
      const int revocations = world.Count(Table::kRevocation);
      if (during) {
        world.tokens.meanwhile = c.change;
      } else {
        c.change();
      }
      // 404 where the attempt went with its user.
      EXPECT_THAT(browser_.Get(ConnectWorld::CallbackFor(redirect)).status, testing::AnyOf(400, 404));
      world.tokens.meanwhile = nullptr;
      EXPECT_EQ(world.Count(Table::kConnection), 0);
      EXPECT_EQ(world.Count(Table::kConnectionToken), 0);
      EXPECT_EQ(world.tokens.exchanges.size(), exchanges + (during ? 1 : 0));
      // What was granted all the same is revoked where it came from.
      EXPECT_EQ(world.Count(Table::kRevocation) - revocations, during ? 1 : 0);
    }
  }
}

TEST_F(ConnectRefusalsTest, ALinkOfSomebodyWhoMayNotConnectAnyMoreShowsNothing) {
  const auto started = world_.Start(Ada(), kEng);
  const std::string path = ConnectWorld::PathOf(started.start_url());
  const std::string form = ConnectWorld::FormOf(browser_.Get(path));
  world_.directory.AddMember("eng", "ada", v1::TEAM_ROLE_MEMBER);
  EXPECT_EQ(browser_.Get(path).status, 400);
  EXPECT_EQ(browser_.Send("POST", "/oauth/start", form).status, 400);
}

TEST_F(ConnectRefusalsTest, WhatTheTokenEndpointRefusesIsShown) {
  TokenError error;
  error.kind = TokenErrorKind::kRejected;
  error.message = "the provider does not know the client secret";
  world_.tokens.answers.push_back([error] { return error; });
  const auto started = world_.Start(Ada(), kAda);
  const HttpResponse page = browser_.Get(ConnectWorld::CallbackFor(world_.Confirm(&browser_, started.start_url())));
  EXPECT_EQ(page.status, 400);
  EXPECT_THAT(page.body, HasSubstr("does not know the client secret"));
  EXPECT_EQ(world_.AttemptOf(Ada(), started).error(), "The provider does not know the client secret.");
  EXPECT_THAT(world_.Audit(),
              Contains(absl::StrCat("keyferryd/CompleteConnection ", kAda, " 9 CONNECT_FAILED ", kAdasGoogle)));
}

TEST_F(ConnectRefusalsTest, AServerThatEndsBetweenTakingTheCodeAndStoringLeavesAnAttemptThatExpires) {
  const auto started = world_.Start(Ada(), kAda);
  const HttpResponse redirect = world_.Confirm(&browser_, started.start_url());
  // What a crash leaves: the code is taken, nothing else.
  v1::ConnectionAttempt meanwhile;
  int again = 0;
  world_.tokens.meanwhile = [&] {
    world_.tokens.meanwhile = nullptr;
    meanwhile = world_.AttemptOf(Ada(), started);
    const absl::Time now = world_.directory.now;
    world_.directory.now += kAttemptLifetime;
    EXPECT_EQ(world_.AttemptOf(Ada(), started).state(), v1::CONNECTION_ATTEMPT_STATE_EXPIRED);
    world_.directory.now = now;
    TestBrowser reloaded(&world_.handler, "198.51.100.9:1");
    reloaded.cookies = browser_.cookies;
    again = reloaded.Get(ConnectWorld::CallbackFor(redirect)).status;
  };
  EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect)).status, 200);
  EXPECT_EQ(meanwhile.state(), v1::CONNECTION_ATTEMPT_STATE_PENDING);
  EXPECT_EQ(again, 400);
  EXPECT_EQ(world_.Connect(&browser_, Ada(), kAda).status, 200);
}

TEST_F(ConnectRefusalsTest, AConnectionSaysForWhichUserItWasMade) {
  world_.Connect(&browser_, Ada(), kAda);
  const auto view = world_.directory.store->View();
  const auto user = ReadRecord<storage::records::UserRecord>(*view, {Table::kUser, "acme", "", "ada"});
  const auto connection = ReadRecord<storage::records::ConnectionRecord>(
      *view, ConnectionRecordKey(Table::kConnection, {"acme", "users/ada", "google"}));
  ASSERT_TRUE(user.ok() && user->has_value() && connection.ok() && connection->has_value());
  EXPECT_NE((*user)->record.create_time(), 0);
  EXPECT_EQ((*connection)->record.user_create_time(), (*user)->record.create_time());
}

TEST_F(ConnectRefusalsTest, ANewGrantTakesThePlaceOfTheOld) {
  world_.Connect(&browser_, Ada(), kAda);
  const auto before = world_.Get(Ada(), kAdasGoogle);
  world_.directory.now += absl::Seconds(5);
  world_.Connect(&browser_, Ada(), kAda);
  const auto after = world_.Get(Ada(), kAdasGoogle);
  ASSERT_TRUE(before.ok() && after.ok());
  EXPECT_EQ(world_.Tokens("users/ada"), "access-2|refresh-2|2");
  EXPECT_EQ(after->version(), 2);
  EXPECT_EQ(after->create_time().seconds(), before->create_time().seconds());
  EXPECT_NE(after->etag(), before->etag());
  // The provider might end the new grant with the old token.
  EXPECT_EQ(world_.Count(Table::kRevocation), 0);
}

TEST_F(ConnectRefusalsTest, ARefreshTokenOfAnotherAccountDoesNotOutliveItsGrant) {
  struct Case {
    const char* name;
    const char* account;
    const char* tokens;
  };
  const Case kCases[] = {
      {"the same account", "ada@example.com", "access-8|refresh-1|2"},
      {"another account", "eve@example.com", "access-8||2"},
      {"an account that is not known", "", "access-8||2"},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    ConnectWorld world;
    TestBrowser browser(&world.handler);
    const Caller ada = world.directory.As(kAda);
    world.Connect(&browser, ada, kAda);
    world.tokens.answers.push_back([&c] {
      TokenGrant grant = FakeTokens::Grant(8, c.account);
      grant.refresh_token = storage::SecretBytes();
      return grant;
    });
    world.Connect(&browser, ada, kAda);
    EXPECT_EQ(world.Tokens("users/ada"), c.tokens);
    EXPECT_EQ(world.Get(ada, kAdasGoogle)->account(), c.account);
  }
}

// Whoever is at the new endpoints may say any account.
TEST_F(ConnectRefusalsTest, ARefreshTokenDoesNotOutliveTheEndpointsThatItIsFor) {
  world_.Connect(&browser_, Ada(), kAda);
  world_.PutProvider(
      "google", [](v1::OauthProvider*) {}, /*endpoint_epoch=*/1);
  world_.tokens.answers.push_back([] {
    TokenGrant grant = FakeTokens::Grant(8);
    grant.refresh_token = storage::SecretBytes();
    return grant;
  });
  world_.Connect(&browser_, Ada(), kAda);
  EXPECT_EQ(world_.Tokens("users/ada"), "access-8||2");
  // The next is of the same epoch.
  world_.Connect(&browser_, Ada(), kAda);
  world_.tokens.answers.push_back([] {
    TokenGrant grant = FakeTokens::Grant(9);
    grant.refresh_token = storage::SecretBytes();
    return grant;
  });
  world_.Connect(&browser_, Ada(), kAda);
  EXPECT_EQ(world_.Tokens("users/ada"), "access-9|refresh-2|4");
}

TEST_F(ConnectRefusalsTest, OrganizationsAndTeamsAreConnectedByCode) {
  EXPECT_EQ(world_.Connect(&browser_, Root(), "orgs/acme").status, 200);
  EXPECT_EQ(world_.Connect(&browser_, Ada(), kEng).status, 200);
  EXPECT_EQ(world_.Tokens(""), "access-1|refresh-1|1");
  EXPECT_EQ(world_.Tokens("teams/eng"), "access-2|refresh-2|1");
}

TEST_F(ConnectRefusalsTest, CallbackParametersThatTheDefinitionKeepsGoWithTheCode) {
  world_.PutProvider("google", [](v1::OauthProvider* provider) {
    provider->mutable_authorization()->add_metadata_parameters("realmId");
    provider->mutable_authorization()->set_pkce(v1::OAUTH_PKCE_OFF);
  });
  const HttpResponse redirect = world_.Confirm(&browser_, world_.Start(Ada(), kAda).start_url());
  EXPECT_EQ(ConnectWorld::ParameterOf(redirect, "code_challenge"), "");
  browser_.Get(ConnectWorld::CallbackFor(redirect) + "&realmId=42&other=x");
  ASSERT_EQ(world_.tokens.exchanges.size(), 1u);
  EXPECT_THAT(world_.tokens.exchanges[0].metadata, testing::ElementsAre(testing::Pair("realmId", "42")));
  EXPECT_TRUE(world_.tokens.exchanges[0].code_verifier.empty());
}

}  // namespace
}  // namespace keyferry::server
