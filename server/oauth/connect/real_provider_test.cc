// Connections through the real client of tokens, to providers that are reached over real TLS.
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/http/beast_client.h"
#include "server/oauth/connect/testing_connect.h"
#include "server/oauth/protocol/make_token_client.h"
#include "server/oauth/protocol/mock_provider_server.h"

namespace keyferry::server {
namespace {

using storage::Table;
using testing::AnyOf;
using testing::HasSubstr;
using testing::Not;

constexpr char kAda[] = "orgs/acme/users/ada";

MockProviderOptions OptionsOf(const std::string& client) {
  MockProviderOptions options;
  options.client.id = client;
  options.client.secret = absl::StrCat("secret/of+", client, " & more");
  options.requires_pkce = true;
  options.sends_issuer = true;
  return options;
}

class RealProviderTest : public testing::Test {
 protected:
  RealProviderTest() {
    Put("google", google_);
    Put("rival", rival_);
  }

  void Put(
      const std::string& id, const MockProviderServer& server,
      const std::function<void(v1::OauthProvider*)>& edit = [](v1::OauthProvider*) {}) {
    world_.PutProvider(id, [&](v1::OauthProvider* provider) {
      *provider = server.Definition();
      provider->mutable_authorization()->set_require_issuer(true);
      edit(provider);
    });
  }

  std::unique_ptr<HttpClient> MakeHttp() {
    BeastClient::Options options;
    options.ca_bundle = "";
    options.ca_file = ca_.WriteFile("ca.pem");
    options.guard = *AddressGuard::Create({"127.0.0.0/8"});
    return *BeastClient::Create(std::move(options));
  }

  // Where the provider sends the browser back to, as the browser asks for it.
  std::string Consent(MockProviderServer& provider, const HttpResponse& redirect) {
    const auto back = provider->Consent(HeaderOf(redirect, "Location"));
    EXPECT_TRUE(back.ok()) << back.status();
    return back.ok() ? ConnectWorld::PathOf(*back) : "";
  }

  v1::StartConnectionResponse Start(const std::string& provider = "google") {
    return world_.Start(world_.directory.As(kAda), kAda, provider);
  }
  HttpResponse Confirm(const v1::StartConnectionResponse& started) {
    return world_.Confirm(&browser_, started.start_url());
  }

  // The attempt has failed, nothing is stored, and neither the page nor the attempt shows a secret.
  void ExpectFailed(const HttpResponse& page, const v1::StartConnectionResponse& started, const std::string& why) {
    EXPECT_EQ(page.status, 400);
    EXPECT_EQ(world_.Count(Table::kConnection), 0);
    EXPECT_EQ(world_.Count(Table::kConnectionToken), 0);
    const v1::ConnectionAttempt attempt = world_.AttemptOf(world_.directory.As(kAda), started);
    EXPECT_EQ(attempt.state(), v1::CONNECTION_ATTEMPT_STATE_FAILED);
    EXPECT_THAT(attempt.error(), HasSubstr(why));
    for (const std::string& shown : {page.body, attempt.error()}) EXPECT_THAT(shown, Not(HasSubstr("secret/of")));
  }

