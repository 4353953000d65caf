#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_REGISTRATION_RESPONSE_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_REGISTRATION_RESPONSE_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/registration.h"

namespace keyferry::server {

// The client that a response registers (RFC 7591, section 3.2.1), or the error that it is: FAILED_PRECONDITION, or
// UNAVAILABLE for 5xx and 429. The provider's words are not repeated where they hold the registration token.
absl::StatusOr<RegisteredClient> ReadRegistration(const HttpResponse& response, absl::string_view registration_token);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_REGISTRATION_RESPONSE_H_
