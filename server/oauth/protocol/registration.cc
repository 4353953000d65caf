#include "server/oauth/protocol/registration.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "nlohmann/json.hpp"
#include "server/oauth/protocol/document.h"
#include "server/oauth/protocol/error_response.h"
#include "server/oauth/protocol/metadata_document.h"
#include "server/oauth/protocol/registration_response.h"

namespace keyferry::server {
namespace {

using Json = nlohmann::ordered_json;
using Done = std::function<void(absl::StatusOr<RegisteredClient>)>;

constexpr size_t kMaxIdBytes = 1024;
constexpr size_t kMaxSecretBytes = 4096;

absl::string_view GrantName(v1::OauthGrantType grant_type) {
  switch (grant_type) {
    case v1::OAUTH_GRANT_TYPE_CLIENT_CREDENTIALS:
      return "client_credentials";
    case v1::OAUTH_GRANT_TYPE_JWT_BEARER:
      return "urn:ietf:params:oauth:grant-type:jwt-bearer";
    case v1::OAUTH_GRANT_TYPE_SAML2_BEARER:
      return "urn:ietf:params:oauth:grant-type:saml2-bearer";
    default:
      return "authorization_code";
  }
}

// RFC 7591, section 2.
absl::StatusOr<std::string> Body(const RegistrationRequest& request) {
  Json body = {{"client_name", request.client_name}};
  std::vector<v1::OauthGrantType> grant_types = request.grant_types;
  if (grant_types.empty()) grant_types.push_back(v1::OAUTH_GRANT_TYPE_AUTHORIZATION_CODE);
  bool code = false;
  Json names = Json::array();
  for (const v1::OauthGrantType grant_type : grant_types) {
    names.push_back(std::string(GrantName(grant_type)));
    code = code || GrantName(grant_type) == "authorization_code";
  }
  if (code) {
    names.push_back("refresh_token");
    body["redirect_uris"] = Json::array({request.redirect_uri});
    body["response_types"] = Json::array({"code"});
  } else {
    body["redirect_uris"] = Json::array();
    body["response_types"] = Json::array();
  }
  body["grant_types"] = std::move(names);
  const absl::string_view method = AuthenticationName(request.authentication);
  if (!method.empty()) body["token_endpoint_auth_method"] = std::string(method);
  if (!request.scopes.empty()) body["scope"] = absl::StrJoin(request.scopes, " ");
  if (!request.jwks.empty()) {
    Json jwks = Json::parse(request.jwks, nullptr, /*allow_exceptions=*/false);
    if (!jwks.is_object()) return absl::InvalidArgumentError("the key set is no JSON object");
    body["jwks"] = std::move(jwks);
  }
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

bool IsVisible(absl::string_view text) { return std::all_of(text.begin(), text.end(), absl::ascii_isprint); }

absl::Status Wrong(absl::string_view problem) {
  return absl::FailedPreconditionError(absl::StrCat("the answer is no registration: ", problem));
}

}  // namespace

absl::StatusOr<RegisteredClient> ReadRegistration(const HttpResponse& response, absl::string_view registration_token) {
  if (response.status < 200 || response.status > 299) {
    const TokenError error = ReadErrorResponse(response, {}, absl::Now(), {registration_token});
    const bool passing = error.kind == TokenErrorKind::kTemporary || error.kind == TokenErrorKind::kRateLimited;
    return passing ? absl::UnavailableError(error.message) : absl::FailedPreconditionError(error.message);
  }
  const absl::StatusOr<Document> document = Document::ParseJson(response.body);
  if (!document.ok()) return Wrong(document.status().message());
  const absl::string_view id = document->TextAt("client_id"), secret = document->TextAt("client_secret");
  if (id.empty() || id.size() > kMaxIdBytes || !IsVisible(id)) return Wrong("`client_id` is missing or damaged");
  if (secret.size() > kMaxSecretBytes || !IsVisible(secret)) return Wrong("`client_secret` is damaged");
  RegisteredClient client;
  client.client_id = std::string(id);
  client.client_secret = storage::SecretBytes::CopyOf(secret);
  const absl::string_view method = document->TextAt("token_endpoint_auth_method");
  client.authentication = method.empty() ? secret.empty() ? v1::OAUTH_CLIENT_AUTHENTICATION_NONE
                                                          : v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC
                                         : AuthenticationByName(method);
  if (client.authentication == v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED) {
    return Wrong("it registers a client authentication that Keyferry does not know");
  }
  const bool needs_secret = client.authentication == v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_BASIC ||
                            client.authentication == v1::OAUTH_CLIENT_AUTHENTICATION_CLIENT_SECRET_POST;
  if (needs_secret && secret.empty()) return Wrong("`client_secret` is missing");
  int64_t expires = 0;
  if (absl::SimpleAtoi(document->TextAt("client_secret_expires_at"), &expires) && expires > 0 && !secret.empty()) {
    client.secret_expire_time = absl::FromUnixSeconds(expires);
    client.notes.push_back(absl::StrCat("the client secret ends at ",
                                        absl::FormatTime(client.secret_expire_time, absl::UTCTimeZone()),
                                        "; register the client anew before"));
  }
  return client;
}

void RegisterClient(HttpClient* http, absl::string_view url, RegistrationRequest request, absl::Duration timeout,
                    Done done) {
  absl::StatusOr<std::string> body = Body(request);
  if (!body.ok()) return done(body.status());
  HttpRequest sent;
  sent.method = "POST";
  sent.url = std::string(url);
  sent.headers = {{"Accept", "application/json"}, {"Content-Type", "application/json"}};
  if (!request.registration_token.empty()) {
    sent.headers.emplace_back("Authorization", absl::StrCat("Bearer ", request.registration_token.Expose()));
  }
  sent.body = *std::move(body);
  auto token = std::make_shared<storage::SecretBytes>(std::move(request.registration_token));
  http->Send(std::move(sent), timeout, [token, done = std::move(done)](absl::StatusOr<HttpResponse> response) {
    if (response.ok()) return done(ReadRegistration(*response, token->Expose()));
    const TokenError error = ErrorOfSending(response.status());
    done(error.kind == TokenErrorKind::kRejected ? absl::FailedPreconditionError(error.message)
                                                 : absl::UnavailableError(error.message));
  });
}

}  // namespace keyferry::server
