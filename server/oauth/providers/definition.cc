#include "server/oauth/providers/definition.h"

#include <cmath>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/oauth/providers/authorization_fields.h"
#include "server/oauth/providers/client_fields.h"
#include "server/oauth/providers/field_checks.h"
#include "server/oauth/providers/pattern_check.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxDisplayNameBytes = 256;
constexpr size_t kMaxGrantTypeBytes = 256;
constexpr size_t kMaxSuccessValueBytes = 256;
constexpr size_t kMaxDescriptionBytes = 1024;
constexpr size_t kMaxVariableValueBytes = 253;
constexpr int kMaxVariables = 16;
constexpr int kMaxMetadata = 32;
constexpr size_t kMaxDefinitionBytes = size_t{192} << 10;
constexpr absl::Duration kMaxLifetime = absl::Hours(24 * 3660);
constexpr absl::Duration kMaxMargin = absl::Hours(24 * 30);
constexpr double kMaxRefreshesPerSecond = 1000;
constexpr double kMinRefreshesPerSecond = 0.001;

const std::set<std::string>& TokenParameters() {
  static const auto* const names = new std::set<std::string>{
      "grant_type", "code",      "redirect_uri", "client_id",        "client_secret",         "code_verifier",
      "scope",      "assertion", "resource",     "client_assertion", "client_assertion_type", "refresh_token"};
  return *names;
}

// Those that a definition has other fields for, or that only Keyferry knows.
const std::set<std::string>& ReservedTokenParameters() {
  static const auto* const names =
      new std::set<std::string>{"grant_type",    "code",      "redirect_uri",     "code_verifier",
                                "refresh_token", "assertion", "client_assertion", "client_assertion_type"};
  return *names;
}

