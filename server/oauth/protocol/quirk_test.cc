// Each way in which real providers differ, acted out from the authorization URL to the revocation.
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gtest/gtest.h"
#include "server/oauth/protocol/catalogue_of_quirks.h"
#include "server/oauth/protocol/discovery.h"
#include "server/oauth/protocol/jws.h"
#include "server/oauth/protocol/quirk_world.h"
#include "server/oauth/protocol/registration.h"

namespace keyferry::server {
namespace {

std::string Text(const storage::SecretBytes& secret) { return std::string(secret.Expose()); }

// Connects, refreshes and revokes; the provider agrees at every step. Returns the grant of the connection.
TokenGrant LiveThrough(QuirkWorld& world, const UrlVariables& variables = {}) {
  TokenGrant first = GrantOf(world.Connect(variables));
  EXPECT_TRUE(world.provider().IsActive(Text(first.access_token))) << world.provider().last_problem();
  const TokenGrant second = GrantOf(world.Refresh(Text(first.refresh_token), Text(first.access_token), variables));
  EXPECT_TRUE(world.provider().IsActive(Text(second.access_token))) << world.provider().last_problem();
  EXPECT_EQ(world.provider().refreshes(), 1);
  const std::string last = Text(second.refresh_token.empty() ? first.refresh_token : second.refresh_token);
  const absl::Status revoked = world.Revoke(last, Text(second.access_token), variables);
  EXPECT_TRUE(revoked.ok()) << revoked << world.provider().last_problem();
  EXPECT_FALSE(world.provider().IsActive(Text(second.access_token)));
  return first;
}

TEST(QuirkTest, Row01_ClientSecretBasic) {
  MockProviderOptions options;
  // Reserved characters, and ones that differ between form and percent encoding.
  options.client.id = "client:1/ä+ %";
  options.client.secret = "s3cr:t&=+/ ~*%41ü";
  v1::OauthProvider provider = QuirkDefinition(1);
  provider.mutable_client()->set_client_id(options.client.id);
  provider.mutable_client()->set_client_secret(options.client.secret);
  QuirkWorld world(provider, options);
  LiveThrough(world);
}

TEST(QuirkTest, Row01_ClientSecretBasicRaw) {
  MockProviderOptions options;
  options.client.secret = "s3cr:t&=+/ ~*%41";
  options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC_RAW;
  v1::OauthProvider provider = QuirkDefinition(1);
  provider.mutable_client()->set_client_secret(options.client.secret);
  provider.mutable_client()->set_authentication(options.client.authentication);
  QuirkWorld world(provider, options);
  LiveThrough(world);
}

TEST(QuirkTest, Row02_ClientSecretPost) {
  MockProviderOptions options;
  options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST;
  options.client.secret = "s3cr:t&=+/ ~*%41ü";
  v1::OauthProvider provider = QuirkDefinition(2);
  provider.mutable_client()->set_client_secret(options.client.secret);
  QuirkWorld world(provider, options);
  LiveThrough(world);
}

TEST(QuirkTest, Row03_PublicClient) {
  MockProviderOptions options;
  options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_NONE;
  options.requires_pkce = true;
  QuirkWorld world(QuirkDefinition(3), options);
  LiveThrough(world);
}

TEST(QuirkTest, Row04_SecretAsBasicUser) {
  MockProviderOptions options;
  options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_SECRET_AS_BASIC_USER;
  QuirkWorld world(QuirkDefinition(4), options);
  LiveThrough(world);
}

TEST(QuirkTest, Row05_PrivateKeyJwt) {
  for (const auto algorithm :
       {v1::OAUTH_SIGNING_ALGORITHM_RS256, v1::OAUTH_SIGNING_ALGORITHM_PS256, v1::OAUTH_SIGNING_ALGORITHM_ES256}) {
    SCOPED_TRACE(AlgorithmName(algorithm));
    const storage::SecretBytes key = GenerateSigningKey(algorithm);
    MockProviderOptions options;
    options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT;
    options.client.algorithm = std::string(AlgorithmName(algorithm));
    options.client.jwks = PublicJwks(key.Expose(), algorithm).value();
    v1::OauthProvider provider = QuirkDefinition(5);
    provider.mutable_client()->set_signing_algorithm(algorithm);
    QuirkWorld world(provider, options);
    world.definition()->signing_key = key.Clone();
    LiveThrough(world);
  }
}

TEST(QuirkTest, Row06_MutualTls) {
  MockProviderOptions options;
  options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH;
  options.client.certificate = "PEM of the certificate";
  QuirkWorld world(QuirkDefinition(6), options);
  LiveThrough(world);
}

TEST(QuirkTest, Row07_JsonRequest) {
  MockProviderOptions options;
  options.format = v1::OAUTH_REQUEST_FORMAT_JSON;
  QuirkWorld world(QuirkDefinition(7), options);
  LiveThrough(world);
}

TEST(QuirkTest, Row08_GetAndQuery) {
  for (const auto format : {v1::OAUTH_REQUEST_FORMAT_GET, v1::OAUTH_REQUEST_FORMAT_QUERY}) {
    MockProviderOptions options;
    options.format = format;
    options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST;
    v1::OauthProvider provider = QuirkDefinition(8);
    provider.mutable_token()->set_format(format);
    QuirkWorld world(provider, options);
    LiveThrough(world);
  }
}

TEST(QuirkTest, Row09_ScopesByComma) {
  MockProviderOptions options;
  options.scope_separator = ",";
  options.required_authorization = {{"scope", "read,write"}};
  options.answer = [](const MockGrant& grant) {
    return Answer(200, "application/json",
                  absl::StrCat(R"({"access_token":")", grant.access_token, R"(","refresh_token":")",
                               grant.refresh_token, R"(","scope":"read,write"})"));
  };
  QuirkWorld world(QuirkDefinition(9), options);
  EXPECT_EQ(LiveThrough(world).scopes, (std::vector<std::string>{"read", "write"}));
}

TEST(QuirkTest, Row10_ScopesByPlusUnescaped) {
  QuirkWorld world(QuirkDefinition(10), {});
  const TokenGrant grant = LiveThrough(world);
  EXPECT_TRUE(absl::StrContains(world.authorization_url(), "&scope=read+write&")) << world.authorization_url();
  EXPECT_EQ(grant.scopes, (std::vector<std::string>{"read", "write"}));
}

TEST(QuirkTest, Row11_PkceOff) {
  MockProviderOptions options;
  options.refuses_pkce = true;
  QuirkWorld world(QuirkDefinition(11), options);
  LiveThrough(world);
}

TEST(QuirkTest, Row12_ExtraAuthorizationParameters) {
  MockProviderOptions options;
  options.required_authorization = {
      {"access_type", "offline"}, {"prompt", "consent"}, {"audience", "api.provider.test/all of it"}};
  QuirkWorld world(QuirkDefinition(12), options);
  LiveThrough(world);
}

TEST(QuirkTest, Row13_OfflineAccessAsScope) {
  MockProviderOptions options;
  options.required_authorization = {{"scope", "read write offline_access"}};
  QuirkWorld world(QuirkDefinition(13), options);
  LiveThrough(world);
}

TEST(QuirkTest, Row14_RenamedParameters) {
  MockProviderOptions options;
  options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST;
  options.authorization_names = {{"client_id", "client_key"}};
  options.token_names = {{"client_id", "client_key"}, {"client_secret", "app_secret"}};
  QuirkWorld world(QuirkDefinition(14), options);
  LiveThrough(world);
}

TEST(QuirkTest, Row15_OtherCodeParameter) {
  MockProviderOptions options;
  options.code_parameter = "spapi_oauth_code";
  options.callback_parameters = {{"selling_partner_id", "A1/B2"}};
  QuirkWorld world(QuirkDefinition(15), options);
  EXPECT_EQ(LiveThrough(world).metadata.at("selling_partner_id"), "A1/B2");
}

TEST(QuirkTest, Row16_TemplatedUrls) {
  MockProviderOptions options;
  options.issuer = "https://acme.provider.test";
  QuirkWorld world(QuirkDefinition(16), options);
  LiveThrough(world, {{"subdomain", "acme"}});
  for (const char* value :
       {"", "acme.evil", "evil.test/", "evil.test#", "a?b", "a@b", "a:1", "a\\b", "a b", "\xC3\xA4"}) {
    const TokenError error = ErrorOf(world.Connect({{"subdomain", value}}));
    EXPECT_TRUE(absl::StrContains(error.message, "url_variables.subdomain")) << value << ": " << error.message;
  }
}

TEST(QuirkTest, Row17_Metadata) {
  MockProviderOptions options;
  options.callback_parameters = {{"realmId", "123145"}};
  options.answer = [](const MockGrant& grant) {
    return Answer(
        200, "application/json",
        absl::StrCat(R"({"access_token":")", grant.access_token, R"(","refresh_token":")", grant.refresh_token,
                     R"(","instance_url":"https://na1.provider.test","team":{"id":7}})"));
  };
  QuirkWorld world(QuirkDefinition(17), options);
  EXPECT_EQ(LiveThrough(world).metadata,
            (std::map<std::string, std::string>{
                {"realmId", "123145"}, {"instance_url", "https://na1.provider.test"}, {"team", "7"}}));
}

