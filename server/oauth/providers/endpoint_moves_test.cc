#include "server/oauth/providers/endpoint_moves.h"

#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/errors.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/providers/testing_providers.h"
#include "server/records.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::EngineKind;
using storage::Table;

v1::OauthProvider Parse(const std::string& text) {
  v1::OauthProvider provider;
  EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(text, &provider)) << text;
  return provider;
}

constexpr char kToken[] = "endpoints { token_url: 'https://a.test/token' } ";
constexpr char kUserinfo[] =
    "endpoints { token_url: 'https://a.test/token' userinfo_url: 'https://api.test/me' issuer: 'https://a.test' } ";
constexpr char kTenant[] = "endpoints { token_url: 'https://{tenant}.a.test/token' } ";

TEST(MovedEndpoint, IsWhatGetsMoreThanItsOriginGotBefore) {
  const struct {
    const char* name;
    std::string before;
    std::string after;
    const char* moved;
  } cases[] = {
      {"nothing", kToken, kToken, ""},
      {"another path", kToken, "endpoints { token_url: 'https://a.test/v2/token?x=1' }", ""},
      {"written otherwise", kToken, "endpoints { token_url: 'https://A.Test:443/token' }", ""},
      {"another host", kToken, "endpoints { token_url: 'https://b.test/token' }", "token_url"},
      {"a host below", kToken, "endpoints { token_url: 'https://x.a.test/token' }", "token_url"},
      {"a host that begins alike", kToken, "endpoints { token_url: 'https://a.test.b.test/token' }", "token_url"},
      {"another port", kToken, "endpoints { token_url: 'https://a.test:8443/token' }", "token_url"},
      {"a port that ends alike", "endpoints { token_url: 'https://a.test:8443/token' }", kToken, "token_url"},
      {"a refresh URL there", kToken, absl::StrCat(kToken, "endpoints { refresh_url: 'https://a.test/refresh' }"), ""},
      {"a refresh URL elsewhere", kToken, absl::StrCat(kToken, "endpoints { refresh_url: 'https://b.test/refresh' }"),
       "refresh_url"},
      {"a revocation URL elsewhere", kToken,
       absl::StrCat(kToken, "endpoints { revocation_url: 'https://b.test/revoke' }"), "revocation_url"},
      {"introspection elsewhere", kToken,
       absl::StrCat(kToken, "endpoints { introspection_url: 'https://b.test/introspect' }"), "introspection_url"},
      {"userinfo elsewhere", kToken, absl::StrCat(kToken, "endpoints { userinfo_url: 'https://b.test/me' }"),
       "userinfo_url"},
      {"what gets access tokens gets refresh tokens", kUserinfo,
       "endpoints { token_url: 'https://api.test/token' issuer: 'https://a.test' }", "token_url"},
      {"what gets access tokens gets the secret", kUserinfo,
       absl::StrCat(kUserinfo, "endpoints { introspection_url: 'https://api.test/i' }"), "introspection_url"},
      {"what gets refresh tokens gets access tokens", kUserinfo,
       absl::StrCat(kUserinfo, "endpoints { userinfo_url: 'https://a.test/me' }"), ""},
      {"less", kUserinfo, "endpoints { token_url: 'https://a.test/token' issuer: 'https://a.test' }", ""},
      {"a page for browsers", kToken, absl::StrCat(kToken, "endpoints { authorization_url: 'https://b.test/a' }"), ""},
      {"another issuer", kUserinfo, absl::StrCat(kUserinfo, "endpoints { issuer: 'https://a.test/2' }"), "issuer"},
      {"no issuer any more", kUserinfo,
       "endpoints { token_url: 'https://a.test/token' userinfo_url: 'https://api.test/me' }", "issuer"},
      {"an issuer", kToken, absl::StrCat(kToken, "endpoints { issuer: 'https://b.test' }"), ""},
      {"a second exchange elsewhere", kToken, absl::StrCat(kToken, "token { second { url: 'https://b.test/x' } }"),
       "second.url"},
      {"a second exchange that begins to send the secret",
       absl::StrCat(kToken, "token { second { url: 'https://b.test/x' } }"),
       absl::StrCat(kToken,
                    "token { second { url: 'https://b.test/x' "
                    "headers { name: 'X' value: 'v {client_secret}' } } }"),
       "second.url"},
      {"a variable gets a value", absl::StrCat(kTenant, "url_variables { name: 'tenant' }"),
       absl::StrCat(kTenant, "url_variables { name: 'tenant' value: 'b' }"), "token_url"},
      {"a variable has another value", absl::StrCat(kTenant, "url_variables { name: 'tenant' value: 'a' }"),
       absl::StrCat(kTenant, "url_variables { name: 'tenant' value: 'b' }"), "token_url"},
      {"a variable takes more", absl::StrCat(kTenant, "url_variables { name: 'tenant' }"),
       absl::StrCat(kTenant, "url_variables { name: 'tenant' pattern: '.*' }"), "token_url"},
      {"a variable of the path", "endpoints { token_url: 'https://a.test/{t}' } url_variables { name: 't' value: 'a' }",
       "endpoints { token_url: 'https://a.test/{t}' } url_variables { name: 't' value: 'b' }", ""},
      {"a variable where its value stood", "endpoints { token_url: 'https://b.a.test/token' }",
       absl::StrCat(kTenant, "url_variables { name: 'tenant' value: 'b' }"), ""},
  };
  for (const auto& one : cases) {
    v1::OauthProvider after;
    // The last of a singular field counts.
    ASSERT_TRUE(google::protobuf::TextFormat::MergeFromString(one.after, &after)) << one.name;
    const std::string moved = MovedEndpoint(Parse(one.before), after);
    EXPECT_TRUE(*one.moved == '\0' ? moved.empty() : absl::EndsWith(moved, one.moved)) << one.name << ": " << moved;
  }
}

