#include "client/catalogue/catalogue.h"

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/oauth_provider_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "re2/re2.h"

namespace keyferry::client {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

v1::OauthProvider Read(absl::string_view name) {
  const CatalogueEntry* entry = FindInCatalogue(name);
  if (entry == nullptr) {
    ADD_FAILURE() << "not in the catalogue: " << name;
    return v1::OauthProvider();
  }
  auto provider = ParseOauthProviderFile(entry->yaml, absl::StrCat(name, ".yaml"));
  EXPECT_TRUE(provider.ok()) << provider.status();
  return provider.ok() ? *provider : v1::OauthProvider();
}

std::string Pairs(const google::protobuf::RepeatedPtrField<v1::OauthParameter>& parameters) {
  return absl::StrJoin(parameters, " ", [](std::string* out, const v1::OauthParameter& parameter) {
    absl::StrAppend(out, parameter.name(), "=", parameter.value());
  });
}

std::vector<std::string> Urls(const v1::OauthEndpoints& endpoints) {
  std::vector<std::string> urls = {endpoints.authorization_url(), endpoints.token_url(),
                                   endpoints.refresh_url(),       endpoints.revocation_url(),
                                   endpoints.introspection_url(), endpoints.userinfo_url()};
  urls.erase(std::remove(urls.begin(), urls.end(), ""), urls.end());
  return urls;
}

TEST(CatalogueTest, HasTheProvidersInOrder) {
  std::vector<std::string> names;
  for (const CatalogueEntry& entry : Catalogue()) names.emplace_back(entry.name);
  EXPECT_THAT(names, ElementsAre("atlassian", "dropbox", "github", "google", "linear", "microsoft", "notion",
                                 "salesforce", "slack", "zoom"));
  EXPECT_EQ(FindInCatalogue("nowhere"), nullptr);
}

TEST(CatalogueTest, EachNamesItsSourceAndIsWhole) {
  for (const CatalogueEntry& entry : Catalogue()) {
    SCOPED_TRACE(entry.name);
    const std::string yaml(entry.yaml);
    EXPECT_TRUE(absl::StartsWith(yaml, "# "));
    EXPECT_TRUE(RE2::PartialMatch(yaml, "# Sources?: \"[^\"]+\",[ \n#]+https://[^ ;]+"));
    EXPECT_TRUE(RE2::PartialMatch(yaml, "read [0-9]{4}-[0-9]{2}-[0-9]{2}"));
    EXPECT_THAT(yaml, HasSubstr("# Register: "));
    const v1::OauthProvider provider = Read(entry.name);
    EXPECT_THAT(provider.display_name(), Not(IsEmpty()));
    EXPECT_EQ(provider.grant_type(), v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
    EXPECT_THAT(provider.client().client_id(), IsEmpty());
    EXPECT_NE(provider.client().authentication(), v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED);
    EXPECT_NE(provider.authorization().pkce(), v1::OAUTH_PKCE_UNSPECIFIED);
    EXPECT_THAT(provider.endpoints().authorization_url(), Not(IsEmpty()));
    EXPECT_THAT(provider.endpoints().token_url(), Not(IsEmpty()));
  }
}

TEST(CatalogueTest, UrlsAreHttpsAndTheirVariablesAreDefined) {
  for (const CatalogueEntry& entry : Catalogue()) {
    SCOPED_TRACE(entry.name);
    const v1::OauthProvider provider = Read(entry.name);
    std::map<std::string, const v1::OauthUrlVariable*> variables;
    for (const v1::OauthUrlVariable& variable : provider.url_variables()) variables[variable.name()] = &variable;
    std::map<std::string, bool> used;
    for (const std::string& url : Urls(provider.endpoints())) {
      EXPECT_TRUE(RE2::FullMatch(url, "https://[a-z0-9.{}-]+(/[A-Za-z0-9._{}/-]*)?")) << url;
      re2::StringPiece rest(url);
      std::string name;
      while (RE2::FindAndConsume(&rest, "\\{([^}]*)\\}", &name)) {
        EXPECT_TRUE(variables.count(name)) << name;
        used[name] = true;
      }
    }
    EXPECT_EQ(used.size(), variables.size()) << "a variable that no URL has";
    for (const auto& [name, variable] : variables) {
      EXPECT_THAT(variable->description(), Not(IsEmpty()));
      const RE2 pattern(variable->pattern());
      ASSERT_TRUE(pattern.ok());
      for (const char* hostile : {"a/b", "a?b", "a#b", "a@b", "a:b", "a%2f", "..", "", "a b", "evil.example.com/"}) {
        EXPECT_FALSE(RE2::FullMatch(hostile, pattern)) << name << " takes " << hostile;
      }
      EXPECT_TRUE(variable->value().empty() || RE2::FullMatch(variable->value(), pattern));
    }
  }
}

// What the browser is sent to, and how the client says who it is.
TEST(CatalogueTest, AuthorizationIsAsTheProvidersDocumentIt) {
  struct Expected {
    const char* name;
    const char* authorization_url;
    const char* scopes;
    const char* pkce;
    const char* parameters;
    const char* renamed;
    const char* authentication;
  };
  const std::vector<Expected> cases = {
      {"atlassian", "https://auth.atlassian.com/authorize", "offline_access read:me read:jira-work", "S256",
       "audience=api.atlassian.com prompt=consent", "", "CLIENT_SECRET_POST"},
      {"dropbox", "https://www.dropbox.com/oauth2/authorize",
       "account_info.read files.metadata.read files.content.read", "S256", "token_access_type=offline", "",
       "CLIENT_SECRET_POST"},
      {"github", "https://github.com/login/oauth/authorize", "read:user", "S256", "", "", "CLIENT_SECRET_POST"},
      {"google", "https://accounts.google.com/o/oauth2/v2/auth", "openid email", "S256",
       "access_type=offline prompt=consent", "", "CLIENT_SECRET_POST"},
      {"linear", "https://linear.app/oauth/authorize", "read", "S256", "", "", "CLIENT_SECRET_POST"},
      {"microsoft", "https://login.microsoftonline.com/{tenant}/oauth2/v2.0/authorize",
       "openid email offline_access User.Read", "S256", "", "", "CLIENT_SECRET_POST"},
      {"notion", "https://api.notion.com/v1/oauth/authorize", "", "OFF", "owner=user", "", "CLIENT_SECRET_BASIC"},
      {"salesforce", "https://{domain}.my.salesforce.com/services/oauth2/authorize", "api openid refresh_token", "S256",
       "", "", "CLIENT_SECRET_POST"},
      {"slack", "https://slack.com/oauth/v2/authorize", "channels:read,chat:write,users:read", "OFF", "",
       "scope=user_scope", "CLIENT_SECRET_BASIC"},
      {"zoom", "https://zoom.us/oauth/authorize", "", "S256", "", "", "CLIENT_SECRET_BASIC"},
  };
  ASSERT_EQ(cases.size(), Catalogue().size());
  for (const Expected& expected : cases) {
    SCOPED_TRACE(expected.name);
    const v1::OauthProvider provider = Read(expected.name);
    const v1::OauthAuthorization& authorization = provider.authorization();
    EXPECT_EQ(provider.endpoints().authorization_url(), expected.authorization_url);
    const std::string separator = authorization.scope_separator().empty() ? " " : authorization.scope_separator();
    EXPECT_EQ(absl::StrJoin(authorization.scopes(), separator), expected.scopes);
    EXPECT_EQ(v1::OauthPkce_Name(authorization.pkce()), absl::StrCat("OAUTH_PKCE_", expected.pkce));
    EXPECT_EQ(Pairs(authorization.parameters()), expected.parameters);
    EXPECT_EQ(Pairs(authorization.renamed_parameters()), expected.renamed);
    EXPECT_EQ(v1::OauthClientAuthentication_Name(provider.client().authentication()),
              absl::StrCat("OAUTH_CLIENT_AUTHENTICATION_", expected.authentication));
  }
}

TEST(CatalogueTest, TokensAreReadWhereTheProvidersPutThem) {
  const v1::OauthProvider slack = Read("slack");
  EXPECT_EQ(slack.token().response().access_token_path(), "authed_user.access_token");
  EXPECT_EQ(slack.token().response().success_path(), "ok");
  EXPECT_EQ(slack.refresh().response().access_token_path(), "");
  EXPECT_EQ(slack.refresh().response().success_path(), "ok");
  EXPECT_EQ(Read("notion").token().format(), v1::OAUTH_REQUEST_FORMAT_JSON);
  EXPECT_EQ(Read("atlassian").token().format(), v1::OAUTH_REQUEST_FORMAT_JSON);
  EXPECT_TRUE(Read("salesforce").token().introspect());
  EXPECT_EQ(Read("salesforce").token().response().metadata(0).value(), "instance_url");
  EXPECT_EQ(Read("google").endpoints().revocation_url(), "https://oauth2.googleapis.com/revoke");
}

}  // namespace
}  // namespace keyferry::client
