// What every provider may do to an exchange or a refresh, whatever its definition.
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/oauth/protocol/catalogue_of_quirks.h"
#include "server/oauth/protocol/quirk_world.h"

namespace keyferry::server {
namespace {

using Fault = FakeHttpClient::Fault;

std::string Text(const storage::SecretBytes& secret) { return std::string(secret.Expose()); }

TEST(TokenClientTest, FaultsOfTheWay) {
  struct Case {
    const char* name;
    Fault fault;
    TokenErrorKind kind;
  };
  for (const Case& c : {Case{"timeout", Fault::kTimeout, TokenErrorKind::kTemporary},
                        Case{"no connection", Fault::kNoConnection, TokenErrorKind::kTemporary},
                        Case{"answer lost", Fault::kAnswerLost, TokenErrorKind::kTemporary},
                        Case{"answer too large", Fault::kAnswerTooLarge, TokenErrorKind::kTemporary},
                        Case{"5xx", Fault::kServerError, TokenErrorKind::kTemporary},
                        Case{"HTML with status 200", Fault::kHtml, TokenErrorKind::kTemporary},
                        Case{"429", Fault::kRateLimited, TokenErrorKind::kRateLimited},
                        Case{"redirect", Fault::kRedirect, TokenErrorKind::kRejected},
                        Case{"private address", Fault::kAddressRefused, TokenErrorKind::kRejected}}) {
    SCOPED_TRACE(c.name);
    QuirkWorld world(QuirkDefinition(1), {});
    const MockGrant grant = world.provider().Issue();
    world.http().Inject(c.fault);
    const TokenError error = ErrorOf(world.Refresh(grant.refresh_token));
    EXPECT_EQ(error.kind, c.kind) << error.message;
    EXPECT_FALSE(error.message.empty());
    EXPECT_FALSE(absl::StrContains(error.message, grant.refresh_token));
    EXPECT_EQ(world.http().Count("https://elsewhere.test"), 0);
    // The token was not used up, unless the provider acted.
    EXPECT_EQ(world.provider().IsRefreshable(grant.refresh_token), c.fault != Fault::kAnswerLost);
  }
}

TEST(TokenClientTest, RetryAfterInBothForms) {
  struct Case {
    const char* header;
    absl::Duration wait;
  };
  // The world's time is Mon, 21 Sep 2026 14:13:20 GMT.
  for (const Case& c :
       {Case{"120", absl::Minutes(2)}, Case{"Mon, 21 Sep 2026 14:14:20 GMT", absl::Minutes(1)},
        Case{"Monday, 21-Sep-26 14:14:20 GMT", absl::Minutes(1)}, Case{"Mon Sep 21 14:14:20 2026", absl::Minutes(1)},
        Case{"", absl::ZeroDuration()}, Case{"-5", absl::ZeroDuration()}, Case{"soon", absl::ZeroDuration()},
        Case{"Mon, 21 Sep 2020 14:14:20 GMT", absl::ZeroDuration()}, Case{"99999999999", absl::Hours(24)}}) {
    QuirkWorld world(QuirkDefinition(1), {});
    world.http().Inject(Fault::kRateLimited, 1, "", c.header);
    EXPECT_EQ(ErrorOf(world.Refresh("some-token")).retry_after, c.wait) << c.header;
  }
}

struct Refusal {
  const char* name;
  int status;
  const char* body;
  TokenErrorKind kind;
};

TEST(TokenClientTest, RefusalsByTheirCode) {
  for (const Refusal& c : {
           Refusal{"invalid_grant", 400, R"({"error":"invalid_grant"})", TokenErrorKind::kInvalidGrant},
           Refusal{"invalid_grant with 401", 401, R"({"error":"invalid_grant"})", TokenErrorKind::kInvalidGrant},
           Refusal{"invalid_grant with 200", 200, R"({"error":"invalid_grant"})", TokenErrorKind::kInvalidGrant},
           Refusal{"invalid_grant with 500", 500, R"({"error":"invalid_grant"})", TokenErrorKind::kTemporary},
           Refusal{"invalid_grant with 429", 429, R"({"error":"invalid_grant"})", TokenErrorKind::kRateLimited},
           Refusal{"invalid_client", 401, R"({"error":"invalid_client"})", TokenErrorKind::kRejected},
           Refusal{"unauthorized_client", 400, R"({"error":"unauthorized_client"})", TokenErrorKind::kRejected},
           Refusal{"invalid_scope", 400, R"({"error":"invalid_scope"})", TokenErrorKind::kRejected},
           Refusal{"words of their own", 400, R"({"error":"bad_refresh_token"})", TokenErrorKind::kRejected},
           Refusal{"an object as error", 400, R"({"error":{"code":"190","message":"Session expired"}})",
                   TokenErrorKind::kRejected},
           Refusal{"temporarily_unavailable", 400, R"({"error":"temporarily_unavailable"})",
                   TokenErrorKind::kTemporary},
           Refusal{"slow_down", 400, R"({"error":"slow_down"})", TokenErrorKind::kRateLimited},
           Refusal{"404", 404, "<html>", TokenErrorKind::kRejected},
           Refusal{"408", 408, "", TokenErrorKind::kTemporary},
           Refusal{"503", 503, "", TokenErrorKind::kTemporary},
           Refusal{"200 and nothing", 200, "", TokenErrorKind::kTemporary},
           Refusal{"204", 204, "", TokenErrorKind::kTemporary},
           Refusal{"no token", 200, R"({"token_type":"Bearer"})", TokenErrorKind::kTemporary},
           Refusal{"JSON that is no object", 200, R"("access_token")", TokenErrorKind::kTemporary},
       }) {
    SCOPED_TRACE(c.name);
    MockProviderOptions options;
    options.error = [&c](int, const std::string&) { return Answer(c.status, "application/json", c.body); };
    QuirkWorld world(QuirkDefinition(1), options);
    const TokenError error = ErrorOf(world.Refresh("no-such-token"));
    EXPECT_EQ(error.kind, c.kind) << error.message;
  }
}

TEST(TokenClientTest, ErrorsRepeatNoSecret) {
  struct Case {
    const char* name;
    std::string body;
  };
  const std::string token = "refresh-token-that-was-sent", secret = "secret-of-client-1";
  for (const Case& c :
       {Case{"description",
             absl::StrCat(R"({"error":"invalid_grant","error_description":"token )", token, R"( unknown"})")},
        Case{"code", absl::StrCat(R"({"error":")", token, R"("})")},
        Case{"client secret", absl::StrCat(R"({"error":"invalid_client","error_description":"not )", secret, R"("})")},
        Case{"something like a token", R"({"error":"x","error_description":"got eyJhbGciOiJSUzI1NiJ9.eyJpc3M0"})"}}) {
    SCOPED_TRACE(c.name);
    MockProviderOptions options;
    options.error = [&c](int, const std::string&) { return Answer(400, "application/json", c.body); };
    QuirkWorld world(QuirkDefinition(1), options);
    const TokenError error = ErrorOf(world.Refresh(token));
    for (const std::string& hidden : {token, secret, std::string("eyJ")}) {
      EXPECT_FALSE(absl::StrContains(error.message, hidden));
      EXPECT_FALSE(absl::StrContains(error.code, hidden));
    }
  }
}

TEST(TokenClientTest, WordsOfTheProviderArePrintableAndShort) {
  MockProviderOptions options;
  options.error = [](int, const std::string&) {
    return Answer(400, "application/json",
                  absl::StrCat(R"({"error":"\u001b[31m)", std::string(500, 'x'),
                               R"(","error_description":"\u0000\n\u00e4)", std::string(5000, 'y'), R"("})"));
  };
  QuirkWorld world(QuirkDefinition(1), options);
  const TokenError error = ErrorOf(world.Refresh("some-token"));
  EXPECT_LE(error.code.size(), 64u);
  EXPECT_LE(error.message.size(), 500u);
  for (const char c : error.message + error.code) EXPECT_TRUE(c >= 0x20 && c < 0x7f) << static_cast<int>(c);
}

TEST(TokenClientTest, TheAccountIsAskedForOnceAndNeverInTheWay) {
  QuirkWorld world(QuirkDefinition(1), {});
  const TokenGrant first = GrantOf(world.Connect());
  EXPECT_EQ(first.account, "ada@example.test");
  EXPECT_EQ(GrantOf(world.Refresh(Text(first.refresh_token))).account, "");
  EXPECT_EQ(world.http().Count("https://provider.test/userinfo"), 1);

  world.definition()->provider.set_account_path("profile.login");
  EXPECT_EQ(GrantOf(world.Connect()).account, "ada");
  for (const Fault fault : {Fault::kTimeout, Fault::kHtml, Fault::kServerError, Fault::kRedirect}) {
    world.http().Inject(fault, 1, "https://provider.test/userinfo");
    EXPECT_EQ(GrantOf(world.Connect()).account, "");
  }
}

TEST(TokenClientTest, RefreshesSendNoScope) {
  QuirkWorld world(QuirkDefinition(1), {});
  const TokenGrant first = GrantOf(world.Connect());
  EXPECT_EQ(first.scopes, (std::vector<std::string>{"read", "write"}));
  EXPECT_EQ(GrantOf(world.Refresh(Text(first.refresh_token))).scopes, first.scopes);
}

TEST(TokenClientTest, WithoutATokenThereIsNothingToRefresh) {
  QuirkWorld world(QuirkDefinition(1), {});
  EXPECT_EQ(ErrorOf(world.Refresh("")).kind, TokenErrorKind::kInvalidGrant);
  EXPECT_TRUE(world.Revoke("").ok());
  EXPECT_TRUE(world.http().requests().empty());
}

TEST(TokenClientTest, ACodeWorksOnceWithItsVerifier) {
  QuirkWorld world(QuirkDefinition(1), {});
  GrantOf(world.Connect());
  for (const char* verifier : {"", "another-verifier-than-that-of-the-challenge"}) {
    AuthorizationRequest request;
    request.redirect_uri = "https://keyferry.test/oauth/callback";
    request.state = "s";
    request.code_challenge = std::string(43, 'A');
    const auto back = world.provider().Consent(*AuthorizationUrl(world.definition()->provider, request));
    ASSERT_TRUE(back.ok()) << back.status();
    auto query = ParseCallbackQuery(absl::string_view(*back).substr(back->find('?') + 1));
    ASSERT_TRUE(query.ok() && TakeCode(world.definition()->provider, &*query).ok());
    TokenClient::CodeExchange exchange;
    exchange.code = query->code;
    exchange.code_verifier = storage::SecretBytes::CopyOf(verifier);
    exchange.redirect_uri = request.redirect_uri;
    TokenResult result;
    world.client().ExchangeCode(world.definition(), std::move(exchange), absl::Seconds(1),
                                [&](TokenResult r) { result = std::move(r); });
    EXPECT_EQ(ErrorOf(std::move(result)).kind, TokenErrorKind::kInvalidGrant);
  }
}

TEST(TokenClientTest, DefinitionsThatCannotWorkAreRejectedWithoutARequest) {
  struct Case {
    const char* name;
    std::function<void(ProviderDefinition&)> damage;
  };
  const std::vector<Case> cases = {
      {"a token URL without TLS",
       [](auto& d) { d.provider.mutable_endpoints()->set_token_url("http://provider.test/token"); }},
      {"no token URL", [](auto& d) { d.provider.mutable_endpoints()->clear_token_url(); }},
      {"an unknown variable", [](auto& d) { d.provider.mutable_endpoints()->set_token_url("https://{x}.test/token"); }},
      {"no key to sign with",
       [](auto& d) {
         d.provider.mutable_client()->set_authentication(v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT);
       }},
      {"no certificate",
       [](auto& d) {
         d.provider.mutable_client()->set_authentication(v1::OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH);
       }},
      {"a header with a line break",
       [](auto& d) {
         auto* header = d.provider.mutable_token()->add_headers();
         header->set_name("X-Version");
         header->set_value("1\r\nHost: evil.test");
       }},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    QuirkWorld world(QuirkDefinition(1), {});
    c.damage(*world.definition());
    EXPECT_EQ(ErrorOf(world.Refresh("some-token")).kind, TokenErrorKind::kRejected);
    EXPECT_TRUE(world.http().requests().empty());
  }
}

}  // namespace
}  // namespace keyferry::server