absl::Status CheckVariables(const v1::OauthProvider& provider, Placeholders* placeholders) {
  const absl::string_view all = "oauth_provider.url_variables";
  if (provider.url_variables_size() > kMaxVariables) return InvalidField(all, "more than 16", "Use fewer.");
  for (int i = 0; i < provider.url_variables_size(); ++i) {
    const v1::OauthUrlVariable& one = provider.url_variables(i);
    const std::string field = absl::StrCat(all, "[", i, "]");
    RETURN_IF_ERROR(CheckVariableId(one.name(), field + ".name"));
    if (!placeholders->insert(one.name()).second) {
      return InvalidField(field + ".name", "there twice", "Name each once.");
    }
    RETURN_IF_ERROR(CheckText(one.description(), kMaxDescriptionBytes, field + ".description"));
    RETURN_IF_ERROR(CheckVariablePattern(one.pattern(), field + ".pattern"));
    if (one.value().empty()) continue;
    RETURN_IF_ERROR(CheckPrintable(one.value(), kMaxVariableValueBytes, field + ".value"));
    if (!MatchesVariable(one.pattern(), one.value())) {
      return InvalidField(field + ".value", "does not match its pattern", "Correct the value or the pattern.");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckEndpoints(const v1::OauthEndpoints& endpoints, const Placeholders& placeholders) {
  const std::string at = "oauth_provider.endpoints.";
  RETURN_IF_ERROR(CheckHttpsUrl(endpoints.issuer(), {}, at + "issuer"));
  // RFC 8414, section 2.
  if (endpoints.issuer().find('?') != std::string::npos) {
    return InvalidField(at + "issuer", "has a query", "Send the issuer as the provider names it.");
  }
  RETURN_IF_ERROR(CheckHttpsUrl(endpoints.resource(), {}, at + "resource"));
  RETURN_IF_ERROR(CheckHttpsUrl(endpoints.authorization_url(), placeholders, at + "authorization_url"));
  RETURN_IF_ERROR(CheckHttpsUrl(endpoints.token_url(), placeholders, at + "token_url"));
  RETURN_IF_ERROR(CheckHttpsUrl(endpoints.refresh_url(), placeholders, at + "refresh_url"));
  RETURN_IF_ERROR(CheckHttpsUrl(endpoints.revocation_url(), placeholders, at + "revocation_url"));
  RETURN_IF_ERROR(CheckHttpsUrl(endpoints.introspection_url(), placeholders, at + "introspection_url"));
  RETURN_IF_ERROR(CheckHttpsUrl(endpoints.userinfo_url(), placeholders, at + "userinfo_url"));
  return CheckHttpsUrl(endpoints.registration_url(), placeholders, at + "registration_url");
}

absl::Status CheckRequestFormat(v1::OauthRequestFormat format, absl::string_view field) {
  if (v1::OauthRequestFormat_IsValid(format)) return absl::OkStatus();
  return InvalidField(field, "not a request format", "Use one of OAUTH_REQUEST_FORMAT_*.");
}

// Whether the path leads to a token, or to a part of the response that holds one.
bool IsTokenPath(const v1::OauthResponse& response, const std::string& path) {
  for (const std::string& token : {std::string("access_token"), std::string("refresh_token"), std::string("id_token"),
                                   response.access_token_path(), response.refresh_token_path()}) {
    if (!token.empty() && path == token) return true;
  }
  return false;
}

absl::Status CheckResponse(const v1::OauthResponse& response, const std::string& at) {
  if (!v1::OauthResponseFormat_IsValid(response.format())) {
    return InvalidField(at + ".format", "not a response format", "Use one of OAUTH_RESPONSE_FORMAT_*.");
  }
  if (!v1::OauthExpiryFormat_IsValid(response.expiry_format())) {
    return InvalidField(at + ".expiry_format", "not an expiry format", "Use one of OAUTH_EXPIRY_FORMAT_*.");
  }
  RETURN_IF_ERROR(CheckPath(response.access_token_path(), at + ".access_token_path"));
  RETURN_IF_ERROR(CheckPath(response.refresh_token_path(), at + ".refresh_token_path"));
  RETURN_IF_ERROR(CheckPath(response.expiry_path(), at + ".expiry_path"));
  RETURN_IF_ERROR(CheckPath(response.scope_path(), at + ".scope_path"));
  RETURN_IF_ERROR(CheckPath(response.success_path(), at + ".success_path"));
  RETURN_IF_ERROR(CheckPath(response.error_path(), at + ".error_path"));
  RETURN_IF_ERROR(CheckPath(response.error_description_path(), at + ".error_description_path"));
  RETURN_IF_ERROR(CheckText(response.success_value(), kMaxSuccessValueBytes, at + ".success_value"));
  if (response.success_path().empty() != response.success_value().empty()) {
    return InvalidField(at + (response.success_path().empty() ? ".success_path" : ".success_value"),
                        "required with the other of success_path and success_value", "Send both or neither.");
  }
  if (response.metadata_size() > kMaxMetadata) return InvalidField(at + ".metadata", "more than 32", "Keep fewer.");
  std::set<absl::string_view> seen;
  for (int i = 0; i < response.metadata_size(); ++i) {
    const std::string field = absl::StrCat(at, ".metadata[", i, "]");
    RETURN_IF_ERROR(CheckParameterName(response.metadata(i).name(), field + ".name"));
    if (!seen.insert(response.metadata(i).name()).second) {
      return InvalidField(field + ".name", "there twice", "Name each once.");
    }
    if (response.metadata(i).value().empty()) {
      return InvalidField(field + ".value", "empty", "Send the path in the response, e.g. `team.id`.");
    }
    RETURN_IF_ERROR(CheckPath(response.metadata(i).value(), field + ".value"));
    if (IsTokenPath(response, response.metadata(i).value())) {
      return InvalidField(field + ".value", "a token", "Metadata is shown; keep something else.");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckLifetime(bool given, const google::protobuf::Duration& lifetime, absl::string_view field) {
  return given ? CheckDuration(lifetime, absl::Seconds(1), kMaxLifetime, field) : absl::OkStatus();
}

absl::Status CheckSecond(const v1::OauthSecondExchange& second, Placeholders placeholders) {
  const std::string at = "oauth_provider.token.second";
  for (const char* name : {"access_token", "client_id", "client_secret"}) placeholders.insert(name);
  if (second.url().empty()) return InvalidField(at + ".url", "required", "Name where the second exchange is made.");
  // A token in the URL would be in the logs of every proxy on the way; parameters are for it.
  Placeholders of_url = placeholders;
  for (const char* name : {"access_token", "client_id", "client_secret"}) of_url.erase(name);
  RETURN_IF_ERROR(CheckHttpsUrl(second.url(), of_url, at + ".url"));
  RETURN_IF_ERROR(CheckRequestFormat(second.format(), at + ".format"));
  RETURN_IF_ERROR(CheckParameters(second.parameters(), {}, placeholders, at + ".parameters"));
  RETURN_IF_ERROR(CheckHeaders(second.headers(), /*own_authorization=*/true, placeholders, at + ".headers"));
  RETURN_IF_ERROR(CheckResponse(second.response(), at + ".response"));
  return CheckLifetime(second.has_lifetime(), second.lifetime(), at + ".lifetime");
}

absl::Status CheckToken(const v1::OauthProvider& provider, const Placeholders& placeholders) {
  const v1::OauthToken& token = provider.token();
  const std::string at = "oauth_provider.token";
  RETURN_IF_ERROR(CheckRequestFormat(token.format(), at + ".format"));
  RETURN_IF_ERROR(CheckParameters(token.parameters(), ReservedTokenParameters(), placeholders, at + ".parameters"));
  RETURN_IF_ERROR(CheckHeaders(token.headers(), /*own_authorization=*/false, placeholders, at + ".headers"));
  RETURN_IF_ERROR(CheckRenames(token.renamed_parameters(), TokenParameters(), at + ".renamed_parameters"));
  RETURN_IF_ERROR(CheckPrintable(token.grant_type(), kMaxGrantTypeBytes, at + ".grant_type"));
  RETURN_IF_ERROR(CheckResponse(token.response(), at + ".response"));
  RETURN_IF_ERROR(CheckLifetime(token.has_lifetime(), token.lifetime(), at + ".lifetime"));
  return token.has_second() ? CheckSecond(token.second(), placeholders) : absl::OkStatus();
}

absl::Status CheckRefresh(const v1::OauthRefresh& refresh, const Placeholders& placeholders) {
  const std::string at = "oauth_provider.refresh";
  if (!v1::OauthRefreshMethod_IsValid(refresh.method())) {
    return InvalidField(at + ".method", "not a refresh method", "Use one of OAUTH_REFRESH_METHOD_*.");
  }
  RETURN_IF_ERROR(CheckRequestFormat(refresh.format(), at + ".format"));
  RETURN_IF_ERROR(CheckParameters(refresh.parameters(), ReservedTokenParameters(), placeholders, at + ".parameters"));
  RETURN_IF_ERROR(CheckHeaders(refresh.headers(), /*own_authorization=*/false, placeholders, at + ".headers"));
  RETURN_IF_ERROR(CheckRenames(refresh.renamed_parameters(), TokenParameters(), at + ".renamed_parameters"));
  RETURN_IF_ERROR(CheckPrintable(refresh.grant_type(), kMaxGrantTypeBytes, at + ".grant_type"));
  RETURN_IF_ERROR(CheckResponse(refresh.response(), at + ".response"));
  const double rate = refresh.max_per_second();
  if (std::isnan(rate) || rate > kMaxRefreshesPerSecond || (rate != 0 && rate < kMinRefreshesPerSecond)) {
    return InvalidField(at + ".max_per_second", "out of range", "Send 0.001 to 1000, or 0 for 10.");
  }
  return refresh.has_margin() ? CheckDuration(refresh.margin(), absl::Seconds(1), kMaxMargin, at + ".margin")
                              : absl::OkStatus();
}

}  // namespace

absl::Status CheckDefinition(const v1::OauthProvider& provider) {
  if (!v1::OauthGrantType_IsValid(provider.grant_type())) {
    return InvalidField("oauth_provider.grant_type", "not a grant type", "Use one of OAUTH_GRANT_TYPE_*.");
  }
  RETURN_IF_ERROR(CheckText(provider.display_name(), kMaxDisplayNameBytes, "oauth_provider.display_name"));
  Placeholders placeholders;
  RETURN_IF_ERROR(CheckVariables(provider, &placeholders));
  RETURN_IF_ERROR(CheckEndpoints(provider.endpoints(), placeholders));
  RETURN_IF_ERROR(CheckClient(provider.client()));
  RETURN_IF_ERROR(CheckAuthorization(provider.authorization(), placeholders));
  RETURN_IF_ERROR(CheckToken(provider, placeholders));
  RETURN_IF_ERROR(CheckRefresh(provider.refresh(), placeholders));
  RETURN_IF_ERROR(CheckAssertion(provider.assertion(), placeholders));
  RETURN_IF_ERROR(CheckPath(provider.account_path(), "oauth_provider.account_path"));
  if (provider.ByteSizeLong() > kMaxDefinitionBytes) {
    return InvalidField("oauth_provider", "larger than 192 KiB", "Leave out what is not needed.");
  }
  return absl::OkStatus();
}

absl::Status CheckComplete(const v1::OauthProvider& provider, bool before_registration) {
  const v1::OauthEndpoints& endpoints = provider.endpoints();
  const std::string at = "oauth_provider.endpoints.";
  const auto missing = [](absl::string_view field) {
    return InvalidField(field, "required, and not discovered", "Send it, or an issuer whose metadata names it.");
  };
  if (endpoints.token_url().empty()) return missing(at + "token_url");
  const bool by_person = provider.grant_type() == v1::OAUTH_GRANT_TYPE_UNSPECIFIED ||
                         provider.grant_type() == v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE;
  if (by_person && endpoints.authorization_url().empty()) return missing(at + "authorization_url");
  if (provider.token().introspect() && endpoints.introspection_url().empty()) return missing(at + "introspection_url");
  if (provider.authorization().require_issuer() && endpoints.issuer().empty()) return missing(at + "issuer");
  if (!before_registration) return CheckClientComplete(provider.client());
  if (endpoints.registration_url().empty()) return missing(at + "registration_url");
  return absl::OkStatus();
}

bool NeedsSigningKey(const v1::OauthProvider& provider) {
  return provider.client().authentication() == v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT ||
         provider.grant_type() == v1::OAUTH_GRANT_TYPE_JWT_BEARER ||
         provider.grant_type() == v1::OAUTH_GRANT_TYPE_SAML2_BEARER;
}

void NormalizeDefinition(v1::OauthProvider* provider) {
  if (provider->grant_type() == v1::OAUTH_GRANT_TYPE_UNSPECIFIED) {
    provider->set_grant_type(v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
  }
  provider->clear_name();
  provider->clear_callback_url();
  provider->clear_etag();
  provider->clear_create_time();
  provider->clear_creator();
  provider->clear_update_time();
  provider->clear_updater();
  provider->clear_outdated_connection_count();
  v1::OauthClient* const client = provider->mutable_client();
  client->clear_has_client_secret();
  client->clear_jwks();
  client->clear_register_dynamically();
  WipeRegistrationToken(client);
}

}  // namespace keyferry::server