TEST(QuirkTest, Row18_SeparateRefreshUrl) {
  MockProviderOptions options;
  options.separate_refresh_url = true;
  QuirkWorld world(QuirkDefinition(18), options);
  LiveThrough(world);
  EXPECT_EQ(world.http().Count("https://provider.test/refresh"), 1);
}

TEST(QuirkTest, Row19_ExtraRefreshParametersAndHeaders) {
  MockProviderOptions options;
  options.required_refresh = {{"type", "refresh"}};
  options.required_refresh_headers = {{"X-Refresh", "yes"}};
  QuirkWorld world(QuirkDefinition(19), options);
  LiveThrough(world);
}

TEST(QuirkTest, Row20_OtherPaths) {
  MockProviderOptions options;
  options.answer = [](const MockGrant& grant) {
    return Answer(200, "application/json",
                  absl::StrCat(R"({"ok":true,"access_token":"of-the-bot","authed_user":{"id":"U1","access_token":")",
                               grant.access_token, R"(","refreshToken":")", grant.refresh_token,
                               R"(","expiresIn":600,"scope":"read"}})"));
  };
  QuirkWorld world(QuirkDefinition(20), options);
  const TokenGrant grant = LiveThrough(world);
  EXPECT_EQ(grant.lifetime, absl::Minutes(10));
  EXPECT_EQ(grant.scopes, std::vector<std::string>{"read"});
}

