#ifndef KEYFERRY_STORAGE_CRYPTO_SIGNING_KEY_H_
#define KEYFERRY_STORAGE_CRYPTO_SIGNING_KEY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// The digital signatures of JSON Web Algorithms (RFC 7518, section 3) that Keyferry makes. Not persisted.
enum class SignatureAlgorithm {
  // RSASSA-PKCS1-v1_5 with SHA-256 (section 3.3).
  kRs256,
  // RSASSA-PSS with SHA-256, MGF1 with SHA-256, and a salt of 32 bytes (section 3.5).
  kPs256,
  // ECDSA on P-256 with SHA-256; R and S of 32 bytes each, one after the other (section 3.4).
  kEs256,
};

// The public half of a key: its numbers, big-endian. An RSA key has `n` and `e`, without leading zeros; a P-256 key has
// `x` and `y`, of 32 bytes each.
struct PublicKeyNumbers {
  std::string n, e;
  std::string x, y;

  bool rsa() const { return !n.empty(); }
};

// A private key of RSA, 2048 to 4096 bits, or P-256. Thread-safe.
class SigningKey {
 public:
  // A new key, PKCS #8 DER (RFC 5958): RSA of 2048 bits for kRs256 and kPs256, else P-256.
  static SecretBytes Generate(SignatureAlgorithm algorithm);

  // From PKCS #8 DER, nothing after it. INVALID_ARGUMENT if it is no such key, or damaged.
  static absl::StatusOr<std::unique_ptr<const SigningKey>> FromPkcs8(absl::string_view der);

  virtual ~SigningKey() = default;

  virtual bool CanSign(SignatureAlgorithm algorithm) const = 0;
  virtual const PublicKeyNumbers& public_numbers() const = 0;

  // INVALID_ARGUMENT if the key is of the other kind.
  virtual absl::StatusOr<std::string> Sign(SignatureAlgorithm algorithm, absl::string_view message) const = 0;
};

// Whether `signature` is one of `message` under the key. False for keys that are of the other kind or no valid ones.
bool VerifySignature(const PublicKeyNumbers& key, SignatureAlgorithm algorithm, absl::string_view message,
                     absl::string_view signature);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_SIGNING_KEY_H_
