#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_REGISTRATION_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_REGISTRATION_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/http/http_client.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {

struct RegistrationRequest {
  std::string redirect_uri;
  std::string client_name;
  std::vector<std::string> scopes;
  // Empty: AUTHORIZATION_CODE. A code grant asks for `refresh_token` as well.
  std::vector<v1::OauthGrantType> grant_types;
  // UNSPECIFIED leaves it to the server.
  v1::OauthClientAuthentication authentication = v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED;
  // JSON Web Key Set, for PRIVATE_KEY_JWT; "" without.
  std::string jwks;
  // Bearer token that the server may want ("initial access token"); empty without.
  storage::SecretBytes registration_token;
};

struct RegisteredClient {
  std::string client_id;
  // Empty for a public client and one that signs.
  storage::SecretBytes client_secret;
  // As the server registered it. Where it does not say: CLIENT_SECRET_BASIC with a secret (RFC 7591, section 2), NONE
  // without.
  v1::OauthClientAuthentication authentication = v1::OAUTH_CLIENT_AUTHENTICATION_UNSPECIFIED;
  // When the secret ends; infinite if never.
  absl::Time secret_expire_time = absl::InfiniteFuture();
  // What a person should know, e.g. that the secret ends.
  std::vector<std::string> notes;
};

// Registers a client (RFC 7591, section 3).
//
// FAILED_PRECONDITION: the server refuses or answers something else than a registration; the message says what it
// said. UNAVAILABLE: no answer, or one of 5xx or 429; whether a client was registered is not known. INVALID_ARGUMENT:
// `jwks` is no JSON. `done` may be called before this returns. The client must outlive the call.
void RegisterClient(HttpClient* http, absl::string_view url, RegistrationRequest request, absl::Duration timeout,
                    std::function<void(absl::StatusOr<RegisteredClient>)> done);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_REGISTRATION_H_