TEST(QuirkTest, Row21_ErrorInsideOf200) {
  MockProviderOptions options;
  options.answer = [](const MockGrant& grant) {
    return Answer(200, "application/json",
                  absl::StrCat(R"({"ok":true,"access_token":")", grant.access_token, R"(","refresh_token":")",
                               grant.refresh_token, R"("})"));
  };
  options.error = [](int, const std::string& error) {
    return Answer(200, "application/json", absl::StrCat(R"({"ok":false,"error":")", error, R"("})"));
  };
  QuirkWorld world(QuirkDefinition(21), options);
  LiveThrough(world);
  const TokenError gone = ErrorOf(world.Refresh("no-such-token"));
  EXPECT_EQ(gone.kind, TokenErrorKind::kInvalidGrant);
  EXPECT_EQ(gone.code, "invalid_grant");
  world.definition()->provider.mutable_client()->set_client_secret("wrong");
  const TokenError rejected = ErrorOf(world.Refresh("no-such-token"));
  EXPECT_EQ(rejected.kind, TokenErrorKind::kRejected);
  EXPECT_EQ(rejected.code, "invalid_client");
}

TEST(QuirkTest, Row22_Other2xx) {
  MockProviderOptions options;
  options.answer = [](const MockGrant& grant) {
    return Answer(201, "application/json",
                  absl::StrCat(R"({"access_token":")", grant.access_token, R"(","refresh_token":")",
                               grant.refresh_token, R"("})"));
  };
  QuirkWorld world(QuirkDefinition(22), options);
  LiveThrough(world);
}

TEST(QuirkTest, Row23_FormEncodedResponse) {
  for (const char* type : {"application/x-www-form-urlencoded; charset=utf-8", "text/plain", ""}) {
    MockProviderOptions options;
    options.answer = [type](const MockGrant& grant) {
      return Answer(200, type,
                    absl::StrCat("access_token=", grant.access_token, "&refresh_token=", grant.refresh_token,
                                 "&scope=repo%2Cgist&token_type=bearer&expires_in=60"));
    };
    QuirkWorld world(QuirkDefinition(23), options);
    const TokenGrant grant = LiveThrough(world);
    EXPECT_EQ(grant.scopes, (std::vector<std::string>{"repo", "gist"}));
    EXPECT_EQ(grant.lifetime, absl::Minutes(1));
  }
}

HttpResponse WithoutExpiry(const MockGrant& grant) {
  return Answer(
      200, "application/json",
      absl::StrCat(R"({"access_token":")", grant.access_token, R"(","refresh_token":")", grant.refresh_token, R"("})"));
}

