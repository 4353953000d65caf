#include "server/oauth/providers/provider_check.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/oauth/providers/testing_providers.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

HttpResponse Page(int status, HttpHeaders headers = {}) {
  HttpResponse response;
  response.status = status;
  response.headers = std::move(headers);
  return response;
}

class ProviderCheckTest : public testing::Test {
 protected:
  ProviderCheckTest() : w_(EngineKind::kMemory, Options()) {
    // The mock provider has no page for people.
    w_.first = [this](const HttpRequest& request) {
      if (absl::StartsWith(request.url, "https://provider.test/authorize")) {
        authorization_ = request.url;
        return HttpResponse(Copy());
      }
      if (absl::StartsWith(request.url, "https://provider.test/token") && request.method == "POST") {
        token_request_ = request.body;
      }
      return HttpResponse();
    };
  }

  static MockProviderOptions Options() {
    MockProviderOptions options;
    options.client.secret = ProviderWorld::kSecret;
    return options;
  }
  HttpResponse Copy() const { return Page(page_.first, page_.second); }

  void Make(const std::string& edit = "") {
    const auto created = w_.Create(w_.Admin(), ProviderWorld::Definition(edit));
    ASSERT_TRUE(created.ok()) << created.status();
  }

  // What the check says of the subject: "ERROR: message" for each finding.
  std::string Say(const std::string& subject) {
    const auto checked = w_.Check(w_.Admin());
    EXPECT_TRUE(checked.ok()) << checked.status();
    if (!checked.ok()) return "";
    EXPECT_FALSE(absl::StrContains(checked->DebugString(), ProviderWorld::kSecret)) << "shows the secret";
    std::string all;
    bool errors = false;
    for (const v1::OauthFinding& one : checked->findings()) {
      errors = errors || one.severity() == v1::OAUTH_FINDING_SEVERITY_ERROR;
      EXPECT_NE(one.message(), "");
      EXPECT_EQ(one.next_step().empty(), one.severity() == v1::OAUTH_FINDING_SEVERITY_OK) << one.DebugString();
      if (one.subject() != subject) continue;
      absl::StrAppend(&all, all.empty() ? "" : "; ",
                      v1::OauthFindingSeverity_Name(one.severity()).substr(sizeof("OAUTH_FINDING_SEVERITY_") - 1), ": ",
                      one.message());
    }
    EXPECT_EQ(checked->healthy(), !errors);
    healthy_ = checked->healthy();
    return all;
  }

  ProviderWorld w_;
  std::pair<int, HttpHeaders> page_ = {200, {}};
  std::string authorization_;
  // The body of the last request with parameters.
  std::string token_request_;
  bool healthy_ = false;
};

#define EXPECT_SAYS(subject, text)                                                                           \
  EXPECT_PRED2([](const std::string& all, const std::string& part) { return absl::StrContains(all, part); }, \
               Say(subject), text)

TEST_F(ProviderCheckTest, AHealthyProvider) {
  Make("endpoints { issuer: 'https://provider.test' }");
  const storage::Revision before = w_.world.Revision();
  EXPECT_SAYS("token_url", "OK: answers, and knows the client");
  EXPECT_TRUE(healthy_);
  EXPECT_SAYS("authorization_url", "OK: ");
  EXPECT_SAYS("issuer", "OK: ");
  EXPECT_SAYS("redirect URI", w_.Get(w_.Admin())->callback_url());
  EXPECT_EQ(w_.world.Revision(), before);
  EXPECT_TRUE(absl::StrContains(authorization_, "code_challenge=")) << authorization_;
  EXPECT_TRUE(absl::StrContains(authorization_, "client_id=client-1")) << authorization_;
}

TEST_F(ProviderCheckTest, AWrongSecret) {
  Make("client { client_secret: 's3cr3t-marker-9d41-but-wrong' }");
  EXPECT_SAYS("token_url", "ERROR: does not accept the client");
  EXPECT_FALSE(healthy_);
}

