#include "server/oauth/protocol/mock_provider.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "nlohmann/json.hpp"
#include "server/oauth/protocol/encoding.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

using Json = nlohmann::json;
constexpr size_t kMaxParameters = 64;

HttpResponse JsonResponse(int status, const Json& body) {
  HttpResponse response;
  response.status = status;
  response.headers = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  response.body = body.dump();
  return response;
}

std::string HeaderOf(const HttpRequest& request, absl::string_view name) {
  for (const auto& [header, value] : request.headers) {
    if (absl::EqualsIgnoreCase(header, name)) return value;
  }
  return "";
}

std::string PathOf(const std::string& url, const std::string& issuer) {
  const std::string path = url.substr(0, url.find('?'));
  const std::string host = issuer.substr(0, issuer.find('/', 8));
  return absl::StartsWith(path, host) ? path.substr(host.size()) : "";
}

absl::string_view QueryOf(absl::string_view url) {
  const size_t mark = url.find('?');
  return mark == absl::string_view::npos ? "" : url.substr(mark + 1);
}

// Several `resource` parameters are allowed (RFC 8707, section 2); they become one, joined by spaces.
std::string JoinResources(absl::string_view form) {
  std::string rest, resources;
  for (absl::string_view piece : absl::StrSplit(form, '&', absl::SkipEmpty())) {
    if (absl::ConsumePrefix(&piece, "resource=")) {
      absl::StrAppend(&resources, resources.empty() ? "" : "+", piece);
    } else {
      absl::StrAppend(&rest, rest.empty() ? "" : "&", piece);
    }
  }
  return resources.empty() ? rest : absl::StrCat(rest, "&resource=", resources);
}

absl::StatusOr<ParameterList> ReadJson(const std::string& body) {
  const Json json = Json::parse(body, nullptr, false);
  if (!json.is_object()) return absl::InvalidArgumentError("the body is no JSON object");
  ParameterList parameters;
  for (const auto& [name, value] : json.items()) {
    if (!value.is_string()) return absl::InvalidArgumentError("a parameter is no string");
    parameters.Add(name, value.get<std::string>());
  }
  return parameters;
}

}  // namespace

MockProvider::MockProvider(MockProviderOptions options, std::function<absl::Time()> clock)
    : options_(std::move(options)), clock_(std::move(clock)) {}

std::function<HttpResponse(const HttpRequest&)> MockProvider::Server() {
  return [this](const HttpRequest& request) { return Handle(request); };
}

HttpResponse MockProvider::Handle(const HttpRequest& request) {
  absl::MutexLock lock(&mutex_);
  std::string path = PathOf(request.url, options_.issuer);
  if (absl::StrContains(path, "/.well-known/") || path == "/mcp") return WellKnown(path);
  path = std::string(absl::StripPrefix(path, PathOf(options_.issuer, options_.issuer)));
  if (path == "/token") return TokenEndpoint(request, /*refresh=*/false);
  if (path == "/refresh" && options_.separate_refresh_url) return TokenEndpoint(request, /*refresh=*/true);
  if (path == "/second") return SecondExchange(request);
  if (path == "/revoke") return Revoke(request);
  if (path == "/introspect") return Introspect(request);
  if (path == "/userinfo") return Userinfo(request);
  if (path == "/register") return Register(request);
  return Fail(404, "not_found", absl::StrCat("nothing at ", path));
}

absl::StatusOr<ParameterList> MockProvider::Read(const HttpRequest& request,
                                                 const std::map<std::string, std::string>& names,
                                                 v1::OauthRequestFormat format) {
  absl::StatusOr<ParameterList> parameters = ParameterList();
  const std::string type = HeaderOf(request, "content-type");
  switch (format) {
    case v1::OAUTH_REQUEST_FORMAT_JSON:
      if (request.method != "POST" || type != "application/json") return absl::InvalidArgumentError("not JSON");
      parameters = ReadJson(request.body);
      break;
    case v1::OAUTH_REQUEST_FORMAT_GET:
    case v1::OAUTH_REQUEST_FORMAT_QUERY:
      if (request.method != (format == v1::OAUTH_REQUEST_FORMAT_GET ? "GET" : "POST") || !request.body.empty()) {
        return absl::InvalidArgumentError("wrong method, or a body");
      }
      parameters = ParseForm(JoinResources(QueryOf(request.url)), kMaxParameters);
      break;
    default:
      if (request.method != "POST" || type != "application/x-www-form-urlencoded" || !QueryOf(request.url).empty()) {
        return absl::InvalidArgumentError("not a form");
      }
      parameters = ParseForm(JoinResources(request.body), kMaxParameters);
  }
  if (!parameters.ok()) return parameters.status();
  for (const auto& [standard, own] : names) {
    if (parameters->Has(standard)) return absl::InvalidArgumentError("a parameter under the standard's name");
    parameters->Rename(own, standard);
  }
  const absl::Status client = CheckMockClient(options_.client, request, *parameters,
                                              absl::StrCat(options_.issuer, "/token"), clock_(), &assertion_ids_);
  if (!client.ok()) return client;
  return parameters;
}

