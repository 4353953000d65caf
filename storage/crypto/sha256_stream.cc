#include "storage/crypto/sha256_stream.h"

#include <cstdint>

namespace keyferry::storage {

Sha256Stream::Sha256Stream() { SHA256_Init(&context_); }

void Sha256Stream::Update(absl::string_view bytes) { SHA256_Update(&context_, bytes.data(), bytes.size()); }

Sha256Digest Sha256Stream::Finish() {
  Sha256Digest digest;
  SHA256_Final(reinterpret_cast<uint8_t*>(digest.data()), &context_);
  return digest;
}

}  // namespace keyferry::storage
