#ifndef KEYFERRY_STORAGE_CRYPTO_ED25519_H_
#define KEYFERRY_STORAGE_CRYPTO_ED25519_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// Signs with Ed25519 (RFC 8032, section 5.1: pure, without a context) under one private key. Thread-safe.
//
// The signature of a message under a key is always the same. Callers separate what a key signs by a prefix of the
// message.
class Ed25519Signer {
 public:
  // A private key is 32 random bytes, e.g. of RandomBytes.
  static constexpr size_t kPrivateKeySize = 32;
  static constexpr size_t kPublicKeySize = 32;
  static constexpr size_t kSignatureSize = 64;

  // INVALID_ARGUMENT if the key is not 32 bytes.
  static absl::StatusOr<std::unique_ptr<const Ed25519Signer>> Create(const SecretBytes& private_key);
  Ed25519Signer(const Ed25519Signer&) = delete;
  Ed25519Signer& operator=(const Ed25519Signer&) = delete;

  // 32 bytes.
  const std::string& public_key() const { return public_key_; }

  // 64 bytes.
  std::string Sign(absl::string_view message) const;

 private:
  Ed25519Signer() = default;

  // The private key and the public key, as BoringSSL keeps them.
  SecretBytes expanded_;
  std::string public_key_;
};

// Whether `signature` is one of `message` under the key. False for keys and signatures of any other size, and for a
// signature whose S is not reduced (RFC 8032, section 5.1.7), so that nobody can make a second one from a first.
bool Ed25519Verify(absl::string_view public_key, absl::string_view message, absl::string_view signature);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_ED25519_H_
