#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_JWS_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_JWS_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/oauth/protocol/parameters.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/crypto/signing_key.h"

namespace keyferry::server {

// UNSPECIFIED is RS256, the definition's default.
storage::SignatureAlgorithm SignatureAlgorithmOf(v1::OauthSigningAlgorithm algorithm);
// "RS256", "PS256", "ES256" (RFC 7518, section 3.1).
absl::string_view AlgorithmName(v1::OauthSigningAlgorithm algorithm);

// A new private key for the algorithm, PKCS #8 DER.
storage::SecretBytes GenerateSigningKey(v1::OauthSigningAlgorithm algorithm);

// BASE64URL(SHA256(...)) of the public key (RFC 7638), which is its `kid` wherever the provider has given no other.
std::string KeyThumbprint(const storage::PublicKeyNumbers& key);

// A JSON Web Key Set (RFC 7517, section 5) of the public half of a PKCS #8 key. INVALID_ARGUMENT if it is no key of the
// algorithm.
absl::StatusOr<std::string> PublicJwks(absl::string_view pkcs8, v1::OauthSigningAlgorithm algorithm);

// The registered claims of a JWT (RFC 7519, section 4.1), and others as text.
struct JwtClaims {
  std::string issuer;
  std::string subject;
  std::string audience;
  absl::Time issued_at;
  absl::Time expires_at;
  // `jti`; "" leaves it out.
  std::string id;
  // None of them replaces a registered one.
  ParameterList others;
};

// A JWT signed as a JWS in compact form (RFC 7515, section 7.1). `key_id` is its `kid`; "": the key's thumbprint.
// INVALID_ARGUMENT if the key is not one of the algorithm.
absl::StatusOr<std::string> SignJwt(const storage::SigningKey& key, v1::OauthSigningAlgorithm algorithm,
                                    absl::string_view key_id, const JwtClaims& claims);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_JWS_H_
