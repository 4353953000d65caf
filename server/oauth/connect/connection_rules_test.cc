#include "server/oauth/connect/connection_rules.h"

#include <atomic>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"
#include "server/errors.h"
#include "server/oauth/connect/testing_connect.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

using storage::Table;
using testing::ElementsAre;

constexpr char kAda[] = "orgs/acme/users/ada";
constexpr char kBob[] = "orgs/acme/users/bob";
constexpr char kEng[] = "orgs/acme/teams/eng";
constexpr char kAdasGoogle[] = "orgs/acme/users/ada/connections/google";

class ConnectionRulesTest : public testing::Test {
 protected:
  Caller Ada() { return world_.directory.As(kAda); }
  Caller Bob() { return world_.directory.As(kBob); }
  Caller Root() { return world_.directory.Root(); }

  absl::Status Start(const Caller& caller, const std::string& parent, const std::string& provider = "google") {
    v1::StartConnectionRequest request;
    request.set_parent(parent);
    request.set_oauth_provider_id(provider);
    return world_.rules->StartConnection(caller, request).status();
  }
  static v1::GetTeamRequest TeamNamed(const std::string& name) {
    v1::GetTeamRequest request;
    request.set_name(name);
    return request;
  }
  absl::Status Delete(const Caller& caller, const std::string& name, const std::string& etag = "") {
    v1::DeleteConnectionRequest request;
    request.set_name(name);
    request.set_etag(etag);
    return world_.rules->DeleteConnection(caller, request).status();
  }
  absl::StatusOr<v1::Connection> Refresh(const Caller& caller, const std::string& name) {
    v1::RefreshConnectionRequest request;
    request.set_name(name);
    return world_.rules->RefreshConnection(caller, request);
  }
  std::vector<std::string> List(const Caller& caller, const std::string& parent, bool all = false,
                                const std::string& provider = "", int page_size = 0) {
    v1::ListConnectionsRequest request;
    request.set_parent(parent);
    request.set_all_scopes(all);
    request.set_oauth_provider_id(provider);
    request.set_page_size(page_size);
    std::vector<std::string> names;
    do {
      const auto page = world_.rules->ListConnections(caller, request);
      if (!page.ok()) {
        names.push_back(std::string(absl::StatusCodeToString(page.status().code())));
        break;
      }
      if (page_size != 0) {
        EXPECT_LE(page->connections_size(), page_size);
      }
      for (const auto& connection : page->connections()) names.push_back(connection.name());
      request.set_page_token(page->next_page_token());
    } while (!request.page_token().empty());
    return names;
  }

  ConnectWorld world_;
  TestBrowser browser_{&world_.handler};
};

TEST_F(ConnectionRulesTest, AGrantWithoutAPersonIsThereWithTheAnswer) {
  const auto started = world_.Start(Root(), "orgs/acme", "robot");
  EXPECT_EQ(started.attempt().state(), v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED);
  EXPECT_EQ(started.start_url(), "");
  EXPECT_EQ(started.attempt().connection(), "orgs/acme/connections/robot");
  EXPECT_EQ(world_.AttemptOf(Root(), started).state(), v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED);
  EXPECT_EQ(world_.Tokens("", "robot"), "access-1|refresh-1|1");
  EXPECT_THAT(world_.refresher.changed, ElementsAre("|robot"));
  world_.Start(Ada(), kEng, "robot");
  EXPECT_EQ(world_.Tokens("teams/eng", "robot"), "access-2|refresh-2|1");
}

