#include "server/oauth/protocol/catalogue_of_quirks.h"

#include <cstdlib>

#include "google/protobuf/text_format.h"

namespace keyferry::server {
namespace {

struct Quirk {
  const char* name;
  // Merged over the definition that all have in common.
  const char* text;
};

constexpr char kCommon[] = R"(
  name: "orgs/acme/oauthProviders/quirk"
  grant_type: OAUTH_GRANT_TYPE_AUTHORIZATION_CODE
  endpoints {
    authorization_url: "https://provider.test/authorize"
    token_url: "https://provider.test/token"
    revocation_url: "https://provider.test/revoke"
    userinfo_url: "https://provider.test/userinfo"
  }
  client { client_id: "client-1" client_secret: "secret-of-client-1" }
  authorization { scopes: "read" scopes: "write" })";

constexpr Quirk kQuirks[kQuirkCount] = {
    {"client authenticates with HTTP Basic",
     "client { authentication: OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC }"},
    {"client authenticates in the body", "client { authentication: OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST }"},
    {"public client, PKCE only", "client { authentication: OAUTH_CLIENT_AUTHENTICATION_NONE client_secret: '' }"},
    {"Basic with the secret as user", "client { authentication: OAUTH_CLIENT_AUTHENTICATION_SECRET_AS_BASIC_USER }"},
    {"private_key_jwt", "client { authentication: OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT client_secret: '' }"},
    {"mutual TLS to the token endpoint",
     "client { authentication: OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH client_secret: '' certificate: 'PEM of the "
     "certificate' certificate_private_key: 'PEM of the key' }"},
    {"token request as JSON", "token { format: OAUTH_REQUEST_FORMAT_JSON }"},
    {"token request by GET",
     "token { format: OAUTH_REQUEST_FORMAT_GET } "
     "client { authentication: OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST }"},
    {"scopes joined by comma", "authorization { scope_separator: ',' }"},
    {"scopes joined by +, not escaped", "authorization { scope_separator: '+' scopes_unescaped: true }"},
    {"PKCE must be off", "authorization { pkce: OAUTH_PKCE_OFF }"},
    {"extra authorization parameters",
     "authorization { parameters { name: 'access_type' value: 'offline' } parameters { name: 'prompt' value: 'consent' "
     "} "
     "parameters { name: 'audience' value: 'api.provider.test/all of it' } }"},
    {"offline access as a scope", "authorization { scopes: 'offline_access' }"},
    {"parameters under other names",
     "authorization { renamed_parameters { name: 'client_id' value: 'client_key' } } "
     "token { renamed_parameters { name: 'client_id' value: 'client_key' } "
     "        renamed_parameters { name: 'client_secret' value: 'app_secret' } } "
     "client { authentication: OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST }"},
    {"callback parameter other than code",
     "authorization { code_parameter: 'spapi_oauth_code' metadata_parameters: 'selling_partner_id' }"},
    {"templated URLs",
     "endpoints { authorization_url: 'https://{subdomain}.provider.test/authorize' "
     "            token_url: 'https://{subdomain}.provider.test/token' "
     "            revocation_url: 'https://{subdomain}.provider.test/revoke' "
     "            userinfo_url: 'https://{subdomain}.provider.test/userinfo' } "
     "url_variables { name: 'subdomain' description: 'your shop' }"},
    {"metadata in callback and token response",
     "authorization { metadata_parameters: 'realmId' } "
     "token { response { metadata { name: 'instance_url' value: 'instance_url' } "
     "                   metadata { name: 'team' value: 'team.id' } } }"},
    {"separate refresh URL", "endpoints { refresh_url: 'https://provider.test/refresh' }"},
    {"extra refresh parameters and headers",
     "refresh { parameters { name: 'type' value: 'refresh' } headers { name: 'X-Refresh' value: 'yes' } }"},
    {"tokens at another path",
     "token { response { access_token_path: 'authed_user.access_token' refresh_token_path: 'authed_user.refreshToken' "
     "                   expiry_path: 'authed_user.expiresIn' scope_path: 'authed_user.scope' } }"},
    {"error inside HTTP 200", "token { response { success_path: 'ok' success_value: 'true' } }"},
    {"success with another 2xx", ""},
    {"form-encoded response", ""},
    {"no expires_in", "token { lifetime { seconds: 7200 } }"},
    {"expiry in another format",
     "token { response { expiry_path: 'expires' expiry_format: OAUTH_EXPIRY_FORMAT_DATE } }"},
    {"refresh token rotates", ""},
    {"refresh response omits the refresh token", ""},
    {"refreshed by the access token",
     "refresh { method: OAUTH_REFRESH_METHOD_ACCESS_TOKEN grant_type: 'fb_exchange_token' "
     "          renamed_parameters { name: 'access_token' value: 'fb_exchange_token' } }"},
    {"second exchange after the code",
     "token { second { url: 'https://provider.test/second' format: OAUTH_REQUEST_FORMAT_GET "
     "                 parameters { name: 'client_secret' value: '{client_secret}' } "
     "                 parameters { name: 'access_token' value: '{access_token}' } "
     "                 lifetime { seconds: 5184000 } } }"},
    {"client credentials with a name of their own",
     "grant_type: OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS endpoints { userinfo_url: '' } "
     "token { grant_type: 'account_credentials' parameters { name: 'audience' value: 'https://api.{region}.test/' } } "
     "url_variables { name: 'region' value: 'eu' }"},
    {"JWT-bearer grant",
     "grant_type: OAUTH_GRANT_TYPE_JWT_BEARER "
     "client { authentication: OAUTH_CLIENT_AUTHENTICATION_NONE client_secret: '' } "
     "assertion { subject: 'integration@acme.test' claims { name: 'scope' value: 'rest' } }"},
    {"discovery, registration, resource indicator",
     "endpoints { authorization_url: '' token_url: '' revocation_url: '' userinfo_url: '' "
     "            resource: 'https://provider.test/mcp' } "
     "client { client_id: '' client_secret: '' register_dynamically: true }"},
    {"revocation endpoint", ""},
};

const Quirk& At(int row) {
  if (row < 1 || row > kQuirkCount) std::abort();
  return kQuirks[row - 1];
}

void Merge(const char* text, v1::OauthProvider* provider) {
  google::protobuf::TextFormat::Parser parser;
  if (!parser.MergeFromString(text, provider)) std::abort();
}

}  // namespace

v1::OauthProvider QuirkDefinition(int row) {
  v1::OauthProvider provider;
  Merge(kCommon, &provider);
  Merge(At(row).text, &provider);
  provider.set_display_name(At(row).name);
  return provider;
}

std::string QuirkName(int row) { return At(row).name; }

}  // namespace keyferry::server
