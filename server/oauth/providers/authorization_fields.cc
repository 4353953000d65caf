#include "server/oauth/providers/authorization_fields.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/names.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr int kMaxScopes = 100;
constexpr size_t kMaxScopeBytes = 512;
constexpr size_t kMaxSeparatorBytes = 8;
constexpr int kMaxResources = 16;
constexpr int kMaxMetadataParameters = 32;
constexpr size_t kMaxVariableNameBytes = 63;
constexpr size_t kMaxClaimBytes = 2048;

const std::set<std::string>& AuthorizationParameters() {
  static const auto* const names =
      new std::set<std::string>{"client_id", "scope", "redirect_uri", "state", "response_type"};
  return *names;
}

// RFC 3986, section 3.4, less what ends a parameter.
bool IsQueryText(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
           absl::string_view("-._~!$'()*+,;:@/?%=").find(c) != absl::string_view::npos;
  });
}

absl::Status CheckScopes(const v1::OauthAuthorization& authorization) {
  const std::string at = "oauth_provider.authorization.";
  if (authorization.scopes_size() > kMaxScopes) return InvalidField(at + "scopes", "more than 100", "Ask for fewer.");
  std::set<absl::string_view> seen;
  for (int i = 0; i < authorization.scopes_size(); ++i) {
    const std::string field = absl::StrCat(at, "scopes[", i, "]");
    const std::string& scope = authorization.scopes(i);
    RETURN_IF_ERROR(CheckPrintable(scope, kMaxScopeBytes, field));
    if (scope.empty() || scope.find(' ') != std::string::npos) {
      return InvalidField(field, "empty, or with a space", "Send one scope in each entry.");
    }
    if (!seen.insert(scope).second) return InvalidField(field, "there twice", "Name each scope once.");
    if (authorization.scopes_unescaped() && !IsQueryText(scope)) {
      return InvalidField(field, "cannot stand in a URL as it is", "Leave scopes_unescaped out.");
    }
  }
  const std::string& separator = authorization.scope_separator();
  RETURN_IF_ERROR(CheckPrintable(separator, kMaxSeparatorBytes, at + "scope_separator"));
  if (authorization.scopes_unescaped() && (separator.empty() || !IsQueryText(separator))) {
    return InvalidField(at + "scope_separator", "cannot stand in a URL as it is",
                        "With scopes_unescaped send a separator like `+` or `,`.");
  }
  return absl::OkStatus();
}

absl::Status CheckNames(const google::protobuf::RepeatedPtrField<std::string>& names, const std::string& field) {
  if (names.size() > kMaxMetadataParameters) return InvalidField(field, "more than 32", "Keep fewer.");
  std::set<absl::string_view> seen;
  for (int i = 0; i < names.size(); ++i) {
    const std::string one = absl::StrCat(field, "[", i, "]");
    RETURN_IF_ERROR(CheckParameterName(names[i], one));
    if (!seen.insert(names[i]).second) return InvalidField(one, "there twice", "Name each once.");
    // They are single-use secrets of the flow, not facts about the account.
    if (names[i] == "state" || names[i] == "code") {
      return InvalidField(one, "used up by the connection", "Keep other parameters.");
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status CheckAuthorization(const v1::OauthAuthorization& authorization, const Placeholders& placeholders) {
  const std::string at = "oauth_provider.authorization.";
  RETURN_IF_ERROR(CheckScopes(authorization));
  if (!v1::OauthPkce_IsValid(authorization.pkce())) {
    return InvalidField(at + "pkce", "not known", "Use OAUTH_PKCE_S256 or OAUTH_PKCE_OFF.");
  }
  const auto& renames = authorization.renamed_parameters();
  RETURN_IF_ERROR(CheckRenames(renames, AuthorizationParameters(), at + "renamed_parameters"));
  std::set<std::string> reserved = {"code_challenge", "code_challenge_method"};
  for (const std::string& name : AuthorizationParameters()) {
    // A scope that is always the same may as well be a parameter.
    if (name != "scope" || authorization.scopes_size() > 0) reserved.insert(RenamedParameter(renames, name));
  }
  RETURN_IF_ERROR(CheckParameters(authorization.parameters(), reserved, placeholders, at + "parameters"));
  for (int i = 0; i < authorization.parameters_size(); ++i) {
    const v1::OauthParameter& parameter = authorization.parameters(i);
    if (parameter.name() != "response_mode" || parameter.value() == "query") continue;
    // A form that the provider's page posts comes without the cookie that ties the answer to its browser (SameSite),
    // and a fragment does not come at all.
    return InvalidField(absl::StrCat(at, "parameters[", i, "]"), "asks for an answer that is not in the query",
                        "Leave response_mode out, or send `query`.");
  }
  if (authorization.resources_size() > kMaxResources) {
    return InvalidField(at + "resources", "more than 16", "Name fewer.");
  }
  for (int i = 0; i < authorization.resources_size(); ++i) {
    RETURN_IF_ERROR(CheckResourceIndicator(authorization.resources(i), absl::StrCat(at, "resources[", i, "]")));
  }
  if (!authorization.code_parameter().empty()) {
    RETURN_IF_ERROR(CheckParameterName(authorization.code_parameter(), at + "code_parameter"));
    if (authorization.code_parameter() == "state") {
      return InvalidField(at + "code_parameter", "carries the state", "Name another parameter.");
    }
  }
  return CheckNames(authorization.metadata_parameters(), at + "metadata_parameters");
}

absl::Status CheckAssertion(const v1::OauthAssertion& assertion, const Placeholders& placeholders) {
  const std::string at = "oauth_provider.assertion.";
  RETURN_IF_ERROR(CheckText(assertion.issuer(), kMaxClaimBytes, at + "issuer"));
  RETURN_IF_ERROR(CheckText(assertion.subject(), kMaxClaimBytes, at + "subject"));
  RETURN_IF_ERROR(CheckText(assertion.audience(), kMaxClaimBytes, at + "audience"));
  RETURN_IF_ERROR(CheckText(assertion.key_id(), kMaxNameBytes, at + "key_id"));
  // RFC 7519, section 4.1: they have fields of their own, or Keyferry sets them.
  RETURN_IF_ERROR(CheckParameters(assertion.claims(), {"iss", "sub", "aud", "exp", "nbf", "iat", "jti"}, placeholders,
                                  at + "claims"));
  return assertion.has_lifetime()
             ? CheckDuration(assertion.lifetime(), absl::Minutes(1), absl::Hours(1), at + "lifetime")
             : absl::OkStatus();
}

absl::Status CheckVariableId(absl::string_view name, absl::string_view field) {
  const bool well_formed = !name.empty() && name.size() <= kMaxVariableNameBytes &&
                           absl::ascii_islower(static_cast<unsigned char>(name[0])) &&
                           std::all_of(name.begin(), name.end(), [](unsigned char c) {
                             return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_';
                           });
  if (!well_formed) return InvalidField(field, "not a name", "Use a-z, digits and `_`, a letter first.");
  if (name == "access_token" || name == "client_id" || name == "client_secret") {
    return InvalidField(field, "stands for something else", "Choose another name.");
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
