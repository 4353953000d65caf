#ifndef KEYFERRY_STORAGE_BACKUP_BACKUP_KEY_H_
#define KEYFERRY_STORAGE_BACKUP_BACKUP_KEY_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/key_provider.h"
#include "storage/crypto/prf.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// Authenticates the manifests of one store's backups: HMAC-SHA256, truncated to 16 bytes, under a key that is derived
// from the root key (storage/FORMAT.md, "Backup"). Whoever lacks the KEK can neither make nor change one. Thread-safe.
class BackupKey {
 public:
  explicit BackupKey(const SecretBytes& root_key);

  // Of the store whose serialized header this is. DATA_LOSS or FAILED_PRECONDITION if it is no header of ours,
  // PERMISSION_DENIED if the provider's KEK does not open it.
  static absl::StatusOr<std::shared_ptr<const BackupKey>> Unwrap(absl::string_view header,
                                                                 const KeyProvider& key_provider);

  // In hexadecimal digits.
  std::string Mac(absl::string_view text) const;

 private:
  const Prf prf_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_BACKUP_BACKUP_KEY_H_
