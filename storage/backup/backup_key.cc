#include "storage/backup/backup_key.h"

#include "absl/strings/escaping.h"
#include "storage/backup/format.h"
#include "storage/header.h"
#include "storage/status_macros.h"

namespace keyferry::storage {

BackupKey::BackupKey(const SecretBytes& root_key) : prf_(DeriveKey(root_key, kBackupMacLabel)) {}

absl::StatusOr<std::shared_ptr<const BackupKey>> BackupKey::Unwrap(absl::string_view header,
                                                                   const KeyProvider& key_provider) {
  ASSIGN_OR_RETURN(const StoreHeader parsed, StoreHeader::Parse(header));
  ASSIGN_OR_RETURN(const SecretBytes root_key, UnwrapHeader(key_provider, parsed));
  return std::make_shared<const BackupKey>(root_key);
}

std::string BackupKey::Mac(absl::string_view text) const {
  const Prf::Tag tag = prf_.Compute({text});
  return absl::BytesToHexString(absl::string_view(tag.data(), tag.size()));
}

}  // namespace keyferry::storage
