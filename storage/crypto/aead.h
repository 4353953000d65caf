#ifndef KEYFERRY_STORAGE_CRYPTO_AEAD_H_
#define KEYFERRY_STORAGE_CRYPTO_AEAD_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "openssl/aead.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// AES-256-GCM-SIV (RFC 8452) under one key, with the nonce drawn at random for each seal. Thread-safe.
//
// A repeated nonce shows only whether two messages with equal associated data are equal, so random 96-bit nonces stay
// safe far beyond the 2^32 seals at which keys are rotated (RFC 8452 section 9). It does not hide the plaintext's
// length.
class Aead {
 public:
  static constexpr size_t kKeySize = 32;
  static constexpr size_t kNonceSize = 12;
  static constexpr size_t kTagSize = 16;
  // What a sealed message is longer than its plaintext.
  static constexpr size_t kOverhead = kNonceSize + kTagSize;

  // INVALID_ARGUMENT if the key is not 32 bytes.
  static absl::StatusOr<std::unique_ptr<const Aead>> Create(const SecretBytes& key);
  ~Aead();
  Aead(const Aead&) = delete;
  Aead& operator=(const Aead&) = delete;

  // Appends nonce, ciphertext and tag to `out`.
  void SealTo(absl::string_view plaintext, absl::string_view associated_data, std::string& out) const;

  // Opens what SealTo appended. DATA_LOSS if it does not authenticate: another key, other associated data, or changed
  // bytes; which of them cannot be known.
  absl::StatusOr<SecretBytes> Open(absl::string_view sealed, absl::string_view associated_data) const;

  // Opens into the caller's buffer, which must be exactly sealed.size() - kOverhead bytes. Whatever the error, nothing
  // of the plaintext is left in it: all of it is overwritten with zeros.
  absl::Status OpenInto(absl::string_view sealed, absl::string_view associated_data,
                        absl::Span<uint8_t> plaintext) const;

 private:
  friend class AeadVectorAccess;  // testonly: published vectors come with their nonces

  Aead() = default;
  void SealWithNonce(absl::string_view nonce, absl::string_view plaintext, absl::string_view associated_data,
                     std::string& out) const;

  EVP_AEAD_CTX context_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_AEAD_H_
