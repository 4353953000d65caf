#ifndef KEYFERRY_STORAGE_CRYPTO_PRF_H_
#define KEYFERRY_STORAGE_CRYPTO_PRF_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "openssl/sha.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// HMAC-SHA256 (RFC 2104, FIPS 180-4) truncated to 128 bits, under one key: turns names into engine keys that show
// nothing of them. The key's two pads are hashed once, so that a short input costs two blocks of SHA-256 and no
// allocation. Thread-safe.
class Prf {
 public:
  static constexpr size_t kKeySize = 32;
  static constexpr size_t kTagSize = 16;
  using Tag = std::array<char, kTagSize>;

  // The key must be at most 64 bytes.
  explicit Prf(const SecretBytes& key);
  ~Prf();
  Prf(const Prf&) = delete;
  Prf& operator=(const Prf&) = delete;

  // The tag of the parts' concatenation. Callers make the boundaries unambiguous.
  Tag Compute(absl::Span<const absl::string_view> parts) const;

 private:
  SHA256_CTX inner_;
  SHA256_CTX outer_;
};

// HKDF-SHA256 (RFC 5869) without salt: a 32-byte key for the purpose that `label` names.
SecretBytes DeriveKey(const SecretBytes& key, absl::string_view label);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_PRF_H_
