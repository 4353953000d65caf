#ifndef KEYFERRY_STORAGE_CRYPTO_WRAPPING_H_
#define KEYFERRY_STORAGE_CRYPTO_WRAPPING_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// The form of every wrapped root key (storage/FORMAT.md, "Wrapped root key"):
//   "KFWR" | format (1) | kind (1) | size of parameters (1) | parameters | nonce (12) | ciphertext | tag (16)
// All that stands before the nonce is authenticated, together with the caller's associated data.
enum class WrapKind : uint8_t {  // Persisted: never renumber.
  kFile = 1,                     // no parameters
  kPassphrase = 2,               // log2 N (1) | r (1) | p (1) | salt (16)
  kFake = 255,                   // tests
};

struct WrappedParts {
  WrapKind kind;
  absl::string_view parameters;
  absl::string_view sealed;
  // What stands before `sealed`.
  absl::string_view header;
};

// Seals `root_key` under a 32-byte key-encryption key.
absl::StatusOr<std::string> WrapWith(const SecretBytes& kek, WrapKind kind, absl::string_view parameters,
                                     const SecretBytes& root_key, absl::string_view associated_data);

// Takes the form apart. PERMISSION_DENIED if it is not one, or of another kind than `expected`: the message names both.
absl::StatusOr<WrappedParts> ParseWrapped(absl::string_view wrapped, WrapKind expected);

// PERMISSION_DENIED if `kek` did not seal it, or if any of it was changed.
absl::StatusOr<SecretBytes> UnwrapWith(const SecretBytes& kek, const WrappedParts& parts,
                                       absl::string_view associated_data);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_WRAPPING_H_