class EndpointMovesTest : public testing::TestWithParam<EngineKind> {
 protected:
  void Make(const std::string& edit = "") {
    const auto created = w_.Create(w_.Admin(), ProviderWorld::Definition(edit));
    ASSERT_TRUE(created.ok()) << created.status();
  }

  int64_t Epoch() { return (*LoadStoredProvider(*w_.world.store->View(), "acme", "idp"))->record->endpoint_epoch(); }

  std::string Jwks() { return w_.Get(w_.Admin())->client().jwks(); }

  void ExpectRefused(const std::string& text, const std::string& field) {
    const storage::Revision before = w_.world.Revision();
    const auto refused = w_.Update(w_.Admin(), text);
    EXPECT_EQ(refused.status().code(), absl::StatusCode::kFailedPrecondition) << text;
    EXPECT_EQ(DetailOf(refused.status()).reason(), "CLIENT_SECRET_REQUIRED") << refused.status();
    EXPECT_EQ(DetailOf(refused.status()).field(), field);
    EXPECT_NE(DetailOf(refused.status()).next_step(), "");
    EXPECT_FALSE(absl::StrContains(Told(refused.status()), "s3cr3t"));
    EXPECT_EQ(w_.world.Revision(), before) << text;
    EXPECT_EQ(w_.Stored().client().client_secret(), ProviderWorld::kSecret);
  }

  ProviderWorld w_{GetParam()};
};

constexpr char kMove[] = "oauth_provider { endpoints { token_url: 'https://other.test/token' } ";
constexpr char kTokenUrl[] = "oauth_provider.endpoints.token_url";

