#ifndef KEYFERRY_SERVER_IDENTITY_JWT_JWT_H_
#define KEYFERRY_SERVER_IDENTITY_JWT_JWT_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/identity/jwt/jwk_set.h"
#include "server/identity/jwt/jwt_algorithm.h"
#include "server/oauth/protocol/document.h"

namespace keyferry::server {

constexpr size_t kMaxJwtBytes = 16 << 10;

// How far the clocks of an issuer and of this server may differ.
constexpr absl::Duration kJwtLeeway = absl::Seconds(60);

// A JWS in compact form (RFC 7515, section 7.1), read and not verified: nothing in it may be believed.
struct Jws {
  Document header;
  // What is signed: the first two parts as they were presented.
  absl::string_view signing_input;
  std::string payload;
  std::string signature;

  std::string key_id() const;
};

// Whether the text has the outward form of a JWS: at most kMaxJwtBytes of base64url in three parts, the first two not
// empty. What has it need not be one.
bool LooksLikeJwt(absl::string_view text);

// Reads a text, which must outlive the result. INVALID_ARGUMENT for what is larger than kMaxJwtBytes or no such JWS,
// has a member twice, or a critical header (`crit`), none of which is understood.
absl::StatusOr<Jws> ParseJws(absl::string_view text);

// The key that VerifyJws verifies with; its errors, but for the signature.
absl::StatusOr<const VerificationKey*> ChooseKey(const Jws& jws, const std::vector<JwtAlgorithm>& allowed,
                                                 const JwkSet& keys);

// The key under which the signature holds. The algorithm is one of `allowed`, which says what its key must be: what the
// token names chooses among them and adds none. Keys in the header (`jwk`, `x5c`, `jku`, `x5u`) are not looked at.
// PERMISSION_DENIED for another algorithm or a signature that does not hold, NOT_FOUND if the set has no such key.
absl::StatusOr<const VerificationKey*> VerifyJws(const Jws& jws, const std::vector<JwtAlgorithm>& allowed,
                                                 const JwkSet& keys);

// What a token must say (RFC 7519, section 4.1; RFC 8725).
struct JwtExpectations {
  std::string issuer;
  // One of them must be among the token's.
  std::vector<std::string> audiences;
};

// The issuer that a token names, "" if none: only to choose by whose keys to verify it.
absl::StatusOr<std::string> UnverifiedIssuer(const Jws& jws);

// The claims of a payload that was verified.
struct VerifiedClaims {
  Document all;
  std::string subject;
  // The first of those expected that it is for, and how many it names in all.
  std::string audience;
  size_t audiences = 0;
  absl::Time expire_time;
  // `iat`; nullopt if it says none.
  std::optional<absl::Time> issue_time;
};

// Checks `iss` (exactly that), `aud` (one of them), `exp` (required), `nbf` and `iat` with kJwtLeeway, and `sub`
// (required, at most 256 bytes). PERMISSION_DENIED says which one is wrong.
absl::StatusOr<VerifiedClaims> CheckClaims(absl::string_view payload, const JwtExpectations& expected, absl::Time now);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_JWT_JWT_H_
