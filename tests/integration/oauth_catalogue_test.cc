// The ready definitions of the command line, by the rules of the server and as a browser is sent to them.

#include <string>
#include <vector>

#include "client/catalogue/catalogue.h"
#include "client/oauth_provider_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/protocol/authorization_url.h"
#include "server/oauth/providers/definition.h"

namespace keyferry {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

// As it is created, with a client.
v1::OauthProvider Read(const client::CatalogueEntry& entry) {
  const absl::StatusOr<v1::OauthProvider> read = client::ParseOauthProviderFile(entry.yaml, entry.name);
  EXPECT_TRUE(read.ok()) << read.status();
  v1::OauthProvider provider = read.ok() ? *read : v1::OauthProvider();
  provider.mutable_client()->set_client_id("client-1");
  provider.mutable_client()->set_client_secret("secret");
  return provider;
}

TEST(OauthCatalogueTest, TheServerTakesEveryDefinition) {
  ASSERT_EQ(client::Catalogue().size(), 10u);
  for (const client::CatalogueEntry& entry : client::Catalogue()) {
    const v1::OauthProvider provider = Read(entry);
    EXPECT_EQ(server::CheckDefinition(provider), absl::OkStatus()) << entry.name;
    EXPECT_EQ(server::CheckComplete(provider, /*before_registration=*/false), absl::OkStatus()) << entry.name;
  }
}

TEST(OauthCatalogueTest, BrowsersAreSentWhereTheProvidersSay) {
  struct Expected {
    const char* name;
    const char* start;
    std::vector<std::string> parts;
  };
  const std::vector<Expected> cases = {
      {"atlassian",
       "https://auth.atlassian.com/authorize?",
       {"&scope=offline_access%20read%3Ame%20read%3Ajira-work", "&audience=api.atlassian.com", "&prompt=consent"}},
      {"dropbox",
       "https://www.dropbox.com/oauth2/authorize?",
       {"&scope=account_info.read%20", "&token_access_type=offline"}},
      {"github", "https://github.com/login/oauth/authorize?", {"&scope=read%3Auser"}},
      {"google",
       "https://accounts.google.com/o/oauth2/v2/auth?",
       {"&scope=openid%20email", "&access_type=offline", "&prompt=consent"}},
      {"linear", "https://linear.app/oauth/authorize?", {"&scope=read&"}},
      {"microsoft",
       "https://login.microsoftonline.com/common/oauth2/v2.0/authorize?",
       {"&scope=openid%20email%20offline_access%20User.Read"}},
      {"notion", "https://api.notion.com/v1/oauth/authorize?", {"&owner=user"}},
      {"salesforce",
       "https://acme--dev.sandbox.my.salesforce.com/services/oauth2/authorize?",
       {"&scope=api%20openid%20refresh_token"}},
      {"slack", "https://slack.com/oauth/v2/authorize?", {"&user_scope=channels%3Aread%2Cchat%3Awrite%2Cusers%3Aread"}},
      {"zoom", "https://zoom.us/oauth/authorize?", {}},
  };
  for (const Expected& expected : cases) {
    SCOPED_TRACE(expected.name);
    const client::CatalogueEntry* entry = client::FindInCatalogue(expected.name);
    ASSERT_NE(entry, nullptr);
    const v1::OauthProvider provider = Read(*entry);
    const bool pkce = provider.authorization().pkce() != v1::OAUTH_PKCE_OFF;
    server::AuthorizationRequest request;
    request.redirect_uri = "https://keyferry.example.com/oauth/callback/00112233445566778899aabbccddeeff";
    request.state = "the-state";
    if (pkce) request.code_challenge = "the-challenge";
    if (provider.url_variables_size() > 0 && provider.url_variables(0).value().empty()) {
      request.variables[provider.url_variables(0).name()] = "acme--dev.sandbox";
    }
    const absl::StatusOr<std::string> url = server::AuthorizationUrl(provider, request);
    ASSERT_TRUE(url.ok()) << url.status();
    EXPECT_THAT(*url, StartsWith(expected.start));
    EXPECT_THAT(*url, HasSubstr("response_type=code"));
    EXPECT_THAT(*url, HasSubstr("&client_id=client-1"));
    EXPECT_THAT(
        *url,
        HasSubstr(
            "&redirect_uri=https%3A%2F%2Fkeyferry.example.com%2Foauth%2Fcallback%2F00112233445566778899aabbccddeeff"));
    EXPECT_THAT(*url, HasSubstr("&state=the-state"));
    EXPECT_THAT(*url, Not(HasSubstr("secret")));
    for (const std::string& part : expected.parts) EXPECT_THAT(*url, HasSubstr(part));
    if (pkce) {
      EXPECT_THAT(*url, HasSubstr("&code_challenge=the-challenge&code_challenge_method=S256"));
    } else {
      EXPECT_THAT(*url, Not(HasSubstr("code_challenge")));
    }
  }
}

// The part of a host that each connection gives must not lead elsewhere.
TEST(OauthCatalogueTest, AVariableStaysWithinItsHost) {
  for (const client::CatalogueEntry& entry : client::Catalogue()) {
    const v1::OauthProvider provider = Read(entry);
    for (const v1::OauthUrlVariable& variable : provider.url_variables()) {
      for (const char* hostile :
           {"evil.example.com/", "a@evil.example.com", "a#", "a?b", "a:1", "..", "a%2f", " ", "a\n"}) {
        v1::OauthProvider changed = provider;
        changed.mutable_url_variables(0)->clear_value();
        server::AuthorizationRequest request;
        request.state = "s";
        request.variables[variable.name()] = hostile;
        const absl::StatusOr<std::string> url = server::AuthorizationUrl(changed, request);
        EXPECT_FALSE(url.ok()) << entry.name << ": " << hostile;
      }
    }
  }
}

}  // namespace
}  // namespace keyferry
