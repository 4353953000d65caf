#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_AUTHORIZATION_URL_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_AUTHORIZATION_URL_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

struct AuthorizationRequest {
  std::string redirect_uri;
  std::string state;
  // BASE64URL(SHA256(verifier)) (RFC 7636, section 4.2); "" if PKCE is off.
  std::string code_challenge;
  // Instead of the provider's, if not empty.
  std::vector<std::string> scopes;
  UrlVariables variables;
};

// The URL that the browser is sent to (RFC 6749, section 4.1.1). INVALID_ARGUMENT names a URL variable that has no
// value or a wrong one.
absl::StatusOr<std::string> AuthorizationUrl(const v1::OauthProvider& provider, const AuthorizationRequest& request);

// Checks that each of the provider's URL variables has a value, its own or one of `variables`, which may name no
// others.
absl::Status CheckUrlVariables(const v1::OauthProvider& provider, const UrlVariables& variables,
                               absl::string_view field);

// What a provider sends the browser back with.
struct CallbackQuery {
  // Which attempt it belongs to; "" if it has none.
  std::string state;
  std::string code;
  // The provider's error, "" if there is a code; words from the provider, shortened and printable.
  std::string error;
  std::string error_description;
  // RFC 9207, "" if absent.
  std::string issuer;
  std::map<std::string, std::string> parameters;
};

// Reads the query of a callback, at most 16 KiB and 64 parameters. INVALID_ARGUMENT if it is malformed or has a
// parameter twice. The code is not looked for: its parameter's name is the provider's.
absl::StatusOr<CallbackQuery> ParseCallbackQuery(absl::string_view query);

// Fills `code` from the provider's parameter; FAILED_PRECONDITION, in words a person can act on, if the provider
// reports an error, names another issuer, or sent no code.
absl::Status TakeCode(const v1::OauthProvider& provider, CallbackQuery* query);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_AUTHORIZATION_URL_H_