TEST_F(ConnectionRulesTest, WhatAProviderRefusesIsSaidAndStoresNothing) {
  struct Case {
    const char* name;
    TokenErrorKind kind;
    absl::StatusCode code;
    const char* reason;
    int64_t delay;
  };
  const Case kCases[] = {
      {"rejected", TokenErrorKind::kRejected, absl::StatusCode::kFailedPrecondition, "CONNECT_FAILED", 0},
      {"invalid grant", TokenErrorKind::kInvalidGrant, absl::StatusCode::kFailedPrecondition, "CONNECT_FAILED", 0},
      {"temporary", TokenErrorKind::kTemporary, absl::StatusCode::kUnavailable, "PROVIDER_UNAVAILABLE", 5000},
      {"rate limited", TokenErrorKind::kRateLimited, absl::StatusCode::kUnavailable, "PROVIDER_UNAVAILABLE", 42000},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    TokenError error;
    error.kind = c.kind;
    error.message = "why";
    if (c.kind == TokenErrorKind::kRateLimited) error.retry_after = absl::Seconds(42);
    world_.tokens.answers.push_back([error] { return error; });
    const absl::Status status = Start(Root(), "orgs/acme", "robot");
    EXPECT_EQ(status.code(), c.code);
    v1::ErrorDetail detail;
    ASSERT_TRUE(GetDetail(status, &detail));
    EXPECT_EQ(detail.reason(), c.reason);
    EXPECT_EQ(detail.retry_delay_ms(), c.delay);
  }
  EXPECT_EQ(world_.Count(Table::kConnection), 0);
  EXPECT_EQ(world_.Count(Table::kConnectionAttempt), 0);
}

TEST_F(ConnectionRulesTest, WhatWasGrantedWithoutAPersonAndCannotBeStoredIsRevoked) {
  const auto edit_robot = [this](const std::string& revocation_url) {
    world_.PutProvider("robot", [&](v1::OauthProvider* provider) {
      provider->set_grant_type(v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS);
      provider->mutable_endpoints()->set_revocation_url(revocation_url);
    });
  };
  struct Case {
    const char* name;
    std::function<void()> meanwhile;
    int revocations;
  };
  const Case kCases[] = {
      {"the provider was changed", [&] { edit_robot("https://elsewhere.example/revoke"); }, 1},
      {"the team is gone",
       [this] {
         v1::DeleteTeamRequest team;
         team.set_name(kEng);
         ASSERT_TRUE(world_.directory.teams.DeleteTeam(Root(), team).ok());
       },
       1},
      {"the provider has no revocation", [&] { edit_robot(""); }, 1},
      {"it had none when it granted", [&] { edit_robot("https://provider.example/revoke"); }, 0},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    const int before = world_.Count(Table::kRevocation);
    world_.tokens.meanwhile = c.meanwhile;
    EXPECT_FALSE(Start(Ada(), kEng, "robot").ok());
    world_.tokens.meanwhile = nullptr;
    EXPECT_EQ(world_.Tokens("teams/eng", "robot"), "(absent)");
    EXPECT_EQ(world_.Count(Table::kRevocation) - before, c.revocations);
    if (world_.directory.teams.GetTeam(Root(), TeamNamed(kEng)).ok()) continue;
    world_.directory.AddTeam("eng");
    world_.directory.AddMember("eng", "ada", v1::TEAM_ROLE_OWNER);
  }
}

// As it was when it granted, with what it granted.
TEST_F(ConnectionRulesTest, WhatIsRevokedIsWhatWasGranted) {
  world_.tokens.meanwhile = [this] { world_.PutProvider("robot", [](v1::OauthProvider*) {}); };
  EXPECT_EQ(Start(Ada(), kEng, "robot").code(), absl::StatusCode::kAborted);
  std::vector<storage::records::RevocationRecord> found;
  ASSERT_TRUE(world_.directory.store->View()
                  ->ScanAll(Table::kRevocation, "acme",
                            [&found](storage::Record stored) {
                              found.emplace_back();
                              return storage::ParseSecretInto(stored.payload, found.back()).ok();
                            })
                  .ok());
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].access_token(), "access-1");
  EXPECT_EQ(found[0].refresh_token(), "refresh-1");
  v1::OauthProvider provider;
  ASSERT_TRUE(provider.ParseFromString(found[0].provider().definition()));
  EXPECT_EQ(provider.grant_type(), v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS);
}

TEST_F(ConnectionRulesTest, WhereAConnectionStandsAGrantThatCannotBeStoredIsNotRevoked) {
  world_.Start(Ada(), kEng, "robot");
  world_.tokens.meanwhile = [this] { world_.PutProvider("robot", [](v1::OauthProvider*) {}); };
  EXPECT_FALSE(Start(Ada(), kEng, "robot").ok());
  EXPECT_EQ(world_.Tokens("teams/eng", "robot"), "access-1|refresh-1|1");
  EXPECT_EQ(world_.Count(Table::kRevocation), 0);
}

