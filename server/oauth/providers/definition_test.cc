#include "server/oauth/providers/definition.h"

#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"
#include "server/errors.h"
#include "server/oauth/providers/client_fields.h"

namespace keyferry::server {
namespace {

constexpr char kGood[] =
    "grant_type: OAUTH_GRANT_TYPE_AUTHORIZATION_CODE "
    "endpoints { authorization_url: 'https://idp.example.com/authorize' token_url: 'https://idp.example.com/token' } "
    "client { client_id: 'keyferry' client_secret: 's3cr3t-marker' } ";

v1::OauthProvider Parse(const std::string& text) {
  v1::OauthProvider provider;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &provider)) << text;
  return provider;
}

v1::OauthProvider Edited(const std::string& edit) {
  v1::OauthProvider provider = Parse(kGood);
  v1::OauthProvider change = Parse(edit);
  provider.MergeFrom(change);
  return provider;
}

absl::Status Check(const v1::OauthProvider& provider) {
  absl::Status status = CheckDefinition(provider);
  if (status.ok()) status = CheckComplete(provider, /*before_registration=*/false);
  return status;
}

std::string FieldOf(const absl::Status& status) {
  v1::ErrorDetail detail;
  GetDetail(status, &detail);
  EXPECT_EQ(status.ok() ? "" : "INVALID_FIELD", detail.reason());
  EXPECT_EQ(status.ok(), detail.next_step().empty());
  return detail.field();
}

std::string Quoted(const std::string& bytes) { return absl::StrCat("\"", absl::CHexEscape(bytes), "\""); }

std::string Repeated(const std::string& text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) absl::StrAppend(&all, absl::StrReplaceAll(text, {{"$N", absl::StrCat(i)}}));
  return all;
}

struct Bad {
  std::string label;
  std::string edit;
  // Below "oauth_provider."; empty for the whole.
  std::string field;
};

void ExpectRefused(const std::vector<Bad>& all) {
  for (const Bad& bad : all) {
    SCOPED_TRACE(bad.label);
    const absl::Status status = Check(Edited(bad.edit));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(FieldOf(status), bad.field.empty() ? "oauth_provider" : "oauth_provider." + bad.field)
        << status.message();
    EXPECT_EQ(status.ToString().find("s3cr3t"), std::string::npos) << "shows the secret";
  }
}

TEST(DefinitionTest, GoodDefinitions) {
  // One for each way of quirk, in the words of OAUTH terms rather than of a vendor.
  const std::string edits[] = {
      "",
      "client { authentication: OAUTH_CLIENT_AUTHENTICATION_SECRET_AS_BASIC_USER }",
      "client { authentication: OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC_RAW client_id: 'a:b/c d%' }",
      "token { format: OAUTH_REQUEST_FORMAT_JSON } authorization { scopes: 'a' scopes: 'b:c' scope_separator: ',' }",
      "authorization { scopes: 'a' scopes: 'b' scope_separator: '+' scopes_unescaped: true pkce: OAUTH_PKCE_OFF }",
      "authorization { parameters { name: 'access_type' value: 'offline' } "
      "parameters { name: 'audience' value: 'https://{tenant}.example.com/' } } url_variables { name: 'tenant' }",
      "authorization { renamed_parameters { name: 'client_id' value: 'app_id' } code_parameter: 'auth_code' "
      "metadata_parameters: 'realmId' }",
      "endpoints { token_url: 'https://{shop}.example.com:8443/oauth/token?x={shop}' } "
      "url_variables { name: 'shop' pattern: '[a-z0-9][a-z0-9-]*' value: 'my-shop' }",
      "endpoints { refresh_url: 'https://idp.example.com/refresh' } "
      "refresh { parameters { name: 'type' value: 'refresh' } headers { name: 'X-Api-Version' value: '2' } "
      "grant_type: 'exchange' max_per_second: 0.5 margin { seconds: 60 } }",
      "token { response { access_token_path: 'authed_user.access_token' success_path: 'ok' success_value: 'true' "
      "metadata { name: 'team' value: 'team.id' } expiry_format: OAUTH_EXPIRY_FORMAT_MILLISECONDS } "
      "lifetime { seconds: 7200 } }",
      "token { second { url: 'https://idp.example.com/second' format: OAUTH_REQUEST_FORMAT_GET "
      "parameters { name: 'access_token' value: '{access_token}' } "
      "headers { name: 'Authorization' value: 'Bearer {access_token}' } } }",
      "grant_type: OAUTH_GRANT_TYPE_JWT_BEARER assertion { claims { name: 'scope' value: 'a' } lifetime { seconds: 60 "
      "} }",
      "endpoints { issuer: 'https://idp.example.com/realms/x' resource: 'https://mcp.example.com/mcp' } "
      "authorization { resources: 'https://mcp.example.com/mcp' resources: 'urn:x:y' require_issuer: true }",
      "authorization { parameters { name: 'note' value: '{\"json\": {}}' } }",
      "authorization { parameters { name: 'response_mode' value: 'query' } }",
      "endpoints { token_url: 'https://[2001:db8::1]:443/token' }",
  };
  for (const std::string& edit : edits) {
    const absl::Status status = Check(Edited(edit));
    EXPECT_TRUE(status.ok()) << edit << ": " << status;
  }
}