TEST(QuirkTest, Row24_LifetimeDeclared) {
  MockProviderOptions options;
  options.answer = WithoutExpiry;
  QuirkWorld world(QuirkDefinition(24), options);
  EXPECT_EQ(LiveThrough(world).lifetime, absl::Hours(2));
}

TEST(QuirkTest, Row24_LifetimeByIntrospection) {
  MockProviderOptions options;
  options.answer = WithoutExpiry;
  options.lifetime = absl::Minutes(47);
  v1::OauthProvider provider = QuirkDefinition(24);
  provider.mutable_token()->clear_lifetime();
  provider.mutable_token()->set_introspect(true);
  provider.mutable_endpoints()->set_introspection_url("https://provider.test/introspect");
  QuirkWorld world(provider, options);
  EXPECT_EQ(LiveThrough(world).lifetime, absl::Minutes(47));
  // Without an answer the lifetime stays unknown, and the grant is kept.
  world.http().Inject(FakeHttpClient::Fault::kTimeout, 1, "https://provider.test/introspect");
  EXPECT_EQ(GrantOf(world.Connect()).lifetime, absl::InfiniteDuration());
}

TEST(QuirkTest, Row24_LifetimeUnknown) {
  MockProviderOptions options;
  options.answer = WithoutExpiry;
  v1::OauthProvider provider = QuirkDefinition(24);
  provider.mutable_token()->clear_lifetime();
  QuirkWorld world(provider, options);
  EXPECT_EQ(LiveThrough(world).lifetime, absl::InfiniteDuration());
}

TEST(QuirkTest, Row25_ExpiryFormats) {
  struct Case {
    const char* name;
    v1::OauthExpiryFormat format;
    const char* value;
  };
  // The world's time is 2026-09-21T14:13:20Z; every value says an hour.
  for (const Case& c : {Case{"seconds as a string", v1::OAUTH_EXPIRY_FORMAT_SECONDS, R"("3600")"},
                        Case{"seconds with a fraction", v1::OAUTH_EXPIRY_FORMAT_SECONDS, "3600.0"},
                        Case{"milliseconds", v1::OAUTH_EXPIRY_FORMAT_MILLISECONDS, "3600000"},
                        Case{"milliseconds as a string", v1::OAUTH_EXPIRY_FORMAT_MILLISECONDS, R"("3600000")"},
                        Case{"Unix seconds", v1::OAUTH_EXPIRY_FORMAT_UNIX_SECONDS, "1790003600"},
                        Case{"Unix milliseconds", v1::OAUTH_EXPIRY_FORMAT_UNIX_MILLISECONDS, R"("1790003600000")"},
                        Case{"date", v1::OAUTH_EXPIRY_FORMAT_DATE, R"("2026-09-21T15:13:20Z")"},
                        Case{"date with an offset", v1::OAUTH_EXPIRY_FORMAT_DATE, R"("2026-09-21T17:13:20.000+02:00")"},
                        Case{"date without an offset", v1::OAUTH_EXPIRY_FORMAT_DATE, R"("2026-09-21T15:13:20")"},
                        Case{"date with a space", v1::OAUTH_EXPIRY_FORMAT_DATE, R"("2026-09-21 15:13:20")"},
                        Case{"duration", v1::OAUTH_EXPIRY_FORMAT_DURATION, R"("PT1H")"},
                        Case{"clock", v1::OAUTH_EXPIRY_FORMAT_DURATION, R"("01:00:00")"}}) {
    SCOPED_TRACE(c.name);
    MockProviderOptions options;
    options.answer = [&c](const MockGrant& grant) {
      return Answer(200, "application/json",
                    absl::StrCat(R"({"access_token":")", grant.access_token, R"(","refresh_token":")",
                                 grant.refresh_token, R"(","expires":)", c.value, "}"));
    };
    v1::OauthProvider provider = QuirkDefinition(25);
    provider.mutable_token()->mutable_response()->set_expiry_format(c.format);
    QuirkWorld world(provider, options);
    EXPECT_EQ(LiveThrough(world).lifetime, absl::Hours(1));
  }
}

TEST(QuirkTest, Row26_RefreshTokenRotates) {
  QuirkWorld world(QuirkDefinition(26), {});
  const TokenGrant first = GrantOf(world.Connect());
  const TokenGrant second = GrantOf(world.Refresh(Text(first.refresh_token)));
  EXPECT_FALSE(second.refresh_token.empty());
  EXPECT_NE(Text(second.refresh_token), Text(first.refresh_token));
  EXPECT_EQ(ErrorOf(world.Refresh(Text(first.refresh_token))).kind, TokenErrorKind::kInvalidGrant);
  EXPECT_EQ(world.provider().reuses(), 1);
  EXPECT_EQ(ErrorOf(world.Refresh(Text(second.refresh_token))).kind, TokenErrorKind::kInvalidGrant);
}

