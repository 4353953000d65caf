#include "storage/crypto/ed25519.h"

#include <cstdint>
#include <cstdlib>

#include "openssl/curve25519.h"

namespace keyferry::storage {
namespace {

static_assert(ED25519_PUBLIC_KEY_LEN == Ed25519Signer::kPublicKeySize);
static_assert(ED25519_SIGNATURE_LEN == Ed25519Signer::kSignatureSize);

const uint8_t* Bytes(absl::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

}  // namespace

absl::StatusOr<std::unique_ptr<const Ed25519Signer>> Ed25519Signer::Create(const SecretBytes& private_key) {
  if (private_key.size() != kPrivateKeySize) {
    return absl::InvalidArgumentError("an Ed25519 private key must be 32 bytes");
  }
  auto signer = std::unique_ptr<Ed25519Signer>(new Ed25519Signer());
  signer->expanded_ = SecretBytes(ED25519_PRIVATE_KEY_LEN);
  signer->public_key_.resize(kPublicKeySize);
  ED25519_keypair_from_seed(reinterpret_cast<uint8_t*>(&signer->public_key_[0]),
                            signer->expanded_.ExposeMutable().data(), Bytes(private_key.Expose()));
  return std::unique_ptr<const Ed25519Signer>(std::move(signer));
}

std::string Ed25519Signer::Sign(absl::string_view message) const {
  std::string signature(kSignatureSize, '\0');
  if (ED25519_sign(reinterpret_cast<uint8_t*>(&signature[0]), Bytes(message), message.size(),
                   Bytes(expanded_.Expose())) != 1) {
    std::abort();
  }
  return signature;
}

bool Ed25519Verify(absl::string_view public_key, absl::string_view message, absl::string_view signature) {
  if (public_key.size() != Ed25519Signer::kPublicKeySize || signature.size() != Ed25519Signer::kSignatureSize) {
    return false;
  }
  return ED25519_verify(Bytes(message), message.size(), Bytes(signature), Bytes(public_key)) == 1;
}

}  // namespace keyferry::storage