TEST_P(EndpointMovesTest, TheStoredSecretGoesNowhereElse) {
  Make();
  ExpectRefused(absl::StrCat(kMove, "} update_mask { paths: 'endpoints.token_url' }"), kTokenUrl);
  // A mask that does not take the secret, or a path that keeps the stored one.
  ExpectRefused(
      absl::StrCat(kMove, "client { client_secret: 's3cr3t-2' } } update_mask { paths: 'endpoints.token_url' }"),
      kTokenUrl);
  ExpectRefused(absl::StrCat(kMove,
                             "client { client_id: 'client-1' } } "
                             "update_mask { paths: 'endpoints.token_url' paths: 'client' }"),
                kTokenUrl);
  // A secret that is not sent now could be sent after the next update.
  ExpectRefused(absl::StrCat(kMove,
                             "client { authentication: OAUTH_CLIENT_AUTHENTICATION_NONE } } "
                             "update_mask { paths: 'endpoints.token_url' paths: 'client.authentication' }"),
                kTokenUrl);
  EXPECT_EQ(Epoch(), 0);
}

TEST_P(EndpointMovesTest, MovesWithASecretOfItsOwn) {
  Make();
  const std::string mask =
      "update_mask { paths: 'endpoints.token_url' paths: 'endpoints.revocation_url' paths: 'client.client_secret' }";
  const auto moved =
      w_.Update(w_.Admin(), absl::StrCat("oauth_provider { endpoints { token_url: 'https://other.test/token' } "
                                         "client { client_secret: 's3cr3t-2' } } ",
                                         mask));
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->endpoints().token_url(), "https://other.test/token");
  EXPECT_EQ(w_.Stored().client().client_secret(), "s3cr3t-2");
  EXPECT_EQ(Epoch(), 1);
  // Who was connected before is not connected again by going back.
  const auto back =
      w_.Update(w_.Admin(), absl::StrCat("oauth_provider { endpoints { token_url: 'https://provider.test/token' } "
                                         "client { client_secret: 's3cr3t-3' } } ",
                                         mask));
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(Epoch(), 2);
  ASSERT_TRUE(w_.Update(w_.Admin(), "oauth_provider { display_name: 'x' } update_mask { paths: 'display_name' }").ok());
  EXPECT_EQ(Epoch(), 2) << "nothing moved";
}

TEST_P(EndpointMovesTest, MovesWithoutASecret) {
  Make();
  const auto cleared =
      w_.Update(w_.Admin(), absl::StrCat(kMove,
                                         "client { authentication: OAUTH_CLIENT_AUTHENTICATION_NONE } } "
                                         "update_mask { paths: 'endpoints.token_url' "
                                         "paths: 'client.client_secret' paths: 'client.authentication' }"));
  ASSERT_TRUE(cleared.ok()) << cleared.status();
  EXPECT_EQ(Epoch(), 1);
  ASSERT_TRUE(w_.Update(w_.Admin(),
                        "oauth_provider { endpoints { revocation_url: 'https://third.test/r' } } "
                        "update_mask { paths: 'endpoints.revocation_url' }")
                  .ok());
  EXPECT_EQ(Epoch(), 2) << "the refresh tokens are secrets too";
}

TEST_P(EndpointMovesTest, AKeyOfKeyferrysOwnIsMadeAnew) {
  Make("client { authentication: OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT }");
  ASSERT_TRUE(w_.Update(w_.Admin(), "update_mask { paths: 'client.client_secret' }").ok());
  const std::string jwks = Jwks();
  ASSERT_NE(jwks, "");
  const std::string text = absl::StrCat(kMove, "} update_mask { paths: 'endpoints.token_url' }");
  const auto tried = w_.Update(w_.Admin(), absl::StrCat("validate_only: true ", text));
  ASSERT_TRUE(tried.ok()) << tried.status();
  EXPECT_EQ(tried->client().jwks(), "");
  EXPECT_EQ(Jwks(), jwks);
  const auto moved = w_.Update(w_.Admin(), text);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_NE(Jwks(), "");
  EXPECT_NE(Jwks(), jwks) << "an assertion for the new host would be good at the old one";
}