TEST(DefinitionTest, BadUrls) {
  std::vector<Bad> bad;
  const std::pair<const char*, std::string> urls[] = {
      {"http", "http://idp.example.com/token"},
      {"no scheme", "idp.example.com/token"},
      {"upper-case scheme", "HTTPS://idp.example.com/"},
      {"no host", "https:///token"},
      {"user information", "https://user@idp.example.com/"},
      {"user and password", "https://user:password@idp.example.com/"},
      {"an at sign before the host", "https://idp.example.com@evil.example.com/"},
      {"fragment", "https://idp.example.com/#x"},
      {"port 0", "https://idp.example.com:0/"},
      {"port too large", "https://idp.example.com:65536/"},
      {"port of letters", "https://idp.example.com:x/"},
      {"port signed", "https://idp.example.com:+1/"},
      {"no port", "https://idp.example.com:/"},
      {"space", "https://idp.example.com/a b"},
      {"line end", "https://idp.example.com/\r\nHost: x"},
      {"NUL", std::string("https://idp.example.com/\0", 25)},
      {"backslash", "https://idp.example.com\\@evil.example.com/"},
      {"not ASCII", "https://idp.ex\xc3\xa4mple.com/"},
      {"broken percent", "https://idp.example.com/%2"},
      {"unknown placeholder", "https://{tenant}.example.com/"},
      {"open brace", "https://idp.example.com/{"},
      {"bracket", "https://[::1/"},
      {"too long", "https://idp.example.com/" + std::string(2048, 'a')},
  };
  for (const char* field : {"authorization_url", "token_url", "refresh_url", "revocation_url", "introspection_url",
                            "userinfo_url", "registration_url", "issuer", "resource"}) {
    for (const auto& [label, url] : urls) {
      bad.push_back({absl::StrCat(field, ": ", label), absl::StrCat("endpoints { ", field, ": ", Quoted(url), " }"),
                     absl::StrCat("endpoints.", field)});
    }
  }
  bad.push_back({"issuer with a query", "endpoints { issuer: 'https://idp.example.com/?a=b' }", "endpoints.issuer"});
  bad.push_back({"issuer with a variable",
                 "endpoints { issuer: 'https://{t}.example.com/' } url_variables { name: 't' }", "endpoints.issuer"});
  ASSERT_EQ(bad.size(), 9 * 23 + 2u);
  ExpectRefused(bad);
}

TEST(DefinitionTest, BadClients) {
  ExpectRefused({
      {"id with a line end", "client { client_id: 'a\\nb' }", "client.client_id"},
      {"id too long", absl::StrCat("client { client_id: '", std::string(2049, 'a'), "' }"), "client.client_id"},
      {"secret too long", absl::StrCat("client { client_secret: '", std::string(4097, 's'), "' }"),
       "client.client_secret"},
      {"secret with NUL", "client { client_secret: 's3cr3t\\000' }", "client.client_secret"},
      {"authentication", "client { authentication: 99 }", "client.authentication"},
      {"algorithm", "client { signing_algorithm: 99 }", "client.signing_algorithm"},
      {"no certificate", "client { authentication: OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH }",
       "client.certificate"},
      {"certificate without a key", "client { certificate: 'x' }", "client.certificate_private_key"},
      {"key without a certificate", "client { certificate_private_key: 's3cr3t' }", "client.certificate"},
      {"certificate that is none", "client { certificate: 'x' certificate_private_key: 's3cr3t' }",
       "client.certificate"},
      {"registered, with an id", "client { register_dynamically: true }", "client.client_id"},
      {"token for no registration", "client { registration_token: 's3cr3t' }", "client.registration_token"},
      {"token with Bearer", "client { register_dynamically: true registration_token: 'Bearer s3cr3t' }",
       "client.registration_token"},
  });
  v1::OauthProvider no_id = Parse(kGood);
  no_id.mutable_client()->clear_client_id();
  EXPECT_EQ(FieldOf(Check(no_id)), "oauth_provider.client.client_id");
  v1::OauthProvider no_secret = Parse(kGood);
  no_secret.mutable_client()->clear_client_secret();
  EXPECT_TRUE(Check(no_secret).ok());
  for (const auto way :
       {v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC, v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST,
        v1::OAUTH_CLIENT_AUTHENTICATION_SECRET_AS_BASIC_USER,
        v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC_RAW}) {
    no_secret.mutable_client()->set_authentication(way);
    EXPECT_EQ(FieldOf(Check(no_secret)), "oauth_provider.client.client_secret");
  }
}

