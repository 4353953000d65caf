#include "server/oauth/protocol/requests.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/errors.h"
#include "server/oauth/protocol/client_authentication.h"
#include "server/oauth/protocol/grant_assertion.h"
#include "server/oauth/protocol/token_request.h"
#include "server/oauth/protocol/url_template.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr char kJwtBearer[] = "urn:ietf:params:oauth:grant-type:jwt-bearer";
constexpr char kSaml2Bearer[] = "urn:ietf:params:oauth:grant-type:saml2-bearer";

absl::StatusOr<std::string> TokenUrl(const RequestContext& context) {
  return ExpandUrl(context.provider().endpoints().token_url(), context.variables, "endpoints.token_url");
}

void AddResources(const RequestContext& context, ParameterList* parameters) {
  for (const std::string& resource : context.provider().authorization().resources()) {
    parameters->Add("resource", ExpandText(resource, context.variables));
  }
}

absl::Status Authenticate(const RequestContext& context, TokenRequest* request) {
  ASSIGN_OR_RETURN(const std::string audience, TokenUrl(context));
  return AuthenticateClient(*context.definition, audience, context.now, request);
}

void AddGrantType(const std::string& own, absl::string_view usual, TokenRequest* request) {
  const absl::string_view grant_type = own.empty() ? usual : absl::string_view(own);
  if (!grant_type.empty()) request->parameters.Add("grant_type", grant_type);
}

// The request for first tokens, once its own parameters are in it.
absl::StatusOr<HttpRequest> Finish(const RequestContext& context, TokenRequest request) {
  const v1::OauthToken& token = context.provider().token();
  RETURN_IF_ERROR(Authenticate(context, &request));
  RenameParameters(token.renamed_parameters(), &request.parameters);
  request.format = token.format();
  RETURN_IF_ERROR(AddOwn(token.parameters(), token.headers(), context.variables, &request));
  return BuildRequest(std::move(request), token.response().format());
}

// A request about a token to an endpoint beside the token endpoint.
absl::StatusOr<HttpRequest> AboutToken(const RequestContext& context, const std::string& url, absl::string_view field,
                                       const storage::SecretBytes& token, absl::string_view hint) {
  TokenRequest request;
  ASSIGN_OR_RETURN(request.url, ExpandUrl(url, context.variables, field));
  request.parameters.Add("token", token.Expose());
  request.parameters.Add("token_type_hint", hint);
  RETURN_IF_ERROR(Authenticate(context, &request));
  RenameParameters(context.provider().token().renamed_parameters(), &request.parameters);
  RETURN_IF_ERROR(AddOwn({}, context.provider().token().headers(), context.variables, &request));
  if (field == "endpoints.revocation_url" && context.provider().token().format() == v1::OAUTH_REQUEST_FORMAT_JSON) {
    request.format = v1::OAUTH_REQUEST_FORMAT_JSON;
  }
  return BuildRequest(std::move(request), v1::OAUTH_RESPONSE_FORMAT_JSON);
}

}  // namespace

bool IsWithoutPerson(const v1::OauthProvider& provider) {
  return provider.grant_type() != v1::OAUTH_GRANT_TYPE_UNSPECIFIED &&
         provider.grant_type() != v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE;
}

absl::StatusOr<HttpRequest> CodeRequest(const RequestContext& context, const TokenClient::CodeExchange& exchange) {
  TokenRequest request;
  ASSIGN_OR_RETURN(request.url, TokenUrl(context));
  AddGrantType(context.provider().token().grant_type(), "authorization_code", &request);
  request.parameters.Add("code", exchange.code);
  request.parameters.Add("redirect_uri", exchange.redirect_uri);
  if (!exchange.code_verifier.empty()) request.parameters.Add("code_verifier", exchange.code_verifier.Expose());
  AddResources(context, &request.parameters);
  return Finish(context, std::move(request));
}

absl::StatusOr<HttpRequest> GrantRequest(const RequestContext& context, const std::vector<std::string>& scopes) {
  const v1::OauthProvider& provider = context.provider();
  TokenRequest request;
  ASSIGN_OR_RETURN(request.url, TokenUrl(context));
  const std::string& own = provider.token().grant_type();
  switch (provider.grant_type()) {
    case v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS:
      AddGrantType(own, "client_credentials", &request);
      break;
    case v1::OAUTH_GRANT_TYPE_JWT_BEARER:
    case v1::OAUTH_GRANT_TYPE_SAML2_BEARER: {
      const bool jwt = provider.grant_type() == v1::OAUTH_GRANT_TYPE_JWT_BEARER;
      AddGrantType(own, jwt ? kJwtBearer : kSaml2Bearer, &request);
      ASSIGN_OR_RETURN(std::string assertion,
                       jwt ? JwtGrantAssertion(*context.definition, context.variables, request.url, context.now)
                           : SamlGrantAssertion(*context.definition, context.variables, request.url, context.now));
      request.parameters.Add("assertion", assertion);
      storage::WipeString(assertion);
      break;
    }
    default:
      return InvalidField("grant_type", "needs a person", "Connect through the browser.");
  }
  const v1::OauthAuthorization& authorization = provider.authorization();
  const std::string separator = authorization.scope_separator().empty() ? " " : authorization.scope_separator();
  const std::string scope =
      scopes.empty() ? absl::StrJoin(authorization.scopes(), separator) : absl::StrJoin(scopes, separator);
  if (!scope.empty()) request.parameters.Add("scope", scope);
  AddResources(context, &request.parameters);
  return Finish(context, std::move(request));
}

