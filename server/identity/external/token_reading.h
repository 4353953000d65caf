#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_TOKEN_READING_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_TOKEN_READING_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/identity/external/identity_trust.h"
#include "server/identity/external_identity.h"
#include "server/identity/jwt/jwt.h"

namespace keyferry::server {

// What a token says that was verified, and by what of its issuer's configuration and keys.
struct ReadToken {
  ExternalIdentity identity;
  // The token's end, kJwtLeeway included.
  absl::Time expire_time;
  std::shared_ptr<TrustedIssuer> issuer;
  // Fingerprint of the key that verified it.
  std::string key;
  JwtAlgorithm algorithm = JwtAlgorithm::kRs256;
  // Its audience that counted, and its `azp`, "" if none.
  std::string audience;
  std::string authorized_party;
};

// Against what a token was read that was refused; null as far as it did not come.
struct TokenAttempt {
  std::shared_ptr<TrustedIssuer> issuer;
  std::shared_ptr<const JwkSet> keys;
  // A signature was looked at.
  bool verified = false;
};

// Reads and verifies a token. For whom and until when it is is looked at first, which costs no signature; whom it
// names, only once that holds. INVALID_ARGUMENT and PERMISSION_DENIED say why it is refused, NOT_FOUND that the issuer
// has no such key, UNAVAILABLE that its keys are not there.
absl::StatusOr<ReadToken> ReadTokenOf(const IdentityTrust& trust, absl::string_view token, absl::Time now,
                                      TokenAttempt* attempt);

// Whether what was read holds by the configuration `issuer` as well, its keys and ReadsOtherwise aside.
bool StandsUnder(const ReadToken& token, const config::Issuer& issuer);

// Whether the claims of people say something else by one configuration than by the other, so that nobody can say who
// they are without the token.
bool ReadsOtherwise(const config::Issuer& before, const config::Issuer& issuer);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_TOKEN_READING_H_