TEST(DefinitionTest, BadAuthorizations) {
  std::vector<Bad> bad = {
      {"scope with a space", "authorization { scopes: 'a b' }", "authorization.scopes[0]"},
      {"empty scope", "authorization { scopes: '' }", "authorization.scopes[0]"},
      {"scope twice", "authorization { scopes: 'a' scopes: 'a' }", "authorization.scopes[1]"},
      {"101 scopes", absl::StrCat("authorization { ", Repeated("scopes: 's$N' ", 101), "}"), "authorization.scopes"},
      {"scope with a line end", "authorization { scopes: 'a\\r\\n' }", "authorization.scopes[0]"},
      {"separator too long", "authorization { scope_separator: '123456789' }", "authorization.scope_separator"},
      {"unescaped, no separator", "authorization { scopes_unescaped: true }", "authorization.scope_separator"},
      {"unescaped, separator that ends the parameter", "authorization { scopes_unescaped: true scope_separator: '&' }",
       "authorization.scope_separator"},
      {"unescaped scope that ends the parameter",
       "authorization { scopes_unescaped: true scope_separator: '+' scopes: 'a&state=x' }", "authorization.scopes[0]"},
      {"pkce", "authorization { pkce: 99 }", "authorization.pkce"},
      {"parameter without a name", "authorization { parameters { value: 'x' } }", "authorization.parameters[0].name"},
      {"parameter with an ampersand", "authorization { parameters { name: 'a&b' } }",
       "authorization.parameters[0].name"},
      {"parameter twice", "authorization { parameters { name: 'a' } parameters { name: 'a' } }",
       "authorization.parameters[1].name"},
      {"unknown placeholder", "authorization { parameters { name: 'a' value: '{tenant}' } }",
       "authorization.parameters[0].value"},
      {"placeholder of a second exchange", "authorization { parameters { name: 'a' value: '{client_secret}' } }",
       "authorization.parameters[0].value"},
      {"65 parameters", absl::StrCat("authorization { ", Repeated("parameters { name: 'p$N' } ", 65), "}"),
       "authorization.parameters"},
      {"rename of what is no parameter", "authorization { renamed_parameters { name: 'code' value: 'x' } }",
       "authorization.renamed_parameters[0].name"},
      {"rename twice",
       "authorization { renamed_parameters { name: 'state' value: 'x' } renamed_parameters { name: 'state' value: 'y' "
       "} }",
       "authorization.renamed_parameters[1].name"},
      {"two of one name",
       "authorization { renamed_parameters { name: 'state' value: 'x' } renamed_parameters { name: 'scope' value: 'x' "
       "} }",
       "authorization.renamed_parameters[1].value"},
      {"rename to nothing", "authorization { renamed_parameters { name: 'state' } }",
       "authorization.renamed_parameters[0].value"},
      {"parameter under the new name of state",
       "authorization { renamed_parameters { name: 'state' value: 'x' } parameters { name: 'x' value: 'fixed' } }",
       "authorization.parameters[0].name"},
      {"resource with a fragment", "authorization { resources: 'https://a/#b' }", "authorization.resources[0]"},
      {"resource that is relative", "authorization { resources: '/mcp' }", "authorization.resources[0]"},
      {"state as code", "authorization { code_parameter: 'state' }", "authorization.code_parameter"},
      {"code as metadata", "authorization { metadata_parameters: 'code' }", "authorization.metadata_parameters[0]"},
      {"an answer that a form posts", "authorization { parameters { name: 'response_mode' value: 'form_post' } }",
       "authorization.parameters[0]"},
      {"an answer in the fragment",
       "authorization { parameters { name: 'a' value: 'b' } parameters { name: 'response_mode' value: 'fragment' } }",
       "authorization.parameters[1]"},
      {"issuer required, and none", "authorization { require_issuer: true }", "endpoints.issuer"},
  };
  for (const char* own :
       {"state", "redirect_uri", "code_challenge", "code_challenge_method", "client_id", "response_type"}) {
    bad.push_back({absl::StrCat("parameter ", own),
                   absl::StrCat("authorization { parameters { name: '", own, "' value: 'x' } }"),
                   "authorization.parameters[0].name"});
  }
  ExpectRefused(bad);
}