HttpResponse MockProvider::TokenEndpoint(const HttpRequest& request, bool refresh) {
  absl::StatusOr<ParameterList> parameters = Read(request, options_.token_names, options_.format);
  if (absl::IsUnauthenticated(parameters.status())) {
    return Fail(401, "invalid_client", std::string(parameters.status().message()));
  }
  if (!parameters.ok()) return Fail(400, "invalid_request", std::string(parameters.status().message()));
  for (const auto& [standard, own] : options_.refresh_names) parameters->Rename(own, standard);
  for (const auto& [standard, own] : options_.grant_names) {
    if (parameters->Get("grant_type") == own) parameters->Set("grant_type", standard);
  }
  const bool by_access_token = options_.refreshes_by_access_token && parameters->Has("access_token");
  const bool is_refresh = by_access_token || parameters->Get("grant_type") == "refresh_token";
  if (is_refresh != refresh && options_.separate_refresh_url) {
    return Fail(400, "unsupported_grant_type", "refreshes have their own URL");
  }
  for (const auto& [name, value] : is_refresh ? options_.required_refresh : options_.required_token) {
    if (parameters->Get(name) != value) return Fail(400, "invalid_request", absl::StrCat(name, " is missing"));
  }
  if (!is_refresh) return GrantFor(std::string(parameters->Get("grant_type")), *parameters);
  for (const auto& [name, value] : options_.required_refresh_headers) {
    if (HeaderOf(request, name) != value) return Fail(400, "invalid_request", absl::StrCat(name, " is missing"));
  }
  return by_access_token ? RefreshByAccessToken(*parameters) : Refresh(*parameters);
}

HttpResponse MockProvider::GrantFor(const std::string& grant_type, const ParameterList& parameters) {
  ++exchanges_;
  if (grant_type == "authorization_code") return ExchangeCode(parameters);
  const std::string scope(parameters.Get("scope"));
  if (grant_type == "client_credentials") return Answer(NewGrant(scope, ++families_, /*refreshable=*/false));
  const std::string assertion(parameters.Get("assertion"));
  const std::string audience = absl::StrCat(options_.issuer, "/token");
  absl::Status valid = absl::InvalidArgumentError("");
  if (grant_type == "urn:ietf:params:oauth:grant-type:jwt-bearer") {
    valid = CheckMockJwt(options_.client, assertion, audience, clock_(), &assertion_ids_, nullptr);
  } else if (grant_type == "urn:ietf:params:oauth:grant-type:saml2-bearer") {
    valid = CheckMockSaml(options_.client, assertion, audience, clock_(), &assertion_ids_);
  } else {
    return Fail(400, "unsupported_grant_type", grant_type);
  }
  if (!valid.ok()) return Fail(400, "invalid_grant", std::string(valid.message()));
  return Answer(NewGrant(scope, ++families_, /*refreshable=*/false));
}

HttpResponse MockProvider::ExchangeCode(const ParameterList& parameters) {
  const auto found = codes_.find(std::string(parameters.Get("code")));
  if (found == codes_.end()) return Fail(400, "invalid_grant", "no such code");
  const Code code = found->second;
  codes_.erase(found);
  if (parameters.Get("redirect_uri") != code.redirect_uri) return Fail(400, "invalid_grant", "another redirect URI");
  const absl::string_view verifier = parameters.Get("code_verifier");
  if (options_.refuses_pkce && parameters.Has("code_verifier")) return Fail(400, "invalid_request", "code_verifier");
  if (code.challenge.empty() != verifier.empty() ||
      (!verifier.empty() && Base64Url(storage::View(storage::Sha256({verifier}))) != code.challenge)) {
    return Fail(400, "invalid_grant", "wrong code_verifier");
  }
  if (!code.resource.empty() && parameters.Get("resource") != code.resource) {
    return Fail(400, "invalid_target", "another resource");
  }
  MockGrant grant = NewGrant(code.scope, ++families_, options_.gives_refresh_token);
  access_tokens_[grant.access_token].good_for_second_only = options_.needs_second_exchange;
  return Answer(grant);
}

HttpResponse MockProvider::Refresh(const ParameterList& parameters) {
  const auto found = refresh_tokens_.find(std::string(parameters.Get("refresh_token")));
  if (found == refresh_tokens_.end()) return Fail(400, "invalid_grant", "no such refresh token");
  Token& token = found->second;
  if (ended_families_.count(token.family) != 0) return Fail(400, "invalid_grant", "the grant has ended");
  if (token.used) {
    ++reuses_;
    ended_families_.insert(token.family);
    return Fail(400, "invalid_grant", "the refresh token was used before");
  }
  ++refreshes_;
  token.used = options_.rotates;
  const std::string scope = token.scope;
  MockGrant grant = NewGrant(scope, token.family, options_.rotates);
  access_tokens_[grant.access_token].good_for_second_only = options_.needs_second_exchange;
  return Answer(grant);
}

