#include "server/oauth/protocol/metadata_document.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/http/url.h"
#include "server/oauth/protocol/encoding.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxScopes = 256;
constexpr size_t kMaxScopeBytes = 256;

absl::Status Wrong(absl::string_view problem) { return absl::FailedPreconditionError(problem); }

struct NamedMethod {
  absl::string_view name;
  v1::OauthClientAuthentication method;
};
constexpr NamedMethod kMethods[] = {
    {"client_secret_basic", v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC},
    {"client_secret_post", v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST},
    {"none", v1::OAUTH_CLIENT_AUTHENTICATION_NONE},
    {"private_key_jwt", v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT},
    {"tls_client_auth", v1::OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH},
    {"self_signed_tls_client_auth", v1::OAUTH_CLIENT_AUTHENTICATION_TLS_CLIENT_AUTH},
};

std::vector<std::string> Scopes(const Document& document) {
  std::vector<std::string> scopes = document.StringsAt("scopes_supported");
  scopes.erase(std::remove_if(scopes.begin(), scopes.end(),
                              [](const std::string& scope) {
                                return scope.empty() || scope.size() > kMaxScopeBytes ||
                                       Printable(scope, kMaxScopeBytes) != scope;
                              }),
               scopes.end());
  if (scopes.size() > kMaxScopes) scopes.resize(kMaxScopes);
  return scopes;
}

bool Contains(const std::vector<std::string>& all, absl::string_view one) {
  return std::find(all.begin(), all.end(), one) != all.end();
}

// A trailing slash makes two identifiers of one for some servers and not for others; none is wrong.
bool SameIdentifier(absl::string_view a, absl::string_view b) {
  return absl::StripSuffix(a, "/") == absl::StripSuffix(b, "/");
}

absl::Status TakeEndpoint(const Document& document, absl::string_view name, std::string* endpoint) {
  const absl::string_view url = document.TextAt(name);
  if (!endpoint->empty() || url.empty()) return absl::OkStatus();
  if (!ParseHttpsUrl(url).ok()) {
    return Wrong(absl::StrCat("`", name, "` of the metadata is no https URL: give the endpoint itself"));
  }
  *endpoint = std::string(url);
  return absl::OkStatus();
}

absl::Status TakeEndpoints(const Document& document, v1::OauthEndpoints* endpoints) {
  RETURN_IF_ERROR(TakeEndpoint(document, "authorization_endpoint", endpoints->mutable_authorization_url()));
  RETURN_IF_ERROR(TakeEndpoint(document, "token_endpoint", endpoints->mutable_token_url()));
  RETURN_IF_ERROR(TakeEndpoint(document, "revocation_endpoint", endpoints->mutable_revocation_url()));
  RETURN_IF_ERROR(TakeEndpoint(document, "introspection_endpoint", endpoints->mutable_introspection_url()));
  RETURN_IF_ERROR(TakeEndpoint(document, "userinfo_endpoint", endpoints->mutable_userinfo_url()));
  RETURN_IF_ERROR(TakeEndpoint(document, "registration_endpoint", endpoints->mutable_registration_url()));
  if (endpoints->token_url().empty()) return Wrong("the metadata names no `token_endpoint`: give the endpoint itself");
  return absl::OkStatus();
}

void TakeMethods(const Document& document, DiscoveredMetadata* found) {
  constexpr absl::string_view kName = "token_endpoint_auth_methods_supported";
  if (document.Find(kName) == nullptr) {
    found->authentication_methods = {v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC};
  }
  for (const std::string& name : document.StringsAt(kName)) {
    const v1::OauthClientAuthentication method = AuthenticationByName(name);
    auto& all = found->authentication_methods;
    if (method == v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED) {
      found->notes.push_back(absl::StrCat("the server also takes `", Printable(name, 64),
                                          "` as client authentication, which Keyferry does not use"));
    } else if (std::find(all.begin(), all.end(), method) == all.end()) {
      all.push_back(method);
    }
  }
}

