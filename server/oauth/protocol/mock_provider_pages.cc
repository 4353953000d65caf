// What a browser and a program that looks for metadata see of a mock provider.
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "nlohmann/json.hpp"
#include "server/oauth/protocol/encoding.h"
#include "server/oauth/protocol/mock_provider.h"

namespace keyferry::server {
namespace {

using Json = nlohmann::json;
constexpr size_t kMaxParameters = 64;

HttpResponse JsonResponse(int status, const Json& body) {
  HttpResponse response;
  response.status = status;
  response.headers = {{"Content-Type", "application/json"}};
  response.body = body.dump();
  return response;
}

}  // namespace

absl::StatusOr<std::string> MockProvider::Consent(const std::string& url) { return Authorize(url, /*consents=*/true); }

absl::StatusOr<std::string> MockProvider::Refuse(const std::string& url) { return Authorize(url, /*consents=*/false); }

absl::StatusOr<std::string> MockProvider::Authorize(const std::string& url, bool consents) {
  absl::MutexLock lock(&mutex_);
  const std::string prefix = absl::StrCat(options_.issuer, "/authorize?");
  if (!absl::StartsWith(url, prefix)) return absl::InvalidArgumentError("not the authorization endpoint");
  std::vector<std::string> resources, pieces;
  for (const absl::string_view piece : absl::StrSplit(url.substr(prefix.size()), '&')) {
    (absl::StartsWith(piece, "resource=") ? resources : pieces).emplace_back(piece);
  }
  absl::StatusOr<ParameterList> parameters = ParseForm(absl::StrJoin(pieces, "&"), kMaxParameters);
  if (!parameters.ok()) return parameters.status();
  for (const auto& [standard, own] : options_.authorization_names) {
    if (parameters->Has(standard)) return absl::InvalidArgumentError(absl::StrCat("unknown parameter ", standard));
    parameters->Rename(own, standard);
  }
  for (const auto& [name, value] : options_.required_authorization) {
    if (parameters->Get(name) != value) return absl::InvalidArgumentError(absl::StrCat(name, " is missing or wrong"));
  }
  const std::string challenge(parameters->Get("code_challenge"));
  if (parameters->Get("client_id") != options_.client.id) return absl::InvalidArgumentError("unknown client");
  if (parameters->Get("response_type") != "code") return absl::InvalidArgumentError("wrong response_type");
  if (!absl::StartsWith(parameters->Get("redirect_uri"), "https://")) return absl::InvalidArgumentError("redirect_uri");
  if (options_.refuses_pkce && parameters->Has("code_challenge"))
    return absl::InvalidArgumentError("unknown parameter");
  if (options_.requires_pkce && challenge.empty()) return absl::InvalidArgumentError("code_challenge is missing");
  if (!challenge.empty() && (challenge.size() != 43 || parameters->Get("code_challenge_method") != "S256")) {
    return absl::InvalidArgumentError("wrong code_challenge");
  }

  ParameterList back;
  if (consents) {
    const std::string code = absl::StrCat("code/", ++serial_, "+of the person");
    std::string resource;
    if (!FormUnescape(absl::StrJoin(resources, "+",
                                    [](std::string* out, absl::string_view piece) {
                                      absl::StrAppend(out, piece.substr(piece.find('=') + 1));
                                    }),
                      &resource)) {
      return absl::InvalidArgumentError("resource");
    }
    codes_[code] = {std::string(parameters->Get("redirect_uri")), challenge,
                    absl::StrJoin(absl::StrSplit(parameters->Get("scope"), options_.scope_separator), " "), resource};
    back.Add(options_.code_parameter, code);
    for (const auto& [name, value] : options_.callback_parameters) back.Add(name, value);
  } else {
    back.Add("error", "access_denied");
    back.Add("error_description", "The resource owner denied the request");
  }
  if (parameters->Has("state")) back.Add("state", parameters->Get("state"));
  if (options_.sends_issuer) back.Add("iss", options_.issuer);
  return absl::StrCat(parameters->Get("redirect_uri"), "?", FormText(back));
}

HttpResponse MockProvider::WellKnown(const std::string& path) {
  const size_t host_end = options_.issuer.find('/', 8);
  const std::string host = options_.issuer.substr(0, host_end);
  const std::string issuer_path = host_end == std::string::npos ? "" : options_.issuer.substr(host_end);
  if (path == "/mcp") {
    HttpResponse response = JsonResponse(401, Json::object());
    response.headers.emplace_back("WWW-Authenticate", "Bearer");
    return response;
  }
  if (path == "/.well-known/oauth-protected-resource/mcp") {
    return JsonResponse(200, {{"resource", host + "/mcp"},
                              {"authorization_servers", {options_.issuer}},
                              {"scopes_supported", {"mcp:read", "mcp:write"}}});
  }
  const bool oauth = path == absl::StrCat("/.well-known/oauth-authorization-server", issuer_path);
  const bool openid = path == absl::StrCat(issuer_path, "/.well-known/openid-configuration");
  if (!openid && (!oauth || options_.openid_only)) return Fail(404, "not_found", absl::StrCat("nothing at ", path));
  const std::string& at = options_.issuer;
  Json document = {{"issuer", at},
                   {"authorization_endpoint", at + "/authorize"},
                   {"token_endpoint", at + "/token"},
                   {"revocation_endpoint", at + "/revoke"},
                   {"introspection_endpoint", at + "/introspect"},
                   {"userinfo_endpoint", at + "/userinfo"},
                   {"registration_endpoint", at + "/register"},
                   {"scopes_supported", {"openid", "read", "write"}},
                   {"response_types_supported", {"code"}},
                   {"grant_types_supported", {"authorization_code", "refresh_token", "client_credentials"}},
                   {"token_endpoint_auth_methods_supported", {"client_secret_post", "none"}},
                   {"code_challenge_methods_supported", {"S256"}},
                   {"authorization_response_iss_parameter_supported", options_.sends_issuer}};
  for (const auto& [name, value] : options_.metadata) document[name] = Json::parse(value, nullptr, false);
  return JsonResponse(200, document);
}

HttpResponse MockProvider::Register(const HttpRequest& request) {
  std::string authorization;
  for (const auto& [name, value] : request.headers) {
    if (absl::EqualsIgnoreCase(name, "authorization")) authorization = value;
  }
  if (!options_.registration_token.empty() && authorization != absl::StrCat("Bearer ", options_.registration_token)) {
    return Fail(401, "invalid_token", "the registration needs a token");
  }
  const Json asked = Json::parse(request.body, nullptr, false);
  if (request.method != "POST" || !asked.is_object() || !asked.contains("redirect_uris")) {
    return Fail(400, "invalid_client_metadata", "redirect_uris is missing");
  }
  registered_.push_back(request.body);
  const std::string method = asked.value("token_endpoint_auth_method", "client_secret_basic");
  Json answer = asked;
  answer["client_id"] = options_.client.id;
  answer["token_endpoint_auth_method"] = method;
  if (method != "none" && method != "private_key_jwt") {
    answer["client_secret"] = options_.client.secret;
    answer["client_secret_expires_at"] = 0;
  }
  for (const auto& [name, value] : options_.metadata) {
    if (absl::StartsWith(name, "client_")) answer[name] = Json::parse(value, nullptr, false);
  }
  return JsonResponse(201, answer);
}

v1::OauthProvider MockProvider::Definition(const std::string& name) const {
  v1::OauthProvider provider;
  provider.set_name(name);
  provider.set_display_name("Mock provider");
  provider.set_grant_type(v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
  v1::OauthEndpoints* const endpoints = provider.mutable_endpoints();
  endpoints->set_issuer(options_.issuer);
  endpoints->set_authorization_url(options_.issuer + "/authorize");
  endpoints->set_token_url(options_.issuer + "/token");
  endpoints->set_revocation_url(options_.issuer + "/revoke");
  endpoints->set_userinfo_url(options_.issuer + "/userinfo");
  provider.mutable_client()->set_client_id(options_.client.id);
  provider.mutable_client()->set_client_secret(options_.client.secret);
  provider.mutable_client()->set_authentication(options_.client.authentication);
  provider.mutable_authorization()->add_scopes("read");
  provider.mutable_authorization()->add_scopes("write");
  return provider;
}

MockGrant MockProvider::Issue(const std::string& scope) {
  absl::MutexLock lock(&mutex_);
  return NewGrant(scope, ++families_, options_.gives_refresh_token);
}

void MockProvider::WithdrawAll() {
  absl::MutexLock lock(&mutex_);
  for (int family = 1; family <= families_; ++family) ended_families_.insert(family);
}

bool MockProvider::IsActive(const std::string& access_token) const {
  absl::MutexLock lock(&mutex_);
  const auto found = access_tokens_.find(access_token);
  return found != access_tokens_.end() && Works(found->second) && !found->second.good_for_second_only;
}

bool MockProvider::IsRefreshable(const std::string& refresh_token) const {
  absl::MutexLock lock(&mutex_);
  const auto found = refresh_tokens_.find(refresh_token);
  return found != refresh_tokens_.end() && !found->second.used && ended_families_.count(found->second.family) == 0;
}

int MockProvider::exchanges() const {
  absl::MutexLock lock(&mutex_);
  return exchanges_;
}

int MockProvider::refreshes() const {
  absl::MutexLock lock(&mutex_);
  return refreshes_;
}

int MockProvider::reuses() const {
  absl::MutexLock lock(&mutex_);
  return reuses_;
}

int MockProvider::revocations() const {
  absl::MutexLock lock(&mutex_);
  return revocations_;
}

std::string MockProvider::last_problem() const {
  absl::MutexLock lock(&mutex_);
  return last_problem_;
}

std::vector<std::string> MockProvider::registered_clients() const {
  absl::MutexLock lock(&mutex_);
  return registered_;
}

}  // namespace keyferry::server
