#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_GRANT_ASSERTION_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_GRANT_ASSERTION_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

// The assertion of a JWT-bearer grant (RFC 7523, section 2.1), signed with the provider's key. `token_url` is the
// audience unless the definition names another. INVALID_ARGUMENT if there is no key, or one of another algorithm.
absl::StatusOr<std::string> JwtGrantAssertion(const ProviderDefinition& provider, const UrlVariables& variables,
                                              absl::string_view token_url, absl::Time now);

// The assertion of a SAML 2.0 bearer grant (RFC 7522, section 2.1), in base64url, with an enveloped RSA-SHA256
// signature (XML Signature 1.1). It is written in exclusive canonical form to begin with, so that the text that is
// digested and signed is the text that is sent. INVALID_ARGUMENT if there is no RSA key, or a value holds a character
// that XML cannot.
absl::StatusOr<std::string> SamlGrantAssertion(const ProviderDefinition& provider, const UrlVariables& variables,
                                               absl::string_view token_url, absl::Time now);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_GRANT_ASSERTION_H_
