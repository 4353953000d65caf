#ifndef KEYFERRY_SERVER_IDENTITY_JWT_TESTING_JWT_H_
#define KEYFERRY_SERVER_IDENTITY_JWT_TESTING_JWT_H_

#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/identity/jwt/jwt_algorithm.h"
#include "storage/crypto/ed25519.h"
#include "storage/crypto/signing_key.h"

namespace keyferry::server {

// Testonly. A key that signs tokens as an issuer does.
class TestJwtKey {
 public:
  TestJwtKey(JwtAlgorithm algorithm, std::string key_id);

  // Its public half as a JWK; `more` are further members, e.g. `,"use":"sig"`.
  std::string Jwk(absl::string_view more = "") const;
  // A JWS of these texts, whatever they are.
  std::string SignText(absl::string_view header, absl::string_view payload) const;
  // The same with the header of this key.
  std::string Sign(absl::string_view payload) const;

 private:
  std::string SignatureOf(absl::string_view message) const;

  const JwtAlgorithm algorithm_;
  const std::string key_id_;
  std::unique_ptr<const storage::SigningKey> key_;
  std::unique_ptr<const storage::Ed25519Signer> ed25519_;
};

// Testonly. `{"keys": [...]}` of JWKs with commas between them.
std::string TestJwks(absl::string_view keys);

// Testonly. The claims of a projected service-account token, `lifetime` long from `issued` on. A pod of "" leaves the
// pod out.
std::string TestServiceAccountClaims(absl::string_view issuer, absl::string_view name_space,
                                     absl::string_view service_account, absl::string_view pod,
                                     absl::string_view pod_uid, absl::Time issued,
                                     absl::Duration lifetime = absl::Hours(1));

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_JWT_TESTING_JWT_H_
