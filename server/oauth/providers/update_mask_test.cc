#include "server/oauth/providers/update_mask.h"

#include <string>
#include <vector>

#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

constexpr char kStored[] =
    "display_name: 'old' endpoints { token_url: 'https://a/' authorization_url: 'https://b/' } "
    "client { client_id: 'id' client_secret: 'secret' certificate: 'c' certificate_private_key: 'key' } "
    "authorization { scopes: 'x' scopes: 'y' }";

v1::OauthProvider Parse(const std::string& text) {
  v1::OauthProvider provider;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &provider)) << text;
  return provider;
}

absl::Status Apply(const std::vector<std::string>& paths, const std::string& wanted, v1::OauthProvider* definition) {
  google::protobuf::FieldMask mask;
  for (const std::string& path : paths) mask.add_paths(path);
  return ApplyUpdateMask(mask, Parse(wanted), definition);
}

TEST(UpdateMaskTest, ReplacesWhatIsNamedAlone) {
  struct Case {
    const char* name;
    std::vector<std::string> paths;
    const char* wanted;
    const char* expected;
  };
  const Case cases[] = {
      {"a text",
       {"display_name"},
       "display_name: 'new' account_path: 'ignored'",
       "display_name: 'new' endpoints { token_url: 'https://a/' authorization_url: 'https://b/' } "
       "client { client_id: 'id' client_secret: 'secret' certificate: 'c' certificate_private_key: 'key' } "
       "authorization { scopes: 'x' scopes: 'y' }"},
      {"a list, and a part cleared",
       {"authorization.scopes", "endpoints.token_url"},
       "authorization { scopes: 'z' }",
       "display_name: 'old' endpoints { authorization_url: 'https://b/' } "
       "client { client_id: 'id' client_secret: 'secret' certificate: 'c' certificate_private_key: 'key' } "
       "authorization { scopes: 'z' }"},
      {"a whole message",
       {"endpoints"},
       "endpoints { issuer: 'https://i/' }",
       "display_name: 'old' endpoints { issuer: 'https://i/' } "
       "client { client_id: 'id' client_secret: 'secret' certificate: 'c' certificate_private_key: 'key' } "
       "authorization { scopes: 'x' scopes: 'y' }"},
      {"the client without its secrets",
       {"client"},
       "client { client_id: 'other' }",
       "display_name: 'old' endpoints { token_url: 'https://a/' authorization_url: 'https://b/' } "
       "client { client_id: 'other' client_secret: 'secret' certificate_private_key: 'key' } "
       "authorization { scopes: 'x' scopes: 'y' }"},
      {"the secret alone, cleared",
       {"client.client_secret"},
       "",
       "display_name: 'old' endpoints { token_url: 'https://a/' authorization_url: 'https://b/' } "
       "client { client_id: 'id' certificate: 'c' certificate_private_key: 'key' } "
       "authorization { scopes: 'x' scopes: 'y' }"},
      {"a field twice and within another",
       {"client", "client.client_id", "client.client_id"},
       "client { client_id: 'other' client_secret: 'new' }",
       "display_name: 'old' endpoints { token_url: 'https://a/' authorization_url: 'https://b/' } "
       "client { client_id: 'other' client_secret: 'new' certificate_private_key: 'key' } "
       "authorization { scopes: 'x' scopes: 'y' }"},
      {"a list of messages",
       {"url_variables"},
       "url_variables { name: 'v' }",
       "display_name: 'old' endpoints { token_url: 'https://a/' authorization_url: 'https://b/' } "
       "client { client_id: 'id' client_secret: 'secret' certificate: 'c' certificate_private_key: 'key' } "
       "authorization { scopes: 'x' scopes: 'y' } url_variables { name: 'v' }"},
  };
  for (const Case& one : cases) {
    SCOPED_TRACE(one.name);
    v1::OauthProvider definition = Parse(kStored);
    ASSERT_TRUE(Apply(one.paths, one.wanted, &definition).ok());
    EXPECT_EQ(definition.DebugString(), Parse(one.expected).DebugString());
  }
}

TEST(UpdateMaskTest, RefusesWhatCannotChange) {
  for (const char* path : {"",
                           "name",
                           "etag",
                           "callback_url",
                           "create_time",
                           "creator",
                           "update_time",
                           "updater",
                           "client.jwks",
                           "client.has_client_secret",
                           "client.register_dynamically",
                           "client.registration_token",
                           "no_such",
                           "client.",
                           ".client",
                           "client.no_such",
                           "client.client_id.x",
                           "display_name.x",
                           "url_variables.name",
                           "token.lifetime.seconds",
                           "*",
                           "clientId",
                           "endpoints,client"}) {
    v1::OauthProvider definition = Parse(kStored);
    const absl::Status status = Apply({path}, "display_name: 'new'", &definition);
    v1::ErrorDetail detail;
    GetDetail(status, &detail);
    EXPECT_EQ(detail.field(), "update_mask") << path;
  }
  v1::OauthProvider definition = Parse(kStored);
  EXPECT_FALSE(Apply({}, "", &definition).ok());
  EXPECT_FALSE(Apply(std::vector<std::string>(65, "display_name"), "", &definition).ok());
}

}  // namespace
}  // namespace keyferry::server