TEST(QuirkTest, Row27_RefreshTokenOmitted) {
  MockProviderOptions options;
  options.rotates = false;
  QuirkWorld world(QuirkDefinition(27), options);
  const TokenGrant first = GrantOf(world.Connect());
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(GrantOf(world.Refresh(Text(first.refresh_token))).refresh_token.empty());
  }
}

TEST(QuirkTest, Row28_RefreshedByAccessToken) {
  MockProviderOptions options;
  options.gives_refresh_token = false;
  options.refreshes_by_access_token = true;
  options.refresh_names = {{"access_token", "fb_exchange_token"}};
  options.required_refresh = {{"grant_type", "fb_exchange_token"}};
  QuirkWorld world(QuirkDefinition(28), options);
  const TokenGrant grant = LiveThrough(world);
  EXPECT_TRUE(grant.refresh_token.empty());
  world.Pass(absl::Hours(2));
  EXPECT_EQ(ErrorOf(world.Refresh("", Text(grant.access_token))).kind, TokenErrorKind::kInvalidGrant);
}

TEST(QuirkTest, Row29_SecondExchange) {
  MockProviderOptions options;
  options.needs_second_exchange = true;
  int answers = 0;
  options.answer = [&answers](const MockGrant& grant) {
    // The second exchange names no expiry, which the definition does.
    return ++answers % 2 == 1
               ? Answer(200, "application/json",
                        absl::StrCat(R"({"access_token":")", grant.access_token, R"(","refresh_token":")",
                                     grant.refresh_token, R"(","expires_in":60})"))
               : WithoutExpiry(grant);
  };
  QuirkWorld world(QuirkDefinition(29), options);
  const TokenGrant grant = LiveThrough(world);
  EXPECT_EQ(grant.lifetime, absl::Hours(24 * 60));
  EXPECT_FALSE(grant.refresh_token.empty());
  // What passes is tried again, so that the first exchange is not for nothing.
  world.http().Inject(FakeHttpClient::Fault::kServerError, 1, "https://provider.test/second");
  EXPECT_TRUE(world.provider().IsActive(Text(GrantOf(world.Connect()).access_token)));
}

TEST(QuirkTest, Row30_ClientCredentials) {
  MockProviderOptions options;
  options.grant_names = {{"client_credentials", "account_credentials"}};
  options.required_token = {{"audience", "https://api.eu.test/"}, {"scope", "read write"}};
  QuirkWorld world(QuirkDefinition(30), options);
  const TokenGrant first = GrantOf(world.RequestWithoutPerson());
  EXPECT_TRUE(world.provider().IsActive(Text(first.access_token)));
  EXPECT_EQ(first.scopes, (std::vector<std::string>{"read", "write"}));
  const TokenGrant second = GrantOf(world.Refresh(""));
  EXPECT_TRUE(world.provider().IsActive(Text(second.access_token)));
  EXPECT_EQ(world.provider().exchanges(), 2);
  EXPECT_TRUE(world.Revoke("", Text(second.access_token)).ok());
  EXPECT_FALSE(world.provider().IsActive(Text(second.access_token)));
}

void AssertionGrant(v1::OauthGrantType grant_type, v1::OauthSigningAlgorithm algorithm) {
  SCOPED_TRACE(absl::StrCat(v1::OauthGrantType_Name(grant_type), " ", AlgorithmName(algorithm)));
  const storage::SecretBytes key = GenerateSigningKey(algorithm);
  MockProviderOptions options;
  options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_NONE;
  options.client.algorithm = std::string(AlgorithmName(algorithm));
  options.client.jwks = PublicJwks(key.Expose(), algorithm).value();
  v1::OauthProvider provider = QuirkDefinition(31);
  provider.set_grant_type(grant_type);
  provider.mutable_client()->set_signing_algorithm(algorithm);
  provider.mutable_assertion()->set_issuer("<\"Acme\" & söhne>");
  QuirkWorld world(provider, options);
  world.definition()->signing_key = key.Clone();
  const TokenGrant first = GrantOf(world.RequestWithoutPerson());
  EXPECT_TRUE(world.provider().IsActive(Text(first.access_token)));
  EXPECT_TRUE(world.provider().IsActive(Text(GrantOf(world.Refresh("")).access_token)));
  // Another key than the registered one.
  world.definition()->signing_key = GenerateSigningKey(algorithm);
  EXPECT_EQ(ErrorOf(world.Refresh("")).kind, TokenErrorKind::kInvalidGrant);
}

