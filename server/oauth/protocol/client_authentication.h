#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_CLIENT_AUTHENTICATION_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_CLIENT_AUTHENTICATION_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/oauth/protocol/token_client.h"
#include "server/oauth/protocol/token_request.h"

namespace keyferry::server {

// The client's method; where the definition leaves it open, CLIENT_SECRET_BASIC with a secret and NONE without.
v1::OauthClientAuthentication AuthenticationOf(const v1::OauthClient& client);

// Lets the request say who the client is, by the provider's method and no other: RFC 6749, section 2.3.1 (Basic, body),
// RFC 7523, section 2.2 (private_key_jwt: `iss` and `sub` the client id, a random `jti`, one minute of life), RFC 8705,
// section 2 (client certificate). `token_url` is the audience unless the definition names another. INVALID_ARGUMENT if
// what the method needs is missing.
absl::Status AuthenticateClient(const ProviderDefinition& provider, absl::string_view token_url, absl::Time now,
                                TokenRequest* request);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_CLIENT_AUTHENTICATION_H_