  TestCa ca_;
  MockProviderServer google_{ca_, OptionsOf("client-g")};
  MockProviderServer rival_{ca_, OptionsOf("client-r")};
  std::unique_ptr<HttpClient> http_ = MakeHttp();
  std::unique_ptr<TokenClient> tokens_ = MakeTokenClient(http_.get(), absl::Now);
  ConnectWorld world_{tokens_.get()};
  TestBrowser browser_{&world_.handler};
};

TEST_F(RealProviderTest, FromStartToConnected) {
  const auto started = Start();
  const HttpResponse result = browser_.Get(Consent(google_, Confirm(started)));
  EXPECT_EQ(result.status, 200) << result.body << google_->last_problem();
  EXPECT_EQ(world_.AttemptOf(world_.directory.As(kAda), started).state(), v1::CONNECTION_ATTEMPT_STATE_SUCCEEDED);
  // What is stored works at the provider that granted it.
  const std::vector<std::string> tokens = absl::StrSplit(world_.Tokens("users/ada"), '|');
  ASSERT_EQ(tokens.size(), 3u);
  EXPECT_TRUE(google_->IsActive(tokens[0]));
  EXPECT_TRUE(google_->IsRefreshable(tokens[1]));
  EXPECT_FALSE(rival_->IsActive(tokens[0]) && rival_->exchanges() > 0);
  const auto connection = world_.Get(world_.directory.As(kAda), absl::StrCat(kAda, "/connections/google"));
  ASSERT_TRUE(connection.ok()) << connection.status();
  EXPECT_NE(connection->account(), "") << "who it is comes from the userinfo";
  EXPECT_EQ(google_->exchanges(), 1);
  EXPECT_EQ(rival_->exchanges(), 0);
}

TEST_F(RealProviderTest, TwoProvidersAtOnce) {
  const auto first = Start("google");
  const auto second = Start("rival");
  const HttpResponse to_first = Confirm(first);
  const HttpResponse to_second = Confirm(second);
  EXPECT_EQ(browser_.Get(Consent(rival_, to_second)).status, 200) << rival_->last_problem();
  EXPECT_EQ(browser_.Get(Consent(google_, to_first)).status, 200) << google_->last_problem();
  EXPECT_EQ(google_->exchanges(), 1);
  EXPECT_EQ(rival_->exchanges(), 1);
  EXPECT_EQ(world_.Count(Table::kConnection), 2);
}

TEST_F(RealProviderTest, ARefusalOfThePerson) {
  const auto started = Start();
  const auto back = google_->Refuse(HeaderOf(Confirm(started), "Location"));
  ASSERT_TRUE(back.ok()) << back.status();
  const HttpResponse page = browser_.Get(ConnectWorld::PathOf(*back));
  ExpectFailed(page, started, "access_denied");
  EXPECT_EQ(google_->exchanges(), 0);
}

// The mix-up of RFC 9207: the answer of one provider in the place of the other's.
TEST_F(RealProviderTest, TheAnswerOfAnotherIssuerIsExchangedNowhere) {
  const auto started = Start();
  const std::string good = Consent(google_, Confirm(started));
  const std::string state = good.substr(good.find("state=") + 6, good.substr(good.find("state=") + 6).find('&'));
  const auto other = rival_->Consent(
      absl::StrCat(rival_.issuer(),
                   "/authorize?response_type=code&client_id=client-r&redirect_uri=https%3A%2F%2Fkeyferry.example%2F",
                   "&code_challenge=", std::string(43, 'A'), "&code_challenge_method=S256&state=", state));
  ASSERT_TRUE(other.ok()) << other.status();
  const HttpResponse page = browser_.Get(good.substr(0, good.find('?')) + other->substr(other->find('?')));
  ExpectFailed(page, started, "issuer");
  EXPECT_EQ(google_->exchanges(), 0);
  EXPECT_EQ(rival_->exchanges(), 0);
  EXPECT_NE(browser_.Get(good).status, 200) << "the attempt is over";
}

TEST_F(RealProviderTest, AWrongClientSecret) {
  Put("google", google_, [](v1::OauthProvider* provider) { provider->mutable_client()->set_client_secret("wrong"); });
  const auto started = Start();
  ExpectFailed(browser_.Get(Consent(google_, Confirm(started))), started, "invalid_client");
}

TEST_F(RealProviderTest, WhatATokenEndpointMayNotAnswer) {
  struct Case {
    const char* name;
    int status;
    HttpHeaders headers;
    std::string body;
  };
  const Case kCases[] = {
      {"an error", 500, {{"Content-Type", "application/json"}}, R"({"error":"server_error"})"},
      {"a page", 200, {{"Content-Type", "text/html"}}, "<html>access_token</html>"},
      {"nothing", 200, {{"Content-Type", "application/json"}}, ""},
      {"no token", 200, {{"Content-Type", "application/json"}}, R"({"token_type":"Bearer"})"},
      {"a redirect", 307, {{"Location", absl::StrCat(rival_.issuer(), "/token")}}, ""},
  };
  for (const Case& c : kCases) {
    SCOPED_TRACE(c.name);
    google_.first = [&](const HttpRequest& request) {
      HttpResponse answer;
      if (!absl::EndsWith(request.url, "/token")) return answer;
      answer.status = c.status;
      answer.headers = c.headers;
      answer.body = c.body;
      return answer;
    };
    const auto started = Start();
    ExpectFailed(browser_.Get(Consent(google_, Confirm(started))), started, "");
    EXPECT_EQ(rival_->exchanges(), 0);
    EXPECT_EQ(rival_->last_problem(), "") << "nobody was there";
  }
}

TEST_F(RealProviderTest, AProviderWhoseCertificateNobodyVouchesFor) {
  const TestCa unknown;
  MockProviderServer server(unknown, OptionsOf("client-u"));
  Put("google", server);
  const auto started = Start();
  ExpectFailed(browser_.Get(Consent(server, Confirm(started))), started, "");
  EXPECT_EQ(server->exchanges(), 0);
}

}  // namespace
}  // namespace keyferry::server