void TakeAlgorithms(const Document& document, DiscoveredMetadata* found) {
  const std::vector<std::string> names = document.StringsAt("token_endpoint_auth_signing_alg_values_supported");
  const std::pair<absl::string_view, v1::OauthSigningAlgorithm> known[] = {
      {"RS256", v1::OAUTH_SIGNING_ALGORITHM_RS256},
      {"PS256", v1::OAUTH_SIGNING_ALGORITHM_PS256},
      {"ES256", v1::OAUTH_SIGNING_ALGORITHM_ES256}};
  for (const auto& [name, algorithm] : known) {
    if (Contains(names, name)) found->signing_algorithms.push_back(algorithm);
  }
}

void TakeGrantTypes(const Document& document, DiscoveredMetadata* found) {
  const std::vector<std::string> names = document.StringsAt("grant_types_supported");
  const std::pair<absl::string_view, v1::OauthGrantType> known[] = {
      {"authorization_code", v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE},
      {"client_credentials", v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS},
      {"urn:ietf:params:oauth:grant-type:jwt-bearer", v1::OAUTH_GRANT_TYPE_JWT_BEARER},
      {"urn:ietf:params:oauth:grant-type:saml2-bearer", v1::OAUTH_GRANT_TYPE_SAML2_BEARER}};
  for (const auto& [name, grant_type] : known) {
    if (Contains(names, name)) found->grant_types.push_back(grant_type);
  }
  if (!names.empty() && Contains(names, "authorization_code") && !Contains(names, "refresh_token")) {
    found->notes.push_back(
        "the server does not say that it gives refresh tokens: connections may end with their first "
        "access token");
  }
}

void TakePkce(const Document& document, DiscoveredMetadata* found) {
  if (Contains(document.StringsAt("code_challenge_methods_supported"), "S256")) {
    found->pkce = v1::OAUTH_PKCE_S256;
  } else {
    found->notes.push_back(
        "the server does not say that it supports PKCE; it is sent all the same, unless it is "
        "switched off");
  }
}

}  // namespace

absl::Status CheckIdentifier(absl::string_view identifier, absl::string_view what) {
  if (ParseHttpsUrl(identifier).ok() && !absl::StrContains(identifier, '?')) return absl::OkStatus();
  return Wrong(absl::StrCat(what, " is no https URL without a query"));
}

absl::Status ReadResourceMetadata(const Document& document, absl::string_view resource, DiscoveredMetadata* found,
                                  std::string* issuer) {
  const absl::string_view says = document.TextAt("resource");
  if (!SameIdentifier(says, resource)) {
    return Wrong(absl::StrCat("the metadata is that of another resource, `", Printable(says, 256), "`"));
  }
  const std::vector<std::string> servers = document.StringsAt("authorization_servers");
  if (servers.empty()) return Wrong("the resource's metadata names no authorization server");
  RETURN_IF_ERROR(CheckIdentifier(servers[0], "the resource's authorization server"));
  if (servers.size() > 1) {
    found->notes.push_back(
        absl::StrCat("the resource names ", servers.size(), " authorization servers; the first is used"));
  }
  *issuer = servers[0];
  found->resource = std::string(says);
  found->scopes = Scopes(document);
  return absl::OkStatus();
}

absl::Status ReadServerMetadata(const Document& document, DiscoveredMetadata* found) {
  const absl::string_view says = document.TextAt("issuer");
  if (!SameIdentifier(says, found->endpoints.issuer())) {
    return Wrong(absl::StrCat("the metadata is that of another issuer, `", Printable(says, 256),
                              "`: if that is the right one, use it as the issuer"));
  }
  // The callback's `iss` is compared with this, letter by letter.
  found->endpoints.set_issuer(std::string(says));
  RETURN_IF_ERROR(TakeEndpoints(document, &found->endpoints));
  if (found->scopes.empty()) found->scopes = Scopes(document);
  TakeMethods(document, found);
  TakeAlgorithms(document, found);
  TakeGrantTypes(document, found);
  TakePkce(document, found);
  found->issuer_in_callback = document.TextAt("authorization_response_iss_parameter_supported") == "true";
  return absl::OkStatus();
}

v1::OauthClientAuthentication AuthenticationByName(absl::string_view name) {
  for (const NamedMethod& known : kMethods) {
    if (known.name == name) return known.method;
  }
  return v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED;
}

absl::string_view AuthenticationName(v1::OauthClientAuthentication method) {
  for (const NamedMethod& known : kMethods) {
    if (known.method == method) return known.name;
  }
  return "";
}

}  // namespace keyferry::server