TEST_P(EndpointMovesTest, WhatDiscoveryFindsCountsAsWell) {
  MockProviderOptions elsewhere;
  elsewhere.issuer = "https://other.test";
  MockProvider other(elsewhere, w_.world.clock());
  w_.first = [&](const HttpRequest& request) {
    return absl::StartsWith(request.url, "https://other.test/") ? other.Handle(request) : HttpResponse();
  };
  Make("endpoints { issuer: 'https://provider.test' }");
  const std::string text =
      "oauth_provider { endpoints { issuer: 'https://other.test' } client { client_secret: 's3cr3t-2' } } "
      "update_mask { paths: 'endpoints' ";
  ExpectRefused(text + "}", "oauth_provider.endpoints.issuer");
  const auto moved = w_.Update(w_.Admin(), text + "paths: 'client.client_secret' }");
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_TRUE(absl::StartsWith(moved->endpoints().token_url(), "https://other.test/"));
  EXPECT_EQ(Epoch(), 1);
  // The same issuer, which names another host by now.
  w_.first = [](const HttpRequest& request) {
    HttpResponse answer;
    if (!absl::StrContains(request.url, "/.well-known/")) return answer;
    answer.status = 200;
    answer.headers.emplace_back("Content-Type", "application/json");
    answer.body = R"({"issuer":"https://other.test","token_endpoint":"https://evil.test/t",)"
                  R"("authorization_endpoint":"https://other.test/a","response_types_supported":["code"]})";
    return answer;
  };
  const auto refused = w_.Update(w_.Admin(), "update_mask { paths: 'endpoints.token_url' }");
  EXPECT_EQ(DetailOf(refused.status()).reason(), "CLIENT_SECRET_REQUIRED") << refused.status();
  EXPECT_EQ(DetailOf(refused.status()).field(), kTokenUrl);
}

TEST_P(EndpointMovesTest, SaysHowManyConnectionsAreAffected) {
  Make();
  for (const char* parent : {"", "teams/eng", "users/ada"}) w_.Connect(parent);
  ASSERT_TRUE(w_.Create(w_.Admin(), ProviderWorld::Definition(), "spare").ok());
  w_.Connect("users/ada", "spare");
  const std::string text = absl::StrCat(kMove,
                                        "client { client_secret: 's3cr3t-2' } } update_mask { "
                                        "paths: 'endpoints.token_url' paths: 'client.client_secret' }");
  const storage::Revision before = w_.world.Revision();
  const auto tried = w_.Update(w_.Admin(), absl::StrCat("validate_only: true ", text));
  ASSERT_TRUE(tried.ok()) << tried.status();
  EXPECT_EQ(tried->outdated_connection_count(), 3);
  EXPECT_EQ(tried->etag(), "");
  EXPECT_EQ(w_.world.Revision(), before);
  const auto moved = w_.Update(w_.Admin(), text);
  ASSERT_TRUE(moved.ok()) << moved.status();
  EXPECT_EQ(moved->outdated_connection_count(), 3);
  EXPECT_EQ(w_.Get(w_.Admin())->outdated_connection_count(), 0);
  const auto refused = w_.Update(w_.world.As("ada"), absl::StrCat("validate_only: true ", text));
  EXPECT_EQ(DetailOf(refused.status()).reason(), "PERMISSION_DENIED");
}

// Deleting the provider revokes what was granted for it, and nothing else.
TEST_P(EndpointMovesTest, OldTokensAreNotRevokedElsewhere) {
  Make();
  w_.Connect("users/ada");
  ASSERT_TRUE(w_.Update(w_.Admin(), absl::StrCat(kMove,
                                                 "client { client_secret: 's3cr3t-2' } } update_mask { "
                                                 "paths: 'endpoints.token_url' paths: 'client.client_secret' }"))
                  .ok());
  ASSERT_TRUE(w_.Delete(w_.Admin()).ok());
  EXPECT_EQ(w_.Count(Table::kConnection), 0);
  EXPECT_EQ(w_.Count(Table::kRevocation), 0);
}

INSTANTIATE_TEST_SUITE_P(Engines, EndpointMovesTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

}  // namespace
}  // namespace keyferry::server
