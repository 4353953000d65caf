#ifndef KEYFERRY_STORAGE_BACKUP_FORMAT_H_
#define KEYFERRY_STORAGE_BACKUP_FORMAT_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"

namespace keyferry::storage {

// Constants of a backup's persisted form (storage/FORMAT.md, "Backup"), shared by writer and reader. Never change one
// without a new version.

constexpr uint32_t kBackupVersion = 1;
constexpr absl::string_view kManifestName = "MANIFEST";
constexpr absl::string_view kManifestMagic = "keyferry-backup";
// Label of what is derived from the root key.
constexpr absl::string_view kBackupMacLabel = "keyferry/1/backup-mac";

// The first bytes of each file of entries; then for each entry: size of the key (2) | size of the value (4) | key |
// value.
constexpr absl::string_view kEntriesMagic = "KEYFERRY-ENTRIES";
constexpr size_t kEntryHeaderSize = 6;
// As the engine has them.
constexpr size_t kMaxKeySize = 1024;
constexpr size_t kMaxValueSize = size_t{1} << 20;

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_BACKUP_FORMAT_H_