absl::StatusOr<HttpRequest> RefreshRequest(const RequestContext& context, const TokenClient::RefreshInput& input) {
  const v1::OauthProvider& provider = context.provider();
  const v1::OauthRefresh& refresh = provider.refresh();
  TokenRequest request;
  if (provider.endpoints().refresh_url().empty()) {
    ASSIGN_OR_RETURN(request.url, TokenUrl(context));
  } else {
    ASSIGN_OR_RETURN(request.url,
                     ExpandUrl(provider.endpoints().refresh_url(), context.variables, "endpoints.refresh_url"));
  }
  if (refresh.method() == v1::OAUTH_REFRESH_METHOD_ACCESS_TOKEN) {
    AddGrantType(refresh.grant_type(), "", &request);
    request.parameters.Add("access_token", input.access_token.Expose());
  } else {
    AddGrantType(refresh.grant_type(), "refresh_token", &request);
    request.parameters.Add("refresh_token", input.refresh_token.Expose());
    AddResources(context, &request.parameters);
  }
  RETURN_IF_ERROR(Authenticate(context, &request));
  // The refresh's own name for a parameter first: after the token's, the standard's name is gone.
  RenameParameters(refresh.renamed_parameters(), &request.parameters);
  RenameParameters(provider.token().renamed_parameters(), &request.parameters);
  request.format =
      refresh.format() == v1::OAUTH_REQUEST_FORMAT_UNSPECIFIED ? provider.token().format() : refresh.format();
  RETURN_IF_ERROR(AddOwn({}, provider.token().headers(), context.variables, &request));
  RETURN_IF_ERROR(AddOwn(refresh.parameters(), refresh.headers(), context.variables, &request));
  const v1::OauthResponse& response = refresh.has_response() ? refresh.response() : provider.token().response();
  return BuildRequest(std::move(request), response.format());
}

absl::StatusOr<HttpRequest> SecondRequest(const RequestContext& context, const storage::SecretBytes& access_token) {
  const v1::OauthSecondExchange& second = context.provider().token().second();
  const v1::OauthClient& client = context.provider().client();
  TokenRequest request;
  ASSIGN_OR_RETURN(request.url, ExpandUrl(second.url(), context.variables, "token.second.url"));
  request.format = second.format();
  UrlVariables values = context.variables;
  values["access_token"] = std::string(access_token.Expose());
  values["client_id"] = client.client_id();
  values["client_secret"] = client.client_secret();
  const absl::Status added = AddOwn(second.parameters(), second.headers(), values, &request);
  for (const char* name : {"access_token", "client_secret"}) storage::WipeString(values[name]);
  RETURN_IF_ERROR(added);
  return BuildRequest(std::move(request), second.response().format());
}

absl::StatusOr<HttpRequest> RevocationRequest(const RequestContext& context, const storage::SecretBytes& token,
                                              bool is_refresh_token) {
  return AboutToken(context, context.provider().endpoints().revocation_url(), "endpoints.revocation_url", token,
                    is_refresh_token ? "refresh_token" : "access_token");
}

absl::StatusOr<HttpRequest> IntrospectionRequest(const RequestContext& context,
                                                 const storage::SecretBytes& access_token) {
  return AboutToken(context, context.provider().endpoints().introspection_url(), "endpoints.introspection_url",
                    access_token, "access_token");
}

absl::StatusOr<HttpRequest> UserinfoRequest(const RequestContext& context, const storage::SecretBytes& access_token) {
  HttpRequest request;
  ASSIGN_OR_RETURN(request.url, ExpandUrl(context.provider().endpoints().userinfo_url(), context.variables,
                                          "endpoints.userinfo_url"));
  request.headers = {{"Accept", "application/json"}, {"Authorization", absl::StrCat("Bearer ", access_token.Expose())}};
  // Headers that an API wants everywhere, such as its version.
  for (const v1::OauthParameter& header : context.provider().token().headers()) {
    bool own = false;
    for (const char* name : {"Accept", "Authorization", "Content-Type"}) {
      own = own || absl::EqualsIgnoreCase(header.name(), name);
    }
    if (!own) request.headers.emplace_back(header.name(), ExpandText(header.value(), context.variables));
  }
  return request;
}

}  // namespace keyferry::server
