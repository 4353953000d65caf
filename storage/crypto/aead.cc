#include "storage/crypto/aead.h"

#include <cstdlib>

namespace keyferry::storage {
namespace {

const uint8_t* Bytes(absl::string_view text) { return reinterpret_cast<const uint8_t*>(text.data()); }

absl::Status NotAuthentic() { return absl::DataLossError("sealed bytes do not authenticate"); }

}  // namespace

absl::StatusOr<std::unique_ptr<const Aead>> Aead::Create(const SecretBytes& key) {
  if (key.size() != kKeySize) return absl::InvalidArgumentError("an AES-256-GCM-SIV key is 32 bytes");
  std::unique_ptr<Aead> aead(new Aead());
  EVP_AEAD_CTX_zero(&aead->context_);
  if (EVP_AEAD_CTX_init(&aead->context_, EVP_aead_aes_256_gcm_siv(), Bytes(key.Expose()), key.size(), kTagSize,
                        /*impl=*/nullptr) != 1) {
    return absl::ResourceExhaustedError("no memory for a key");
  }
  return aead;
}

Aead::~Aead() {
  EVP_AEAD_CTX_cleanup(&context_);
  // The expanded key is inside the context itself where the processor has AES instructions.
  WipeMemory(&context_, sizeof(context_));
}

void Aead::SealTo(absl::string_view plaintext, absl::string_view associated_data, std::string& out) const {
  uint8_t nonce[kNonceSize];
  RandomBytes(absl::MakeSpan(nonce));
  SealWithNonce(absl::string_view(reinterpret_cast<const char*>(nonce), kNonceSize), plaintext, associated_data, out);
}

void Aead::SealWithNonce(absl::string_view nonce, absl::string_view plaintext, absl::string_view associated_data,
                         std::string& out) const {
  out.append(nonce.data(), nonce.size());
  const size_t start = out.size();
  out.resize(start + plaintext.size() + kTagSize);
  size_t written = 0;
  // Fails only for sizes beyond what a record can have, or if the caller's buffer were too small: a defect, after which
  // going on could store plaintext.
  if (EVP_AEAD_CTX_seal(&context_, reinterpret_cast<uint8_t*>(&out[start]), &written, out.size() - start, Bytes(nonce),
                        nonce.size(), Bytes(plaintext), plaintext.size(), Bytes(associated_data),
                        associated_data.size()) != 1 ||
      written != out.size() - start) {
    std::abort();
  }
}

absl::StatusOr<SecretBytes> Aead::Open(absl::string_view sealed, absl::string_view associated_data) const {
  if (sealed.size() < kOverhead) return NotAuthentic();
  SecretBytes plaintext(sealed.size() - kOverhead);
  absl::Status status = OpenInto(sealed, associated_data, plaintext.ExposeMutable());
  if (!status.ok()) return status;
  return plaintext;
}

absl::Status Aead::OpenInto(absl::string_view sealed, absl::string_view associated_data,
                            absl::Span<uint8_t> plaintext) const {
  size_t written = 0;
  // BoringSSL does not accept a null output even for an empty plaintext.
  uint8_t nothing = 0;
  uint8_t* out = plaintext.empty() ? &nothing : plaintext.data();
  if (sealed.size() >= kOverhead && plaintext.size() == sealed.size() - kOverhead &&
      EVP_AEAD_CTX_open(&context_, out, &written, plaintext.size(), Bytes(sealed), kNonceSize,
                        Bytes(sealed) + kNonceSize, sealed.size() - kNonceSize, Bytes(associated_data),
                        associated_data.size()) == 1 &&
      written == plaintext.size()) {
    return absl::OkStatus();
  }
  WipeMemory(plaintext.data(), plaintext.size());
  return NotAuthentic();
}

}  // namespace keyferry::storage