TEST_F(ConnectionRulesTest, WithoutAnAddressForBrowsersNobodyConnectsInOne) {
  world_.context.public_url = "";
  ConnectionRules rules(world_.context);
  v1::StartConnectionRequest request;
  request.set_parent(kAda);
  request.set_oauth_provider_id("google");
  const absl::Status status = rules.StartConnection(Ada(), request).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), testing::HasSubstr("no address for browsers"));
  EXPECT_EQ(world_.Count(Table::kConnectionAttempt), 0);
  // A grant without a person needs none.
  request.set_oauth_provider_id("robot");
  request.set_parent("orgs/acme");
  EXPECT_TRUE(rules.StartConnection(Root(), request).ok());
}

TEST_F(ConnectionRulesTest, AGrantOfTheClientIsNoPersonsAndKeepsTheDefinitionsScopes) {
  world_.PutProvider("robot", [](v1::OauthProvider* provider) {
    provider->set_grant_type(v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS);
    provider->mutable_authorization()->add_scopes("read");
  });
  EXPECT_EQ(Start(Ada(), kAda, "robot").code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Start(Root(), "orgs/acme/users/root", "robot").code(), absl::StatusCode::kInvalidArgument);
  v1::StartConnectionRequest request;
  request.set_parent(kEng);
  request.set_oauth_provider_id("robot");
  request.add_scopes("read");
  EXPECT_TRUE(world_.rules->StartConnection(Ada(), request).ok());
  request.add_scopes("admin");
  const absl::Status refused = world_.rules->StartConnection(Ada(), request).status();
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("scopes[1]"));
  request.set_parent("orgs/acme");
  EXPECT_TRUE(world_.rules->StartConnection(Root(), request).ok()) << "an ADMIN chooses";
}

TEST_F(ConnectionRulesTest, WhoMayStart) {
  world_.directory.AddUser("eve");
  struct Case {
    const char* name;
    Caller caller;
    const char* parent;
    const char* provider;
    absl::StatusCode code;
  };
  const Caller eve = world_.directory.As("orgs/acme/users/eve");
  Caller mallory = eve;
  mallory.org = "other";
  const Case kCases[] = {
      {"own", Ada(), kAda, "google", absl::StatusCode::kOk},
      {"a member for the team", Bob(), kEng, "google", absl::StatusCode::kPermissionDenied},
      {"an ADMIN for the team", Root(), kEng, "google", absl::StatusCode::kPermissionDenied},
      {"an ADMIN for a team that is not there", Root(), "orgs/acme/teams/none", "google", absl::StatusCode::kNotFound},
      {"a stranger for the team", eve, kEng, "google", absl::StatusCode::kNotFound},
      {"a member for the organization", Ada(), "orgs/acme", "google", absl::StatusCode::kPermissionDenied},
      {"an ADMIN for a user", Root(), kAda, "google", absl::StatusCode::kPermissionDenied},
      {"for another user", Bob(), kAda, "google", absl::StatusCode::kNotFound},
      {"of another organization", mallory, "orgs/acme", "google", absl::StatusCode::kNotFound},
      {"without a provider", Ada(), kAda, "absent", absl::StatusCode::kNotFound},
      {"of a service", Ada(), "orgs/acme/services/x", "google", absl::StatusCode::kInvalidArgument},
      {"without an id", Ada(), kAda, "", absl::StatusCode::kInvalidArgument},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(Start(c.caller, c.parent, c.provider).code(), c.code);
  }
  world_.directory.SetTier(v1::TIER_FREE);
  EXPECT_EQ(ReasonOf(Start(Ada(), kEng)), "SCOPE_SUSPENDED");
}

TEST_F(ConnectionRulesTest, BadScopesAndVariables) {
  for (const char* scope : {"", "a b", "a\"b", "a\\b", "\xC3\xA9", "a\nb"}) {
    v1::StartConnectionRequest request;
    request.set_parent(kAda);
    request.set_oauth_provider_id("google");
    request.add_scopes(scope);
    EXPECT_EQ(ReasonOf(world_.rules->StartConnection(Ada(), request).status()), "INVALID_FIELD") << scope;
  }
  v1::StartConnectionRequest request;
  request.set_parent(kAda);
  request.set_oauth_provider_id("google");
  (*request.mutable_url_variables())["shop"] = "x";
  EXPECT_EQ(ReasonOf(world_.rules->StartConnection(Ada(), request).status()), "INVALID_FIELD");
}