TEST(QuirkTest, Row31_JwtBearer) {
  AssertionGrant(v1::OAUTH_GRANT_TYPE_JWT_BEARER, v1::OAUTH_SIGNING_ALGORITHM_RS256);
  AssertionGrant(v1::OAUTH_GRANT_TYPE_JWT_BEARER, v1::OAUTH_SIGNING_ALGORITHM_PS256);
  AssertionGrant(v1::OAUTH_GRANT_TYPE_JWT_BEARER, v1::OAUTH_SIGNING_ALGORITHM_ES256);
}

TEST(QuirkTest, Row31_Saml2Bearer) {
  AssertionGrant(v1::OAUTH_GRANT_TYPE_SAML2_BEARER, v1::OAUTH_SIGNING_ALGORITHM_RS256);
}

TEST(QuirkTest, Row32_DiscoveryRegistrationResource) {
  MockProviderOptions options;
  options.client.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST;
  options.sends_issuer = true;
  options.requires_pkce = true;
  QuirkWorld world(QuirkDefinition(32), options);
  v1::OauthProvider& provider = world.definition()->provider;

  absl::StatusOr<DiscoveredMetadata> found = absl::UnknownError("not called");
  Discover(&world.http(), provider.endpoints(), absl::Seconds(10), [&](auto result) { found = std::move(result); });
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->resource, "https://provider.test/mcp");
  EXPECT_EQ(found->scopes, (std::vector<std::string>{"mcp:read", "mcp:write"}));
  EXPECT_EQ(found->pkce, v1::OAUTH_PKCE_S256);
  EXPECT_TRUE(found->issuer_in_callback);

  RegistrationRequest request;
  request.redirect_uri = "https://keyferry.test/oauth/callback";
  request.client_name = "Keyferry";
  request.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST;
  absl::StatusOr<RegisteredClient> client = absl::UnknownError("not called");
  RegisterClient(&world.http(), found->endpoints.registration_url(), std::move(request), absl::Seconds(10),
                 [&](auto result) { client = std::move(result); });
  ASSERT_TRUE(client.ok()) << client.status();

  *provider.mutable_endpoints() = found->endpoints;
  provider.mutable_client()->set_client_id(client->client_id);
  provider.mutable_client()->set_client_secret(std::string(client->client_secret.Expose()));
  provider.mutable_client()->set_authentication(client->authentication);
  provider.mutable_authorization()->add_resources(found->resource);
  provider.mutable_authorization()->add_resources("https://provider.test/other");
  provider.mutable_authorization()->set_require_issuer(true);
  LiveThrough(world);
}

TEST(QuirkTest, Row33_Revocation) {
  QuirkWorld world(QuirkDefinition(33), {});
  const TokenGrant grant = GrantOf(world.Connect());
  world.http().Inject(FakeHttpClient::Fault::kServerError, 1, "https://provider.test/revoke");
  EXPECT_EQ(world.Revoke(Text(grant.refresh_token)).code(), absl::StatusCode::kUnavailable);
  EXPECT_TRUE(world.provider().IsRefreshable(Text(grant.refresh_token)));
  EXPECT_TRUE(world.Revoke(Text(grant.refresh_token)).ok());
  EXPECT_FALSE(world.provider().IsRefreshable(Text(grant.refresh_token)));
  EXPECT_FALSE(world.provider().IsActive(Text(grant.access_token)));
  EXPECT_TRUE(world.Revoke("a-token-that-is-not-known").ok());
  world.definition()->provider.mutable_client()->set_client_secret("wrong");
  EXPECT_EQ(world.Revoke(Text(grant.refresh_token)).code(), absl::StatusCode::kFailedPrecondition);
  world.definition()->provider.mutable_endpoints()->clear_revocation_url();
  EXPECT_TRUE(world.Revoke(Text(grant.refresh_token)).ok());
}

TEST(QuirkTest, EveryRowHasADefinitionAndAName) {
  std::set<std::string> names;
  for (int row = 1; row <= kQuirkCount; ++row) {
    EXPECT_TRUE(names.insert(QuirkName(row)).second) << row;
    EXPECT_EQ(QuirkDefinition(row).display_name(), QuirkName(row));
  }
}

}  // namespace
}  // namespace keyferry::server
