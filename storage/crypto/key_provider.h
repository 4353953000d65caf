#ifndef KEYFERRY_STORAGE_CRYPTO_KEY_PROVIDER_H_
#define KEYFERRY_STORAGE_CRYPTO_KEY_PROVIDER_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// Holds the key-encryption key (KEK) outside the store and wraps the store's root key with it. Thread-safe.
class KeyProvider {
 public:
  virtual ~KeyProvider() = default;

  // How the provider is named in messages, e.g. "file /etc/keyferry/kek". Never key material.
  virtual std::string Description() const = 0;

  // Seals `root_key`, bound to `associated_data`. The result carries what the provider needs to unwrap it again (for a
  // passphrase: salt and cost) and no secret.
  virtual absl::StatusOr<std::string> Wrap(const SecretBytes& root_key, absl::string_view associated_data) const = 0;

  // PERMISSION_DENIED: this KEK did not wrap it, or `wrapped` was changed.
  virtual absl::StatusOr<SecretBytes> Unwrap(absl::string_view wrapped, absl::string_view associated_data) const = 0;
};

// A KEK of 32 random bytes in a file (base64 text, one line) of mode 0600 or 0400. FAILED_PRECONDITION if the file can
// be read by others (see CheckSecretFile); INVALID_ARGUMENT if its content is not a KEK.
absl::StatusOr<std::unique_ptr<KeyProvider>> LoadFileKeyProvider(const std::string& path);

// Writes a new KEK file, mode 0600, synced. ALREADY_EXISTS rather than overwriting.
absl::Status CreateKekFile(const std::string& path);

// A KEK derived from a passphrase with scrypt (RFC 7914), N = 2^17, r = 8, p = 1 (128 MiB), salt of 16 random bytes per
// Wrap. Unwrap accepts costs up to N = 2^20 and refuses more. The passphrase is at least 12 bytes.
absl::StatusOr<std::unique_ptr<KeyProvider>> MakePassphraseKeyProvider(SecretBytes passphrase);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_CRYPTO_KEY_PROVIDER_H_