TEST_F(ProviderCheckTest, WhatKeepsAnswersAway) {
  Make("endpoints { issuer: 'https://provider.test' }");
  const struct {
    FakeHttpClient::Fault fault;
    const char* text;
  } cases[] = {
      {FakeHttpClient::Fault::kAddressRefused, "ERROR: its address is not allowed"},
      {FakeHttpClient::Fault::kTimeout, "ERROR: no answer in time"},
      {FakeHttpClient::Fault::kNoConnection, "ERROR: cannot be reached"},
      {FakeHttpClient::Fault::kAnswerTooLarge, "WARNING: not checked"},
  };
  for (const auto& one : cases) {
    for (const char* field : {"authorization_url", "token_url", "revocation_url"}) {
      w_.http.Inject(one.fault, /*count=*/1000);
      EXPECT_SAYS(field, one.text);
      w_.http.ClearFaults();
    }
  }
  w_.http.Inject(FakeHttpClient::Fault::kServerError, /*count=*/1000, "https://provider.test/token");
  EXPECT_SAYS("token_url", "ERROR: ");
  w_.http.ClearFaults();
  w_.http.Inject(FakeHttpClient::Fault::kRedirect, /*count=*/1000, "https://provider.test/token");
  EXPECT_FALSE(absl::StrContains(Say("token_url"), "OK"));
  w_.http.ClearFaults();
  w_.http.Inject(FakeHttpClient::Fault::kRateLimited, /*count=*/1000, "https://provider.test/token");
  EXPECT_SAYS("token_url", "WARNING: asks for fewer requests");
}

TEST_F(ProviderCheckTest, WhatThePageForConsentSays) {
  Make();
  const std::string callback = w_.Get(w_.Admin())->callback_url();
  const struct {
    std::pair<int, HttpHeaders> page;
    const char* text;
  } cases[] = {
      {{200, {}}, "OK"},
      {{302, {{"Location", "https://provider.test/login"}}}, "OK"},
      {{302, {{"Location", callback + "?error=login_required&state=x"}}}, "OK"},
      {{302, {{"Location", callback + "?error=invalid_scope&state=x"}}},
       "ERROR: refuses the request with `invalid_scope`"},
      {{400, {}}, "WARNING: refuses the request: status 400"},
      {{404, {}}, "ERROR: there is no page"},
      {{503, {}}, "ERROR: fails: status 503"},
  };
  for (const auto& one : cases) {
    page_ = one.page;
    EXPECT_SAYS("authorization_url", one.text);
  }
}

TEST_F(ProviderCheckTest, TheClockIsCompared) {
  Make();
  const auto date = [this](absl::Duration skew) {
    return absl::FormatTime("%a, %d %b %Y %H:%M:%S GMT", w_.world.now + skew, absl::UTCTimeZone());
  };
  page_ = {200, {{"Date", date(absl::Seconds(30))}}};
  EXPECT_SAYS("clock", "OK");
  page_ = {200, {{"Date", date(-absl::Hours(2))}}};
  EXPECT_SAYS("clock", "ERROR: differs from the provider's by 2h");
  page_ = {200, {{"Date", "yesterday"}}};
  EXPECT_EQ(Say("clock"), "");
}

TEST_F(ProviderCheckTest, TheDefinitionIsComparedWithTheMetadata) {
  Make(
      "endpoints { issuer: 'https://provider.test' revocation_url: 'https://provider.test/other' } "
      "authorization { pkce: OAUTH_PKCE_OFF }");
  EXPECT_SAYS("revocation_url", "WARNING: the provider's metadata names another");
  EXPECT_SAYS("authorization.pkce", "WARNING: off");
  EXPECT_TRUE(healthy_);
}

TEST_F(ProviderCheckTest, AnIssuerThatSaysAnotherName) {
  Make("endpoints { issuer: 'https://provider.test/realm' }");
  EXPECT_SAYS("issuer", "ERROR: ");
  EXPECT_FALSE(healthy_);
}

TEST_F(ProviderCheckTest, VariablesOfConnectionsLeaveItOpen) {
  Make(
      "endpoints { token_url: 'https://{shop}.provider.test/token' "
      "authorization_url: 'https://{shop}.provider.test/authorize' } url_variables { name: 'shop' }");
  EXPECT_SAYS("token_url", "WARNING: not checked: each connection gives its own value of `shop`");
  EXPECT_SAYS("authorization_url", "WARNING: not checked");
  EXPECT_TRUE(healthy_);
}

// A grant without a person would bring a token; the check must not ask for one.
TEST_F(ProviderCheckTest, NoTokenIsAskedFor) {
  Make(
      "grant_type: OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS token { grant_type: 'account_credentials' "
      "parameters { name: 'account_id' value: 'account-1' } }");
  EXPECT_SAYS("token_url", "OK: answers, and knows the client");
  EXPECT_TRUE(absl::StrContains(token_request_, "grant_type=authorization_code")) << token_request_;
  EXPECT_FALSE(absl::StrContains(token_request_, "account")) << token_request_;
}

}  // namespace
}  // namespace keyferry::server
