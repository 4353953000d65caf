#include "storage/crypto/prf.h"

#include <cstdlib>
#include <cstring>

#include "openssl/digest.h"
#include "openssl/hkdf.h"

namespace keyferry::storage {
namespace {

void StartWithPad(const SecretBytes& key, uint8_t pad, SHA256_CTX& context) {
  uint8_t block[SHA256_CBLOCK];
  std::memset(block, pad, sizeof(block));
  const absl::string_view bytes = key.Expose();
  for (size_t i = 0; i < bytes.size(); ++i) block[i] ^= static_cast<uint8_t>(bytes[i]);
  SHA256_Init(&context);
  SHA256_Update(&context, block, sizeof(block));
  WipeMemory(block, sizeof(block));
}

}  // namespace

Prf::Prf(const SecretBytes& key) {
  if (key.size() > SHA256_CBLOCK) std::abort();
  StartWithPad(key, 0x36, inner_);
  StartWithPad(key, 0x5c, outer_);
}

Prf::~Prf() {
  WipeMemory(&inner_, sizeof(inner_));
  WipeMemory(&outer_, sizeof(outer_));
}

Prf::Tag Prf::Compute(absl::Span<const absl::string_view> parts) const {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256_CTX context = inner_;
  for (absl::string_view part : parts) SHA256_Update(&context, part.data(), part.size());
  SHA256_Final(digest, &context);
  context = outer_;
  SHA256_Update(&context, digest, sizeof(digest));
  SHA256_Final(digest, &context);
  Tag tag;
  std::memcpy(tag.data(), digest, tag.size());
  return tag;
}

SecretBytes DeriveKey(const SecretBytes& key, absl::string_view label) {
  SecretBytes out(Prf::kKeySize);
  const absl::string_view bytes = key.Expose();
  if (HKDF(out.ExposeMutable().data(), out.size(), EVP_sha256(), reinterpret_cast<const uint8_t*>(bytes.data()),
           bytes.size(), /*salt=*/nullptr, 0, reinterpret_cast<const uint8_t*>(label.data()), label.size()) != 1) {
    std::abort();
  }
  return out;
}

}  // namespace keyferry::storage