TEST_F(ConnectionRulesTest, VariablesOfAConnectionStayWithItsNextGrant) {
  world_.PutProvider("shop", [](v1::OauthProvider* provider) {
    provider->mutable_endpoints()->set_authorization_url("https://{shop}.provider.example/authorize");
    provider->add_url_variables()->set_name("shop");
  });
  v1::StartConnectionRequest request;
  request.set_parent(kAda);
  request.set_oauth_provider_id("shop");
  EXPECT_EQ(ReasonOf(world_.rules->StartConnection(Ada(), request).status()), "INVALID_FIELD");
  (*request.mutable_url_variables())["shop"] = "one";
  for (int i = 0; i < 2; ++i) {
    const auto started = world_.rules->StartConnection(Ada(), request);
    ASSERT_TRUE(started.ok()) << started.status();
    const HttpResponse redirect = world_.Confirm(&browser_, started->start_url());
    EXPECT_THAT(HeaderOf(redirect, "Location"), testing::StartsWith("https://one.provider.example/"));
    EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect)).status, 200);
    request.clear_url_variables();
  }
}

TEST_F(ConnectionRulesTest, OpenAttemptsAreBounded) {
  for (int i = 0; i < kMaxOpenAttemptsPerPrincipal; ++i) ASSERT_TRUE(Start(Ada(), kAda).ok());
  EXPECT_EQ(ReasonOf(Start(Ada(), kAda)), "TOO_MANY");
  EXPECT_TRUE(Start(Bob(), kBob).ok());
  world_.directory.now += kAttemptLifetime;
  EXPECT_TRUE(Start(Ada(), kAda).ok());
}

TEST_F(ConnectionRulesTest, AttemptsThatEndedAreBoundedTooUntilTheyAreForgotten) {
  // Five times as many as may be open at once, within the hour for which they are kept.
  static_assert(kMaxAttemptsPerPrincipal == 5 * kMaxOpenAttemptsPerPrincipal);
  for (int i = 0; i < kMaxAttemptsPerPrincipal; ++i) {
    if (i > 0 && i % kMaxOpenAttemptsPerPrincipal == 0) world_.directory.now += kAttemptLifetime;
    ASSERT_TRUE(Start(Ada(), kAda).ok()) << i;
  }
  world_.directory.now += kAttemptLifetime;
  EXPECT_EQ(world_.Count(Table::kConnectionAttempt), kMaxAttemptsPerPrincipal);
  const absl::Status refused = Start(Ada(), kAda);
  EXPECT_EQ(ReasonOf(refused), "TOO_MANY");
  EXPECT_THAT(std::string(refused.message()), testing::HasSubstr("100 connections were started"));
  EXPECT_EQ(world_.Count(Table::kConnectionAttempt), kMaxAttemptsPerPrincipal);
  EXPECT_TRUE(Start(Bob(), kBob).ok());
}

TEST_F(ConnectionRulesTest, OpenAttemptsAreBoundedAlsoWhenManyStartAtOnce) {
  const Caller ada = Ada();
  std::atomic<int> started{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < kMaxOpenAttemptsPerPrincipal; ++k) started += Start(ada, kAda).ok() ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(started, kMaxOpenAttemptsPerPrincipal);
  EXPECT_EQ(world_.Count(Table::kConnectionAttempt), kMaxOpenAttemptsPerPrincipal);
}

TEST_F(ConnectionRulesTest, AnAttemptIsForWhoStartedIt) {
  const auto started = world_.Start(Ada(), kEng);
  v1::GetConnectionAttemptRequest request;
  request.set_name(started.attempt().name());
  EXPECT_TRUE(world_.rules->GetConnectionAttempt(Ada(), request).ok());
  const std::string absent = "orgs/acme/teams/eng/connectionAttempts/0123456789abcdef0123456789abcdef";
  for (const Caller& caller : {Bob(), Root()}) {
    EXPECT_EQ(Told(world_.rules->GetConnectionAttempt(caller, request).status()), Told(NotFound(request.name())));
  }
  request.set_name(absent);
  EXPECT_EQ(Told(world_.rules->GetConnectionAttempt(Ada(), request).status()), Told(NotFound(absent)));
}