TEST(DefinitionTest, BadExchanges) {
  std::vector<Bad> bad = {
      {"format", "token { format: 99 }", "token.format"},
      {"response format", "token { response { format: 99 } }", "token.response.format"},
      {"expiry format", "token { response { expiry_format: -1 } }", "token.response.expiry_format"},
      {"path with an empty name", "token { response { access_token_path: 'a..b' } }",
       "token.response.access_token_path"},
      {"path of 17 names", absl::StrCat("token { response { scope_path: '", Repeated("a.", 16), "a' } }"),
       "token.response.scope_path"},
      {"success without a value", "token { response { success_path: 'ok' } }", "token.response.success_value"},
      {"success without a path", "token { response { success_value: 'ok' } }", "token.response.success_path"},
      {"metadata without a path", "token { response { metadata { name: 'a' } } }", "token.response.metadata[0].value"},
      {"a token as metadata", "token { response { metadata { name: 'a' value: 'refresh_token' } } }",
       "token.response.metadata[0].value"},
      {"a token of another path as metadata",
       "token { response { access_token_path: 'data.token' metadata { name: 'a' value: 'data.token' } } }",
       "token.response.metadata[0].value"},
      {"metadata twice", "token { response { metadata { name: 'a' value: 'b' } metadata { name: 'a' value: 'c' } } }",
       "token.response.metadata[1].name"},
      {"lifetime 0", "token { lifetime { seconds: 0 } }", "token.lifetime"},
      {"lifetime negative", "token { lifetime { seconds: -5 } }", "token.lifetime"},
      {"lifetime of signs that disagree", "token { lifetime { seconds: 5 nanos: -1 } }", "token.lifetime"},
      {"lifetime of the end of time", "token { lifetime { seconds: 9223372036854775807 } }", "token.lifetime"},
      {"introspection without a URL", "token { introspect: true }", "endpoints.introspection_url"},
      {"grant type with a line end", "token { grant_type: 'a\\n' }", "token.grant_type"},
      {"rename of nothing known", "token { renamed_parameters { name: 'x' value: 'y' } }",
       "token.renamed_parameters[0].name"},
      {"second without a URL", "token { second { } }", "token.second.url"},
      {"second with the token in its URL", "token { second { url: 'https://a.example.com/{access_token}' } }",
       "token.second.url"},
      {"second format", "token { second { url: 'https://a.example.com/' format: 77 } }", "token.second.format"},
      {"refresh method", "refresh { method: 99 }", "refresh.method"},
      {"refresh format", "refresh { format: 99 }", "refresh.format"},
      {"too many a second", "refresh { max_per_second: 1001 }", "refresh.max_per_second"},
      {"negative rate", "refresh { max_per_second: -1 }", "refresh.max_per_second"},
      {"rate that is no number", "refresh { max_per_second: nan }", "refresh.max_per_second"},
      {"rate without end", "refresh { max_per_second: inf }", "refresh.max_per_second"},
      {"margin 0", "refresh { margin { } }", "refresh.margin"},
      {"margin of a year", "refresh { margin { seconds: 31536000 } }", "refresh.margin"},
      {"assertion lifetime", "assertion { lifetime { seconds: 3601 } }", "assertion.lifetime"},
      {"registered claim", "assertion { claims { name: 'exp' value: '1' } }", "assertion.claims[0].name"},
      {"account path", "account_path: '.'", "account_path"},
      {"display name", absl::StrCat("display_name: '", std::string(257, 'x'), "'"), "display_name"},
      {"grant type", "grant_type: 99", "grant_type"},
  };
  for (const char* own : {"grant_type", "code", "code_verifier", "redirect_uri", "refresh_token", "client_assertion"}) {
    for (const char* part : {"token", "refresh"}) {
      bad.push_back({absl::StrCat(part, " parameter ", own),
                     absl::StrCat(part, " { parameters { name: '", own, "' value: 'x' } }"),
                     absl::StrCat(part, ".parameters[0].name")});
    }
  }
  ExpectRefused(bad);
}

