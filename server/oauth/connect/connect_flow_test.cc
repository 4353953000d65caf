#include "server/oauth/connect/connect_flow.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/connect/testing_connect.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

using storage::Table;
using testing::Contains;
using testing::HasSubstr;
using testing::Not;

constexpr char kAda[] = "orgs/acme/users/ada";
constexpr char kAdasGoogle[] = "orgs/acme/users/ada/connections/google";

class ConnectFlowTest : public testing::Test {
 protected:
  Caller Ada() { return world_.directory.As(kAda); }
  // How many exchanges the provider saw.
  size_t Exchanges() const { return world_.tokens.exchanges.size(); }
  void ExpectNothingGranted() {
    EXPECT_EQ(Exchanges(), 0u);
    EXPECT_EQ(world_.Count(Table::kConnection), 0);
    EXPECT_EQ(world_.Count(Table::kConnectionToken), 0);
  }

  ConnectWorld world_;
  TestBrowser browser_{&world_.handler};
};

TEST_F(ConnectFlowTest, FromStartToConnected) {
  const auto started = world_.Start(Ada(), kAda);
  EXPECT_EQ(started.attempt().state(), v1::CONNECTION_ATTEMPT_STATE_PENDING);
  const HttpResponse page = browser_.Get(ConnectWorld::PathOf(started.start_url()));
  EXPECT_EQ(page.status, 200);
  EXPECT_THAT(page.body, HasSubstr(started.confirmation_code()));
  EXPECT_THAT(page.body, HasSubstr(kAda));
  EXPECT_THAT(page.body, HasSubstr("Display of google"));

  const HttpResponse redirect = world_.Confirm(&browser_, started.start_url());
  EXPECT_EQ(redirect.status, 303);
  EXPECT_TRUE(absl::StartsWith(HeaderOf(redirect, "Location"), "https://provider.example/authorize?"));
  const std::string redirect_uri = ConnectWorld::ParameterOf(redirect, "redirect_uri");
  EXPECT_THAT(redirect_uri, testing::MatchesRegex("https://keyferry.example:8443/oauth/callback/[0-9a-f]{32}"));
  EXPECT_EQ(ConnectWorld::ParameterOf(redirect, "code_challenge_method"), "S256");

  const HttpResponse result = browser_.Get(ConnectWorld::CallbackFor(redirect));
  EXPECT_EQ(result.status, 200) << result.body;
  EXPECT_THAT(result.body, HasSubstr("You can close this window"));
  EXPECT_THAT(result.body, HasSubstr("ada@example.com"));
  EXPECT_EQ(world_.Tokens("users/ada"), "access-1|refresh-1|1");
  EXPECT_EQ(world_.AttemptOf(Ada(), started).state(), v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED);
  const auto connection = world_.Get(Ada(), kAdasGoogle);
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_EQ(connection->state(), v1::CONNECTION_STATE_CONNECTED);
  EXPECT_EQ(connection->creator(), kAda);
  EXPECT_EQ(connection->granted_scopes(0), "openid");
  EXPECT_THAT(world_.refresher.changed, testing::ElementsAre("users/ada|google"));

  ASSERT_EQ(Exchanges(), 1u);
  const auto& exchange = world_.tokens.exchanges[0];
  EXPECT_EQ(exchange.code, "CODE");
  EXPECT_EQ(exchange.redirect_uri, redirect_uri);
  EXPECT_EQ(ChallengeOf(exchange.code_verifier.Expose()), ConnectWorld::ParameterOf(redirect, "code_challenge"));
}

TEST_F(ConnectFlowTest, TheAuditLogTellsOfEachStep) {
  world_.Connect(&browser_, Ada(), kAda);
  const auto entries = world_.Audit();
  EXPECT_THAT(entries, Contains(absl::StrCat("keyferryd/ConfirmConnection ", kAda, " 0  ", kAdasGoogle)));
  EXPECT_THAT(entries, Contains(absl::StrCat("keyferryd/CompleteConnection ", kAda, " 0  ", kAdasGoogle)));
  for (const std::string& entry : entries) EXPECT_THAT(entry, Not(HasSubstr("access-1")));
}

TEST_F(ConnectFlowTest, NoSecretOfAnAttemptIsStored) {
  const auto started = world_.Start(Ada(), kAda);
  const HttpResponse redirect = world_.Confirm(&browser_, started.start_url());
  const std::string state = ConnectWorld::ParameterOf(redirect, "state");
  std::string stored;
  for (const auto& [table, org] :
       {std::make_pair(Table::kConnectionAttempt, "acme"), std::make_pair(Table::kConnectionAttemptIndex, "")}) {
    ASSERT_TRUE(world_.directory.store->View()
                    ->ScanAll(table, org,
                              [&stored = stored](storage::Record record) {
                                absl::StrAppend(&stored, record.payload.Expose());
                                return true;
                              })
                    .ok());
  }
  ASSERT_THAT(stored, HasSubstr("google"));
  EXPECT_THAT(stored, Not(HasSubstr(ConnectWorld::SecretOf(started.start_url()))));
  EXPECT_THAT(stored, Not(HasSubstr(state)));
  for (const auto& [name, value] : browser_.cookies) EXPECT_THAT(stored, Not(HasSubstr(value))) << name;
}

