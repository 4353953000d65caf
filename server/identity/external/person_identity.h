#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_PERSON_IDENTITY_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_PERSON_IDENTITY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/config/config.pb.h"
#include "server/identity/external_identity.h"
#include "server/identity/jwt/jwt.h"

namespace keyferry::server {

// What an ID token says, that a resource server must know (OpenID Connect Core 1.0, sections 2 and 3.1.3.7).
struct IdToken {
  ExternalIdentity identity;
  // `azp`, "" if there is none.
  std::string authorized_party;
  // `exp`, or earlier: when the token is as old as the issuer's configuration lets it become.
  absl::Time expire_time;
};

// Whose ID token the claims are, by the configuration of its issuer, which is complete. PERMISSION_DENIED says why it
// is none that is taken:
//
// - Its `typ` is another than JWT: an access token (RFC 9068) and a logout token are for somebody else. So is what has
//   `events`, `kubernetes.io`, or `cnf`, which a bearer would have to prove.
// - `azp` is there and no client id of the issuer, or missing where there are several audiences.
// - `iat` is missing, or too long ago.
// - A claim that is read has a value of another kind: the user's and the organization's is one text, those of roles and
//   teams are a text or a list of texts. A text is one value, whatever separators it holds.
// - The organization is not one of the issuer's; the user is no id as it stands (nothing is folded, so that two
//   subjects never become one user); an address is not verified or of another domain.
// - There is a claim of roles, and none of its values has one.
absl::StatusOr<IdToken> ReadIdToken(const Jws& jws, const VerifiedClaims& claims, const config::Issuer& issuer,
                                    absl::Time now);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_PERSON_IDENTITY_H_
