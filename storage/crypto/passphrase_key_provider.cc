#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "openssl/evp.h"
#include "storage/crypto/aead.h"
#include "storage/crypto/key_provider.h"
#include "storage/crypto/wrapping.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

constexpr size_t kMinPassphraseSize = 12;
constexpr size_t kSaltSize = 16;
constexpr uint8_t kLogCost = 17;
constexpr uint8_t kMaxLogCost = 20;
// A cost below this would be a downgrade by whoever can write to the store, not a choice that we ever made.
constexpr uint8_t kMinLogCost = 15;
constexpr uint8_t kBlockSize = 8;
constexpr uint8_t kParallelism = 1;

// The parameters of WrapKind::kPassphrase.
struct Cost {
  uint8_t log_n;
  absl::string_view salt;
};

absl::StatusOr<Cost> ParseCost(absl::string_view parameters) {
  if (parameters.size() != 3 + kSaltSize) {
    return absl::PermissionDeniedError("the wrapped root key has damaged scrypt parameters");
  }
  const uint8_t log_n = static_cast<uint8_t>(parameters[0]);
  if (log_n < kMinLogCost || log_n > kMaxLogCost || parameters[1] != kBlockSize || parameters[2] != kParallelism) {
    return absl::PermissionDeniedError("the wrapped root key asks for a scrypt cost outside of what is accepted");
  }
  return Cost{log_n, parameters.substr(3)};
}

class PassphraseKeyProvider : public KeyProvider {
 public:
  explicit PassphraseKeyProvider(SecretBytes passphrase) : passphrase_(std::move(passphrase)) {}

  std::string Description() const override { return "passphrase"; }

  absl::StatusOr<std::string> Wrap(const SecretBytes& root_key, absl::string_view associated_data) const override {
    const std::string salt = RandomString(kSaltSize);
    const char cost[] = {kLogCost, kBlockSize, kParallelism};
    ASSIGN_OR_RETURN(SecretBytes kek, DeriveKek(Cost{kLogCost, salt}));
    return WrapWith(kek, WrapKind::kPassphrase, absl::StrCat(absl::string_view(cost, sizeof(cost)), salt), root_key,
                    associated_data);
  }

  absl::StatusOr<SecretBytes> Unwrap(absl::string_view wrapped, absl::string_view associated_data) const override {
    ASSIGN_OR_RETURN(WrappedParts parts, ParseWrapped(wrapped, WrapKind::kPassphrase));
    ASSIGN_OR_RETURN(Cost cost, ParseCost(parts.parameters));
    ASSIGN_OR_RETURN(SecretBytes kek, DeriveKek(cost));
    return UnwrapWith(kek, parts, associated_data);
  }

 private:
  absl::StatusOr<SecretBytes> DeriveKek(const Cost& cost) const {
    const uint64_t n = uint64_t{1} << cost.log_n;
    // scrypt needs 128 * r * N bytes and a little more.
    const size_t max_memory = 128 * kBlockSize * n + (size_t{1} << 20);
    SecretBytes kek(Aead::kKeySize);
    const absl::string_view text = passphrase_.Expose();
    if (EVP_PBE_scrypt(text.data(), text.size(), reinterpret_cast<const uint8_t*>(cost.salt.data()), cost.salt.size(),
                       n, kBlockSize, kParallelism, max_memory, kek.ExposeMutable().data(), kek.size()) != 1) {
      return absl::ResourceExhaustedError(
          absl::StrCat("deriving the KEK from the passphrase needs ", max_memory >> 20, " MiB of memory"));
    }
    return kek;
  }

  const SecretBytes passphrase_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<KeyProvider>> MakePassphraseKeyProvider(SecretBytes passphrase) {
  if (passphrase.size() < kMinPassphraseSize) {
    return absl::InvalidArgumentError(
        absl::StrCat("the passphrase is shorter than ", kMinPassphraseSize, " bytes: choose a longer one"));
  }
  return std::make_unique<PassphraseKeyProvider>(std::move(passphrase));
}

}  // namespace keyferry::storage
