#include "storage/crypto/sha256.h"

#include <cstdint>

#include "openssl/sha.h"

namespace keyferry::storage {

Sha256Digest Sha256(absl::Span<const absl::string_view> parts) {
  SHA256_CTX context;
  SHA256_Init(&context);
  for (absl::string_view part : parts) SHA256_Update(&context, part.data(), part.size());
  Sha256Digest digest;
  SHA256_Final(reinterpret_cast<uint8_t*>(digest.data()), &context);
  return digest;
}

}  // namespace keyferry::storage
