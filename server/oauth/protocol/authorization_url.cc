#include "server/oauth/protocol/authorization_url.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors.h"
#include "server/oauth/protocol/encoding.h"
#include "server/oauth/protocol/url_template.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

// What a definition must not set: these hold the protections of the flow.
constexpr absl::string_view kProtected[] = {"redirect_uri", "state", "code_challenge", "code_challenge_method"};

std::string OwnName(const v1::OauthAuthorization& authorization, absl::string_view standard) {
  for (const v1::OauthParameter& renamed : authorization.renamed_parameters()) {
    if (renamed.name() == standard) return renamed.value();
  }
  return std::string(standard);
}

std::string JoinScopes(const v1::OauthAuthorization& authorization, const std::vector<std::string>& scopes) {
  const std::string separator = authorization.scope_separator().empty() ? " " : authorization.scope_separator();
  return scopes.empty() ? absl::StrJoin(authorization.scopes(), separator) : absl::StrJoin(scopes, separator);
}

class QueryWriter {
 public:
  explicit QueryWriter(std::string url) : url_(std::move(url)) {}

  // `escaped` is the value as it stands in the URL. An empty name leaves the parameter out.
  void Add(absl::string_view name, absl::string_view escaped) {
    if (name.empty()) return;
    const bool first = !absl::StrContains(url_, '?');
    absl::StrAppend(&url_,
                    first                                        ? "?"
                    : (url_.back() == '?' || url_.back() == '&') ? ""
                                                                 : "&",
                    UriEscape(name), "=", escaped);
  }
  const std::string& url() const { return url_; }

 private:
  std::string url_;
};

}  // namespace

absl::StatusOr<std::string> AuthorizationUrl(const v1::OauthProvider& provider, const AuthorizationRequest& request) {
  ASSIGN_OR_RETURN(const UrlVariables variables, ResolveUrlVariables(provider, request.variables, "url_variables"));
  ASSIGN_OR_RETURN(std::string url,
                   ExpandUrl(provider.endpoints().authorization_url(), variables, "endpoints.authorization_url"));
  const v1::OauthAuthorization& authorization = provider.authorization();
  ParameterList own;
  for (const v1::OauthParameter& parameter : authorization.parameters()) {
    for (const absl::string_view name : kProtected) {
      if (parameter.name() == name || parameter.name() == OwnName(authorization, name)) {
        return InvalidField("authorization.parameters", absl::StrCat("sets `", name, "`, which Keyferry sets"),
                            "Remove it from the provider's definition.");
      }
    }
    own.Add(parameter.name(), ExpandText(parameter.value(), variables));
  }

  QueryWriter query(std::move(url));
  const auto add = [&](absl::string_view standard, absl::string_view escaped) {
    const std::string name = OwnName(authorization, standard);
    if (!own.Has(name)) query.Add(name, escaped);
  };
  add("response_type", "code");
  add("client_id", UriEscape(provider.client().client_id()));
  add("redirect_uri", UriEscape(request.redirect_uri));
  const std::string scope = JoinScopes(authorization, request.scopes);
  if (!scope.empty()) add("scope", authorization.scopes_unescaped() ? UriEscapeLoosely(scope) : UriEscape(scope));
  add("state", UriEscape(request.state));
  if (!request.code_challenge.empty()) {
    add("code_challenge", UriEscape(request.code_challenge));
    add("code_challenge_method", "S256");
  }
  for (const std::string& resource : authorization.resources()) {
    query.Add("resource", UriEscape(ExpandText(resource, variables)));
  }
  for (const Parameter& parameter : own.all()) query.Add(parameter.name, UriEscape(parameter.value));
  return query.url();
}

absl::Status CheckUrlVariables(const v1::OauthProvider& provider, const UrlVariables& variables,
                               absl::string_view field) {
  return ResolveUrlVariables(provider, variables, field).status();
}

}  // namespace keyferry::server