TEST_F(ConnectFlowTest, AScannerThatOpensTheLinkUsesNothingUp) {
  const auto started = world_.Start(Ada(), kAda);
  TestBrowser scanner(&world_.handler, "198.51.100.9:1");
  const auto before = world_.directory.store->View()->revision();
  for (const char* method : {"GET", "HEAD", "GET"}) {
    EXPECT_EQ(scanner.Send(method, ConnectWorld::PathOf(started.start_url()), "").status, 200);
  }
  EXPECT_EQ(world_.directory.store->View()->revision(), before);
  EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(world_.Confirm(&browser_, started.start_url()))).status, 200);
}

TEST_F(ConnectFlowTest, AStartLinkIsConfirmedOnce) {
  const auto started = world_.Start(Ada(), kAda);
  TestBrowser other(&world_.handler);
  const HttpResponse early = other.Get(ConnectWorld::PathOf(started.start_url()));
  const HttpResponse redirect = world_.Confirm(&browser_, started.start_url());
  // Also by a page that was opened before, and by the same browser.
  EXPECT_EQ(other.Send("POST", "/oauth/start", ConnectWorld::FormOf(early)).status, 400);
  EXPECT_EQ(browser_.Send("POST", "/oauth/start", ConnectWorld::FormOf(early)).status, 403);
  const HttpResponse again = browser_.Get(ConnectWorld::PathOf(started.start_url()));
  EXPECT_EQ(again.status, 400);
  EXPECT_THAT(again.body, HasSubstr("already used"));
  EXPECT_THAT(again.body, Not(HasSubstr("ada")));
  EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect)).status, 200);
}

TEST_F(ConnectFlowTest, AFormCountsOnlyFromThePageThatThisBrowserWasShown) {
  const auto started = world_.Start(Ada(), kAda);
  const std::string path = ConnectWorld::PathOf(started.start_url());
  TestBrowser attacker(&world_.handler);
  const std::string form = ConnectWorld::FormOf(attacker.Get(path));
  struct Case {
    const char* name;
    bool shown;
    std::string form;
    HttpHeaders headers;
  };
  browser_.Get(path);
  const std::string own = ConnectWorld::FormOf(browser_.Get(path));
  const std::string t = absl::StrCat("t=", ConnectWorld::SecretOf(started.start_url()));
  const Case kCases[] = {
      {"the attacker's form, in a browser that was shown nothing", false, form, {}},
      {"the attacker's form, in a browser that was shown the page", true, form, {}},
      {"without a token", true, t, {}},
      {"with an empty token", true, t + "&f=", {}},
      {"with a token twice", true, own + "&f=x", {}},
      {"from another site", true, own, {{"Origin", "https://evil.example"}}},
      {"from another port", true, own, {{"Origin", "https://keyferry.example"}}},
      {"from another site, as the browser says", true, own, {{"Sec-Fetch-Site", "cross-site"}}},
      {"from a sister site", true, own, {{"Sec-Fetch-Site", "same-site"}}},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    TestBrowser victim(&world_.handler);
    if (c.shown) victim.cookies = browser_.cookies;
    EXPECT_EQ(victim.Send("POST", "/oauth/start", c.form, c.headers).status, 403);
  }
  EXPECT_EQ(browser_.Send("POST", "/oauth/start", own, {{"Origin", "null"}, {"Sec-Fetch-Site", "same-origin"}}).status,
            303);
}

TEST_F(ConnectFlowTest, AnAnswerCountsOnce) {
  const HttpResponse redirect = world_.Confirm(&browser_, world_.Start(Ada(), kAda).start_url());
  const std::string callback = ConnectWorld::CallbackFor(redirect);
  EXPECT_EQ(browser_.Get(callback).status, 200);
  const HttpResponse again = browser_.Get(callback);
  EXPECT_EQ(again.status, 400);
  EXPECT_THAT(again.body, HasSubstr("already made"));
  EXPECT_EQ(browser_.Get(absl::StrReplaceAll(callback, {{"CODE", "OTHER"}})).status, 400);
  EXPECT_EQ(Exchanges(), 1u);
  EXPECT_EQ(world_.Tokens("users/ada"), "access-1|refresh-1|1");
}