TEST_F(ConnectionRulesTest, AnAttemptIsNotForALaterUserOfTheSameId) {
  const auto started = world_.Start(Ada(), kEng);
  v1::DeleteUserRequest deleted;
  deleted.set_name(kAda);
  ASSERT_TRUE(world_.directory.users.DeleteUser(Root(), deleted).ok());
  world_.directory.now += absl::Seconds(1);
  world_.directory.AddUser("ada");
  v1::GetConnectionAttemptRequest request;
  request.set_name(started.attempt().name());
  EXPECT_EQ(Told(world_.rules->GetConnectionAttempt(Ada(), request).status()), Told(NotFound(request.name())));
}

TEST_F(ConnectionRulesTest, ListsShowWhatTheCallerMaySee) {
  world_.PutProvider("box", [](v1::OauthProvider*) {});
  world_.Start(Root(), "orgs/acme", "robot");
  world_.Start(Ada(), kEng, "robot");
  world_.Connect(&browser_, Ada(), kAda);
  world_.directory.AddUser("eve");
  const Caller eve = world_.directory.As("orgs/acme/users/eve");
  const std::string org = "orgs/acme/connections/robot";
  const std::string eng = "orgs/acme/teams/eng/connections/robot";
  EXPECT_THAT(List(Ada(), "orgs/acme", /*all=*/true), ElementsAre(org, eng, kAdasGoogle));
  EXPECT_THAT(List(Ada(), "orgs/acme", /*all=*/true, "", /*page_size=*/1), ElementsAre(org, eng, kAdasGoogle));
  EXPECT_THAT(List(Ada(), "orgs/acme", /*all=*/true, "google"), ElementsAre(kAdasGoogle));
  EXPECT_THAT(List(Ada(), "orgs/acme", /*all=*/true, "robot", 2), ElementsAre(org, eng));
  EXPECT_THAT(List(Root(), "orgs/acme", /*all=*/true), ElementsAre(org, eng));
  EXPECT_THAT(List(eve, "orgs/acme", /*all=*/true), ElementsAre(org));
  EXPECT_THAT(List(Bob(), kEng), ElementsAre(eng));
  EXPECT_THAT(List(eve, kEng), ElementsAre("NOT_FOUND"));
  EXPECT_THAT(List(Root(), kAda), ElementsAre("NOT_FOUND"));
  EXPECT_THAT(List(Root(), "orgs/acme/teams/absent"), ElementsAre("NOT_FOUND"));
  EXPECT_THAT(List(Ada(), kAda, /*all=*/true), ElementsAre("INVALID_ARGUMENT"));
  EXPECT_EQ(Told(world_.Get(Root(), kAdasGoogle).status()), Told(NotFound(kAdasGoogle)));
  EXPECT_EQ(Told(world_.Get(Root(), "orgs/acme/users/ada/connections/absent").status()),
            Told(NotFound("orgs/acme/users/ada/connections/absent")));
  world_.directory.SetTier(v1::TIER_FREE);
  EXPECT_EQ(world_.Get(Ada(), eng)->state(), v1::CONNECTION_STATE_SUSPENDED);
}

TEST_F(ConnectionRulesTest, DeletingTakesEverythingAndRevokes) {
  world_.Connect(&browser_, Ada(), kAda);
  EXPECT_EQ(Delete(Bob(), kAdasGoogle).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Delete(Root(), kAdasGoogle).code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReasonOf(Delete(Ada(), kAdasGoogle, "stale")), "STALE_ETAG");
  EXPECT_EQ(world_.Count(Table::kRevocation), 0);
  const std::string etag = world_.Get(Ada(), kAdasGoogle)->etag();
  EXPECT_TRUE(Delete(Ada(), kAdasGoogle, etag).ok());
  EXPECT_EQ(world_.Count(Table::kConnection), 0);
  EXPECT_EQ(world_.Tokens("users/ada"), "(absent)");
  EXPECT_EQ(world_.Count(Table::kRevocation), 1);
  EXPECT_EQ(Told(Delete(Ada(), kAdasGoogle)), Told(NotFound(kAdasGoogle)));
  EXPECT_THAT(world_.refresher.changed, ElementsAre("users/ada|google", "users/ada|google"));
  // Another incarnation.
  world_.Connect(&browser_, Ada(), kAda);
  EXPECT_EQ(ReasonOf(Delete(Ada(), kAdasGoogle, etag)), "STALE_ETAG");
}