TEST(DefinitionTest, BadHeaders) {
  std::vector<Bad> bad = {
      {"value with a line end", "token { headers { name: 'X' value: 'a\\r\\nHost: b' } }", "token.headers[0].value"},
      {"value with a lone line feed", "token { headers { name: 'X' value: 'a\\nb' } }", "token.headers[0].value"},
      {"value with NUL", "token { headers { name: 'X' value: 'a\\000' } }", "token.headers[0].value"},
      {"twice", "token { headers { name: 'X-A' } headers { name: 'x-a' } }", "token.headers[1].name"},
      {"in a second exchange", "token { second { url: 'https://a.example.com/' headers { name: 'Host' value: 'b' } } }",
       "token.second.headers[0].name"},
  };
  for (const char* name :
       {"Host", "host", "Authorization", "Content-Length", "Content-Type", "Transfer-Encoding", "Connection", "TE",
        "Upgrade", "Proxy-Authorization", "User-Agent", "Accept-Encoding", "", "X Y", "X:Y", "X\r\n", "\xc3\xa9"}) {
    for (const char* part : {"token", "refresh"}) {
      bad.push_back({absl::StrCat(part, " header ", name),
                     absl::StrCat(part, " { headers { name: ", Quoted(name), " value: 'x' } }"),
                     absl::StrCat(part, ".headers[0].name")});
    }
  }
  ExpectRefused(bad);
}

TEST(DefinitionTest, BadVariables) {
  ExpectRefused({
      {"no name", "url_variables { }", "url_variables[0].name"},
      {"upper case", "url_variables { name: 'Shop' }", "url_variables[0].name"},
      {"braces", "url_variables { name: 'a}' }", "url_variables[0].name"},
      {"of another meaning", "url_variables { name: 'client_secret' }", "url_variables[0].name"},
      {"twice", "url_variables { name: 'a' } url_variables { name: 'a' }", "url_variables[1].name"},
      {"17", Repeated("url_variables { name: 'a$N' } ", 17), "url_variables"},
      {"pattern", "url_variables { name: 'a' pattern: '(' }", "url_variables[0].pattern"},
      {"pattern that matches a slash", "url_variables { name: 'a' pattern: '.*' }", "url_variables[0].pattern"},
      {"value that does not match", "url_variables { name: 'a' value: 'a.b' }", "url_variables[0].value"},
      {"value that matches in part", "url_variables { name: 'a' pattern: '[a-z]+' value: 'ab/../' }",
       "url_variables[0].value"},
  });
}

TEST(DefinitionTest, TotalSizeIsBounded) {
  ExpectRefused(
      {{"large",
        absl::StrCat("authorization { ",
                     Repeated(absl::StrCat("parameters { name: 'p$N' value: '", std::string(4000, 'x'), "' } "), 60),
                     "}"),
        ""}});
}

TEST(DefinitionTest, WhatIsStoredHasNoOutputAndNoRegistrationToken) {
  v1::OauthProvider provider = Edited(
      "name: 'x' callback_url: 'x' etag: 'x' creator: 'x' updater: 'x' create_time { seconds: 1 } "
      "update_time { seconds: 1 } client { has_client_secret: true jwks: 'x' registration_token: 's3cr3t' }");
  provider.clear_grant_type();
  NormalizeDefinition(&provider);
  EXPECT_EQ(provider.SerializeAsString(), Parse(kGood).SerializeAsString());
}

TEST(DefinitionTest, WhoeverSignsNeedsAKey) {
  EXPECT_FALSE(NeedsSigningKey(Parse(kGood)));
  EXPECT_TRUE(NeedsSigningKey(Edited("client { authentication: OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT }")));
  EXPECT_TRUE(NeedsSigningKey(Edited("grant_type: OAUTH_GRANT_TYPE_JWT_BEARER")));
  EXPECT_TRUE(NeedsSigningKey(Edited("grant_type: OAUTH_GRANT_TYPE_SAML2_BEARER")));
}

}  // namespace
}  // namespace keyferry::server