TEST_F(ConnectFlowTest, TheCodeIsTakenBeforeItIsExchanged) {
  const HttpResponse redirect = world_.Confirm(&browser_, world_.Start(Ada(), kAda).start_url());
  const std::string callback = ConnectWorld::CallbackFor(redirect);
  int inner = 0;
  world_.tokens.meanwhile = [&] {
    world_.tokens.meanwhile = nullptr;
    TestBrowser second(&world_.handler, "198.51.100.9:1");
    second.cookies = browser_.cookies;
    inner = second.Get(callback).status;
  };
  EXPECT_EQ(browser_.Get(callback).status, 200);
  EXPECT_EQ(inner, 400);
  EXPECT_EQ(Exchanges(), 1u);
}

TEST_F(ConnectFlowTest, WrongStatesAndBrowsers) {
  const auto started = world_.Start(Ada(), kAda);
  const HttpResponse redirect = world_.Confirm(&browser_, started.start_url());
  const std::string state = ConnectWorld::ParameterOf(redirect, "state");
  std::string tampered = state;
  tampered[7] = tampered[7] == 'A' ? 'B' : 'A';
  TestBrowser stranger(&world_.handler);
  TestBrowser confirmed_another(&world_.handler);
  world_.Confirm(&confirmed_another, world_.Start(world_.directory.Root(), "orgs/acme/users/root").start_url());
  // Another connection's secret under this one's name.
  TestBrowser forged(&world_.handler);
  const std::string own_name =
      ConnectFlow::BrowserCookie(started.attempt().name().substr(started.attempt().name().rfind('/') + 1));
  for (const auto& [name, value] : confirmed_another.cookies) forged.cookies[own_name] = value;
  TestBrowser empty(&world_.handler);
  empty.cookies[own_name] = "";
  struct Case {
    const char* name;
    TestBrowser* browser;
    std::string query;
    int status;
  };
  const Case kCases[] = {
      {"no query", &browser_, "", 400},
      {"no state", &browser_, "?code=CODE", 400},
      {"empty state", &browser_, "?code=CODE&state=", 400},
      {"state twice", &browser_, absl::StrCat("?code=CODE&state=", state, "&state=", state), 400},
      {"tampered", &browser_, absl::StrCat("?code=CODE&state=", tampered), 404},
      {"cut", &browser_, absl::StrCat("?code=CODE&state=", state.substr(0, 42)), 404},
      {"longer", &browser_, absl::StrCat("?code=CODE&state=", state, "A"), 404},
      {"the start link's secret as state", &browser_,
       absl::StrCat("?code=CODE&state=", ConnectWorld::SecretOf(started.start_url())), 404},
      {"a browser without cookies", &stranger, absl::StrCat("?code=CODE&state=", state), 403},
      {"a browser that confirmed another", &confirmed_another, absl::StrCat("?code=CODE&state=", state), 403},
      {"another's cookie under this name", &forged, absl::StrCat("?code=CODE&state=", state), 403},
      {"an empty cookie", &empty, absl::StrCat("?code=CODE&state=", state), 403},
      {"an error, brought by a stranger", &stranger, absl::StrCat("?error=access_denied&state=", state), 403},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    EXPECT_EQ(c.browser->Get(absl::StrCat(ConnectWorld::CallbackPathOf(redirect), c.query)).status, c.status);
  }
  EXPECT_EQ(stranger.Get(absl::StrCat("/oauth/start?t=", state)).status, 404);
  ExpectNothingGranted();
  EXPECT_THAT(world_.Audit(),
              Contains(absl::StrCat("keyferryd/CompleteConnection ", kAda, " 9 CONNECT_FAILED ", kAdasGoogle)));
  // None of this has ended the attempt.
  EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect)).status, 200);
}

TEST_F(ConnectFlowTest, TimeEndsALinkAndAnAnswer) {
  const auto started = world_.Start(Ada(), kAda);
  const auto confirmed = world_.Start(Ada(), kAda);
  const HttpResponse redirect = world_.Confirm(&browser_, confirmed.start_url());
  const HttpResponse page = browser_.Get(ConnectWorld::PathOf(started.start_url()));
  world_.directory.now += kAttemptLifetime;
  EXPECT_EQ(browser_.Get(ConnectWorld::PathOf(started.start_url())).status, 400);
  EXPECT_EQ(browser_.Send("POST", "/oauth/start", ConnectWorld::FormOf(page)).status, 400);
  EXPECT_EQ(browser_.Get(ConnectWorld::CallbackFor(redirect)).status, 400);
  ExpectNothingGranted();
  EXPECT_EQ(world_.AttemptOf(Ada(), started).state(), v1::CONNECTION_ATTEMPT_STATE_EXPIRED);
}

}  // namespace
}  // namespace keyferry::server