HttpResponse MockProvider::RefreshByAccessToken(const ParameterList& parameters) {
  const auto found = access_tokens_.find(std::string(parameters.Get("access_token")));
  if (found == access_tokens_.end() || !Works(found->second)) {
    return Fail(400, "invalid_grant", "the access token has ended");
  }
  ++refreshes_;
  const Token token = found->second;
  return Answer(NewGrant(token.scope, token.family, /*refreshable=*/false));
}

HttpResponse MockProvider::SecondExchange(const HttpRequest& request) {
  const absl::StatusOr<ParameterList> parameters = ParseForm(QueryOf(request.url), kMaxParameters);
  if (!parameters.ok() || request.method != "GET") return Fail(400, "invalid_request", "GET with a query");
  if (parameters->Get("client_secret") != options_.client.secret) return Fail(401, "invalid_client", "wrong secret");
  const auto found = access_tokens_.find(std::string(parameters->Get("access_token")));
  if (found == access_tokens_.end() || !found->second.good_for_second_only) {
    return Fail(400, "invalid_grant", "no token of a first exchange");
  }
  const Token token = found->second;
  access_tokens_.erase(found);
  return Answer(NewGrant(token.scope, token.family, /*refreshable=*/false));
}

HttpResponse MockProvider::Revoke(const HttpRequest& request) {
  const absl::StatusOr<ParameterList> parameters =
      Read(request, options_.token_names,
           options_.format == v1::OAUTH_REQUEST_FORMAT_JSON ? options_.format : v1::OAUTH_REQUEST_FORMAT_FORM);
  if (absl::IsUnauthenticated(parameters.status())) {
    return Fail(401, "invalid_client", std::string(parameters.status().message()));
  }
  if (!parameters.ok()) return Fail(400, "invalid_request", std::string(parameters.status().message()));
  const std::string token(parameters->Get("token"));
  for (const auto* tokens : {&refresh_tokens_, &access_tokens_}) {
    const auto found = tokens->find(token);
    if (found == tokens->end()) continue;
    ended_families_.insert(found->second.family);
    ++revocations_;
  }
  return JsonResponse(200, Json::object());
}

HttpResponse MockProvider::Introspect(const HttpRequest& request) {
  const absl::StatusOr<ParameterList> parameters = Read(request, options_.token_names, v1::OAUTH_REQUEST_FORMAT_FORM);
  if (!parameters.ok()) return Fail(401, "invalid_client", std::string(parameters.status().message()));
  const auto found = access_tokens_.find(std::string(parameters->Get("token")));
  if (found == access_tokens_.end() || !Works(found->second)) return JsonResponse(200, {{"active", false}});
  return JsonResponse(200, {{"active", true}, {"exp", absl::ToUnixSeconds(found->second.expires)}});
}

HttpResponse MockProvider::Userinfo(const HttpRequest& request) {
  const std::string authorization = HeaderOf(request, "authorization");
  const auto found = access_tokens_.find(std::string(absl::StripPrefix(authorization, "Bearer ")));
  if (found == access_tokens_.end() || !Works(found->second) || found->second.good_for_second_only) {
    return Fail(401, "invalid_token", "no such access token");
  }
  return JsonResponse(200, {{"sub", "4711"}, {"email", "ada@example.test"}, {"profile", {{"login", "ada"}}}});
}

MockGrant MockProvider::NewGrant(const std::string& scope, int family, bool refreshable) {
  MockGrant grant;
  grant.access_token = absl::StrCat("access-token-", ++serial_, "-of-grant-", family);
  grant.lifetime = options_.lifetime;
  grant.scope = scope;
  access_tokens_[grant.access_token] = {family, false, false, clock_() + options_.lifetime, scope};
  if (refreshable) {
    grant.refresh_token = absl::StrCat("refresh-token-", ++serial_, "-of-grant-", family);
    refresh_tokens_[grant.refresh_token] = {family, false, false, absl::InfiniteFuture(), scope};
  }
  return grant;
}

HttpResponse MockProvider::Answer(const MockGrant& grant) const {
  if (options_.answer) return options_.answer(grant);
  Json body = {{"access_token", grant.access_token},
               {"token_type", "Bearer"},
               {"expires_in", absl::ToInt64Seconds(grant.lifetime)}};
  if (!grant.refresh_token.empty()) body["refresh_token"] = grant.refresh_token;
  if (!grant.scope.empty()) body["scope"] = grant.scope;
  return JsonResponse(200, body);
}

HttpResponse MockProvider::Fail(int status, const std::string& error, const std::string& problem) {
  last_problem_ = problem;
  if (options_.error) return options_.error(status, error);
  return JsonResponse(status, {{"error", error}, {"error_description", problem}});
}

bool MockProvider::Works(const Token& token) const {
  return ended_families_.count(token.family) == 0 && token.expires > clock_();
}

}  // namespace keyferry::server
