#include "server/oauth/protocol/registration.h"

#include <string>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "server/oauth/protocol/fake_http_client.h"
#include "server/oauth/protocol/jws.h"
#include "server/oauth/protocol/mock_provider.h"

namespace keyferry::server {
namespace {

using Json = nlohmann::json;

RegistrationRequest Request() {
  RegistrationRequest request;
  request.redirect_uri = "https://keyferry.test/oauth/callback";
  request.client_name = "Keyferry of Acme";
  request.scopes = {"read", "write"};
  return request;
}

absl::StatusOr<RegisteredClient> Register(HttpClient& http, RegistrationRequest request) {
  absl::StatusOr<RegisteredClient> client = absl::UnknownError("not called");
  RegisterClient(&http, "https://provider.test/register", std::move(request), absl::Seconds(10),
                 [&](auto result) { client = std::move(result); });
  return client;
}

TEST(RegistrationTest, AsksForWhatAConnectionNeeds) {
  MockProvider provider;
  FakeHttpClient http(provider.Server());
  const auto client = Register(http, Request());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ(client->client_id, "client-1");
  EXPECT_EQ(client->client_secret.Expose(), "secret-of-client-1");
  EXPECT_EQ(client->authentication, v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC);
  EXPECT_EQ(client->secret_expire_time, absl::InfiniteFuture());
  const Json asked = Json::parse(provider.registered_clients().at(0));
  EXPECT_EQ(asked, (Json{{"client_name", "Keyferry of Acme"},
                         {"redirect_uris", {"https://keyferry.test/oauth/callback"}},
                         {"response_types", {"code"}},
                         {"grant_types", {"authorization_code", "refresh_token"}},
                         {"scope", "read write"}}));
}

TEST(RegistrationTest, AClientThatSignsGivesItsKeys) {
  MockProviderOptions options;
  options.registration_token = "initial-access-token";
  MockProvider provider(options);
  FakeHttpClient http(provider.Server());
  RegistrationRequest request = Request();
  request.grant_types = {v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS};
  request.authentication = v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT;
  const storage::SecretBytes key = GenerateSigningKey(v1::OAUTH_SIGNING_ALGORITHM_ES256);
  request.jwks = PublicJwks(key.Expose(), v1::OAUTH_SIGNING_ALGORITHM_ES256).value();
  request.registration_token = storage::SecretBytes::CopyOf("initial-access-token");
  const auto client = Register(http, std::move(request));
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ(client->authentication, v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT);
  EXPECT_TRUE(client->client_secret.empty());
  const Json asked = Json::parse(provider.registered_clients().at(0));
  EXPECT_EQ(asked["grant_types"], Json({"client_credentials"}));
  EXPECT_EQ(asked["token_endpoint_auth_method"], "private_key_jwt");
  EXPECT_EQ(asked["jwks"]["keys"].size(), 1u);
  EXPECT_FALSE(asked["jwks"]["keys"][0].contains("d"));
}

TEST(RegistrationTest, ASecretThatEndsIsSaid) {
  MockProviderOptions options;
  options.metadata["client_secret_expires_at"] = "1790000000";
  MockProvider provider(options);
  FakeHttpClient http(provider.Server());
  const auto client = Register(http, Request());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ(client->secret_expire_time, absl::FromUnixSeconds(1790000000));
  EXPECT_EQ(client->notes.size(), 1u);
}

TEST(RegistrationTest, AnswersThatRegisterNothing) {
  struct Case {
    const char* name;
    int status;
    const char* body;
    absl::StatusCode code;
    const char* words;
  };
  for (const Case& c : {
           Case{"refused", 400, R"({"error":"invalid_redirect_uri","error_description":"not on the list"})",
                absl::StatusCode::kFailedPrecondition, "invalid_redirect_uri"},
           Case{"token wanted", 401, R"({"error":"invalid_token"})", absl::StatusCode::kFailedPrecondition, "401"},
           Case{"its token repeated", 401, R"({"error":"bad","error_description":"not registration-token-1"})",
                absl::StatusCode::kFailedPrecondition, "bad"},
           Case{"out of order", 503, "", absl::StatusCode::kUnavailable, "503"},
           Case{"too many", 429, "", absl::StatusCode::kUnavailable, "429"},
           Case{"a redirect", 302, "", absl::StatusCode::kFailedPrecondition, "redirect"},
           Case{"no JSON", 201, "<html>", absl::StatusCode::kFailedPrecondition, "no registration"},
           Case{"no id", 201, R"({"client_secret":"s"})", absl::StatusCode::kFailedPrecondition, "client_id"},
           Case{"a damaged id", 201, R"({"client_id":"a\u0000"})", absl::StatusCode::kFailedPrecondition, "client_id"},
           Case{"a damaged secret", 201, R"({"client_id":"a","client_secret":"\n"})",
                absl::StatusCode::kFailedPrecondition, "client_secret"},
           Case{"no secret where one is needed", 201,
                R"({"client_id":"a","token_endpoint_auth_method":"client_secret_post"})",
                absl::StatusCode::kFailedPrecondition, "client_secret"},
           Case{"a method that is not known", 201,
                R"({"client_id":"a","token_endpoint_auth_method":"client_secret_jwt"})",
                absl::StatusCode::kFailedPrecondition, "does not know"},
       }) {
    FakeHttpClient http([&c](const HttpRequest&) {
      HttpResponse response;
      response.status = c.status;
      response.body = c.body;
      return response;
    });
    RegistrationRequest request = Request();
    request.registration_token = storage::SecretBytes::CopyOf("registration-token-1");
    const auto client = Register(http, std::move(request));
    EXPECT_EQ(client.status().code(), c.code) << c.name;
    EXPECT_TRUE(absl::StrContains(client.status().message(), c.words)) << client.status();
    EXPECT_FALSE(absl::StrContains(client.status().message(), "registration-token-1"));
  }
}

TEST(RegistrationTest, PublicClients) {
  FakeHttpClient http([](const HttpRequest&) {
    HttpResponse response;
    response.status = 200;
    response.body = R"({"client_id":"public"})";
    return response;
  });
  const auto client = Register(http, Request());
  ASSERT_TRUE(client.ok()) << client.status();
  EXPECT_EQ(client->authentication, v1::OAUTH_CLIENT_AUTHENTICATION_NONE);
}

}  // namespace
}  // namespace keyferry::server
