#ifndef KEYFERRY_SERVER_IDENTITY_JWT_JWK_SET_H_
#define KEYFERRY_SERVER_IDENTITY_JWT_JWK_SET_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "openssl/base.h"
#include "server/identity/jwt/jwt_algorithm.h"

namespace keyferry::server {

// A public key that verifies signatures of exactly one algorithm: an RSA key those of RS256, a P-256 key those of
// ES256, an Ed25519 key those of EdDSA. Immutable, thread-safe.
class VerificationKey {
 public:
  // RSA of 2048 to 8192 bits, `n` and `e` big-endian. Null if they are no such key.
  static std::unique_ptr<const VerificationKey> Rsa(absl::string_view n, absl::string_view e);
  // A point of P-256, 32 bytes each. Null if it is not on the curve.
  static std::unique_ptr<const VerificationKey> P256(absl::string_view x, absl::string_view y);
  // Null unless it is 32 bytes.
  static std::unique_ptr<const VerificationKey> Ed25519(absl::string_view x);

  ~VerificationKey();

  JwtAlgorithm algorithm() const { return algorithm_; }
  // SHA-256 of the key as SubjectPublicKeyInfo, 32 bytes.
  const std::string& fingerprint() const { return fingerprint_; }

  // Whether `signature`, as JWS spells it, is one of `message` under this key.
  bool Verify(absl::string_view message, absl::string_view signature) const;

 private:
  VerificationKey(JwtAlgorithm algorithm, bssl::UniquePtr<EVP_PKEY> key);

  const JwtAlgorithm algorithm_;
  const bssl::UniquePtr<EVP_PKEY> key_;
  std::string fingerprint_;
};

// The keys of an issuer (RFC 7517, RFC 8037, section 2). Immutable, thread-safe.
class JwkSet {
 public:
  static constexpr size_t kMaxKeys = 64;
  static constexpr size_t kMaxKeyIdBytes = 256;

  // Reads `{"keys": [...]}`, at most 256 KiB. A key is passed over if its type, curve or algorithm is not one that is
  // verified, or if its `use` or `key_ops` does not let it verify signatures. INVALID_ARGUMENT for a text that is no
  // such set, for more than kMaxKeys, for two keys of one id and algorithm, and for a key of a known type whose numbers
  // are none that may be used: a set that is half understood is not used. Messages hold none of the text.
  static absl::StatusOr<std::unique_ptr<const JwkSet>> Parse(absl::string_view json);

  size_t size() const { return entries_.size(); }
  // Whether a key of that fingerprint is in the set.
  bool Contains(absl::string_view fingerprint) const;

  // The key that a signature names: of that algorithm and `key_id`; without an id (""), the only one of the algorithm.
  // Null if there is none.
  const VerificationKey* Find(JwtAlgorithm algorithm, absl::string_view key_id) const;

 private:
  struct Entry {
    std::string id;
    std::unique_ptr<const VerificationKey> key;
  };

  explicit JwkSet(std::vector<Entry> entries) : entries_(std::move(entries)) {}

  std::vector<Entry> entries_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_JWT_JWK_SET_H_
