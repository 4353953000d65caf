#include "server/oauth/protocol/discovery.h"

#include <functional>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/oauth/protocol/fake_http_client.h"
#include "server/oauth/protocol/mock_provider.h"

namespace keyferry::server {
namespace {

absl::StatusOr<DiscoveredMetadata> Ask(HttpClient& http, const v1::OauthEndpoints& endpoints) {
  absl::StatusOr<DiscoveredMetadata> found = absl::UnknownError("not called");
  Discover(&http, endpoints, absl::Seconds(10), [&](auto result) { found = std::move(result); });
  return found;
}

v1::OauthEndpoints Issuer(const std::string& issuer) {
  v1::OauthEndpoints endpoints;
  endpoints.set_issuer(issuer);
  return endpoints;
}

v1::OauthEndpoints Resource(const std::string& resource) {
  v1::OauthEndpoints endpoints;
  endpoints.set_resource(resource);
  return endpoints;
}

TEST(DiscoveryTest, FindsTheDocumentOfEveryForm) {
  struct Case {
    const char* issuer;
    bool openid_only;
    const char* url;
  };
  for (const Case& c : {
           Case{"https://provider.test", false, "GET https://provider.test/.well-known/oauth-authorization-server"},
           Case{"https://provider.test", true, "GET https://provider.test/.well-known/openid-configuration"},
           Case{"https://provider.test/tenant/1", false,
                "GET https://provider.test/.well-known/oauth-authorization-server/tenant/1"},
           Case{"https://provider.test/tenant/1", true,
                "GET https://provider.test/tenant/1/.well-known/openid-configuration"},
       }) {
    MockProviderOptions options;
    options.issuer = c.issuer;
    options.openid_only = c.openid_only;
    MockProvider provider(options);
    FakeHttpClient http(provider.Server());
    const auto found = Ask(http, Issuer(c.issuer));
    ASSERT_TRUE(found.ok()) << found.status();
    EXPECT_EQ(http.requests().back(), c.url);
    EXPECT_EQ(found->endpoints.token_url(), absl::StrCat(c.issuer, "/token"));
    EXPECT_EQ(found->endpoints.authorization_url(), absl::StrCat(c.issuer, "/authorize"));
    EXPECT_EQ(found->endpoints.revocation_url(), absl::StrCat(c.issuer, "/revoke"));
    EXPECT_EQ(found->endpoints.registration_url(), absl::StrCat(c.issuer, "/register"));
    EXPECT_EQ(found->pkce, v1::OAUTH_PKCE_S256);
    EXPECT_EQ(found->scopes, (std::vector<std::string>{"openid", "read", "write"}));
  }
}

TEST(DiscoveryTest, FillsOnlyWhatIsEmpty) {
  MockProvider provider;
  FakeHttpClient http(provider.Server());
  v1::OauthEndpoints endpoints = Issuer("https://provider.test");
  endpoints.set_token_url("https://tokens.test/own");
  const auto found = Ask(http, endpoints);
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->endpoints.token_url(), "https://tokens.test/own");
  EXPECT_EQ(found->endpoints.userinfo_url(), "https://provider.test/userinfo");
  const auto nothing = Ask(http, {});
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(nothing->endpoints.token_url(), "");
}

TEST(DiscoveryTest, DocumentsThatAreWrongAreRefused) {
  struct Case {
    const char* name;
    const char* member;
    const char* value;
    const char* words;
  };
  for (const Case& c : {
           Case{"another issuer", "issuer", R"("https://evil.test")", "another issuer, `https://evil.test`"},
           Case{"another path", "issuer", R"("https://provider.test/x")", "another issuer"},
           Case{"an issuer of another case", "issuer", R"("https://Provider.test")", "another issuer"},
           Case{"no issuer", "issuer", "null", "another issuer"},
           Case{"a token endpoint without TLS", "token_endpoint", R"("http://provider.test/token")", "no https URL"},
           Case{"an endpoint with a user", "revocation_endpoint", R"("https://a@provider.test/")", "no https URL"},
           Case{"an endpoint that is a script", "authorization_endpoint", R"("javascript:alert")", "no https URL"},
           Case{"no token endpoint", "token_endpoint", "null", "no `token_endpoint`"},
       }) {
    MockProviderOptions options;
    options.metadata[c.member] = c.value;
    MockProvider provider(options);
    FakeHttpClient http(provider.Server());
    const auto found = Ask(http, Issuer("https://provider.test"));
    EXPECT_EQ(found.status().code(), absl::StatusCode::kFailedPrecondition) << c.name;
    EXPECT_TRUE(absl::StrContains(found.status().message(), c.words)) << found.status();
  }
}

TEST(DiscoveryTest, AnIssuerMayEndInASlash) {
  MockProviderOptions options;
  options.metadata["issuer"] = R"("https://provider.test/")";
  MockProvider provider(options);
  FakeHttpClient http(provider.Server());
  const auto found = Ask(http, Issuer("https://provider.test"));
  ASSERT_TRUE(found.ok()) << found.status();
  // As the callback will say it.
  EXPECT_EQ(found->endpoints.issuer(), "https://provider.test/");
}

TEST(DiscoveryTest, FaultsOfTheWay) {
  using Fault = FakeHttpClient::Fault;
  struct Case {
    Fault fault;
    absl::StatusCode code;
  };
  for (const Case& c : {Case{Fault::kTimeout, absl::StatusCode::kUnavailable},
                        Case{Fault::kNoConnection, absl::StatusCode::kUnavailable},
                        Case{Fault::kServerError, absl::StatusCode::kUnavailable},
                        Case{Fault::kRateLimited, absl::StatusCode::kUnavailable},
                        Case{Fault::kHtml, absl::StatusCode::kFailedPrecondition},
                        Case{Fault::kRedirect, absl::StatusCode::kFailedPrecondition},
                        Case{Fault::kAnswerTooLarge, absl::StatusCode::kFailedPrecondition},
                        Case{Fault::kAddressRefused, absl::StatusCode::kFailedPrecondition}}) {
    MockProvider provider;
    FakeHttpClient http(provider.Server());
    http.Inject(c.fault, 100);
    EXPECT_EQ(Ask(http, Issuer("https://provider.test")).status().code(), c.code) << static_cast<int>(c.fault);
    EXPECT_EQ(http.Count("https://elsewhere.test"), 0);
  }
  MockProvider provider;
  FakeHttpClient http(provider.Server());
  for (const char* issuer :
       {"http://provider.test", "https://provider.test?x=1", "https://provider.test#x", "provider"}) {
    EXPECT_EQ(Ask(http, Issuer(issuer)).status().code(), absl::StatusCode::kFailedPrecondition) << issuer;
    EXPECT_EQ(Ask(http, Resource(issuer)).status().code(), absl::StatusCode::kFailedPrecondition) << issuer;
  }
  EXPECT_TRUE(http.requests().empty());
}

TEST(DiscoveryTest, AProtectedResourceNamesItsServer) {
  MockProviderOptions options;
  options.issuer = "https://provider.test/as";
  MockProvider provider(options);
  FakeHttpClient http(provider.Server());
  const auto found = Ask(http, Resource("https://provider.test/mcp"));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(http.requests().front(), "GET https://provider.test/.well-known/oauth-protected-resource/mcp");
  EXPECT_EQ(found->endpoints.issuer(), "https://provider.test/as");
  EXPECT_EQ(found->endpoints.token_url(), "https://provider.test/as/token");
  EXPECT_EQ(found->resource, "https://provider.test/mcp");
  // Of the resource, not of the server.
  EXPECT_EQ(found->scopes, (std::vector<std::string>{"mcp:read", "mcp:write"}));
}

TEST(DiscoveryTest, AResourceSpeaksForItselfOnly) {
  struct Case {
    const char* name;
    const char* body;
    const char* words;
  };
  for (const Case& c :
       {Case{"another", R"({"resource":"https://bank.test/","authorization_servers":["https://a.test"]})",
             "another resource"},
        Case{"none", R"({"authorization_servers":["https://a.test"]})", "another resource"},
        Case{"no server", R"({"resource":"https://r.test/mcp"})", "no authorization server"},
        Case{"a server without TLS", R"({"resource":"https://r.test/mcp","authorization_servers":["http://a.test"]})",
             "no https URL"}}) {
    FakeHttpClient http([&c](const HttpRequest&) {
      HttpResponse response;
      response.status = 200;
      response.body = c.body;
      return response;
    });
    const auto found = Ask(http, Resource("https://r.test/mcp"));
    EXPECT_EQ(found.status().code(), absl::StatusCode::kFailedPrecondition) << c.name;
    EXPECT_TRUE(absl::StrContains(found.status().message(), c.words)) << found.status();
    EXPECT_EQ(http.Count("https://a.test") + http.Count("http://a.test"), 0);
  }
}

TEST(DiscoveryTest, PicksAnAuthenticationThatBothKnow) {
  constexpr auto kBasic = v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC;
  constexpr auto kPost = v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST;
  constexpr auto kNone = v1::OAUTH_CLIENT_AUTHENTICATION_NONE;
  constexpr auto kJwt = v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT;
  constexpr auto kUnspecified = v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED;
  struct Case {
    const char* methods;
    const char* secret;
    v1::OauthClientAuthentication asked, picked;
  };
  for (const Case& c : {
           Case{"null", "s", kUnspecified, kBasic},
           Case{R"(["client_secret_post","client_secret_basic"])", "s", kUnspecified, kBasic},
           Case{R"(["client_secret_post","private_key_jwt"])", "s", kUnspecified, kPost},
           Case{R"(["client_secret_post"])", "", kUnspecified, kNone},
           Case{R"(["private_key_jwt"])", "", kJwt, kJwt},
           Case{R"(["client_secret_post"])", "", kJwt, kUnspecified},
           Case{R"(["client_secret_jwt"])", "s", kUnspecified, kUnspecified},
       }) {
    MockProviderOptions options;
    options.metadata["token_endpoint_auth_methods_supported"] = c.methods;
    MockProvider provider(options);
    FakeHttpClient http(provider.Server());
    const auto found = Ask(http, Issuer("https://provider.test"));
    ASSERT_TRUE(found.ok()) << found.status();
    v1::OauthClient client;
    client.set_client_secret(c.secret);
    client.set_authentication(c.asked);
    EXPECT_EQ(PickAuthentication(*found, client), c.picked) << c.methods;
  }
}

TEST(DiscoveryTest, NotesSayWhatIsMissing) {
  MockProviderOptions options;
  options.metadata = {{"code_challenge_methods_supported", R"(["plain"])"},
                      {"grant_types_supported", R"(["authorization_code"])"}};
  MockProvider provider(options);
  FakeHttpClient http(provider.Server());
  const auto found = Ask(http, Issuer("https://provider.test"));
  ASSERT_TRUE(found.ok()) << found.status();
  EXPECT_EQ(found->pkce, v1::OAUTH_PKCE_UNSPECIFIED);
  ASSERT_EQ(found->notes.size(), 2u);
  EXPECT_TRUE(absl::StrContains(found->notes[0] + found->notes[1], "PKCE"));
  EXPECT_TRUE(absl::StrContains(found->notes[0] + found->notes[1], "refresh tokens"));
}

}  // namespace
}  // namespace keyferry::server