TEST_F(ConnectionRulesTest, ConnectionsGoWithTheirUserOrTeam) {
  world_.Start(Root(), "orgs/acme", "robot");
  world_.Start(Ada(), kEng, "robot");
  world_.Connect(&browser_, Ada(), kAda);
  const auto open = world_.Start(Ada(), kAda);
  v1::DeleteUserRequest user;
  user.set_name(kAda);
  ASSERT_TRUE(world_.directory.users.DeleteUser(Root(), user).ok());
  EXPECT_EQ(world_.Tokens("users/ada"), "(absent)");
  EXPECT_EQ(world_.Count(Table::kRevocation), 1);
  EXPECT_EQ(browser_.Get(ConnectWorld::PathOf(open.start_url())).status, 404);
  v1::DeleteTeamRequest team;
  team.set_name(kEng);
  ASSERT_TRUE(world_.directory.teams.DeleteTeam(Root(), team).ok());
  EXPECT_EQ(world_.Tokens("teams/eng", "robot"), "(absent)");
  EXPECT_EQ(world_.Count(Table::kRevocation), 2);
  EXPECT_EQ(world_.Tokens("", "robot"), "access-1|refresh-1|1");
  EXPECT_EQ(world_.Count(Table::kConnection), 1);
}

TEST_F(ConnectionRulesTest, AnAdminDeletesATeamsConnectionAndASuspendedOneCanGo) {
  world_.Start(Ada(), kEng, "robot");
  world_.directory.SetTier(v1::TIER_FREE);
  EXPECT_EQ(Delete(Bob(), "orgs/acme/teams/eng/connections/robot").code(), absl::StatusCode::kPermissionDenied);
  EXPECT_TRUE(Delete(Root(), "orgs/acme/teams/eng/connections/robot").ok());
}

TEST_F(ConnectionRulesTest, RefreshingAsksTheRefresher) {
  world_.Start(Ada(), kEng, "robot");
  const std::string name = "orgs/acme/teams/eng/connections/robot";
  EXPECT_EQ(Refresh(Bob(), name).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Refresh(Ada(), kAdasGoogle).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(Refresh(Root(), name).status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_EQ(Refresh(Root(), "orgs/acme/teams/none/connections/robot").status(), NotFound("orgs/acme/teams/none"));
  EXPECT_TRUE(world_.refresher.refreshed.empty());
  const auto refreshed = Refresh(Ada(), name);
  ASSERT_TRUE(refreshed.ok()) << refreshed.status();
  EXPECT_EQ(refreshed->name(), name);
  EXPECT_THAT(world_.refresher.refreshed, ElementsAre("teams/eng|robot|force"));
  world_.refresher.answer = absl::UnavailableError("down");
  EXPECT_EQ(Refresh(Ada(), name).status().code(), absl::StatusCode::kUnavailable);
}

TEST_F(ConnectionRulesTest, CallsThatWaitForProvidersAreBounded) {
  std::vector<NetworkWaits::Place> taken;
  for (int i = 0; i < kMaxProviderWaitsPerOrg; ++i) taken.push_back(*world_.waits.Take("acme"));
  EXPECT_TRUE(world_.waits.Take("other").ok());
  EXPECT_EQ(ReasonOf(Start(Root(), "orgs/acme", "robot")), "SERVER_BUSY");
  // A browser can come again, with the same answer.
  const HttpResponse redirect = world_.Confirm(&browser_, world_.Start(Ada(), kAda).start_url());
  EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect)).status, 503);
  taken.clear();
  EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect)).status, 200);
  EXPECT_TRUE(Start(Root(), "orgs/acme", "robot").ok());
}

}  // namespace
}  // namespace keyferry::server
