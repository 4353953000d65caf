#ifndef KEYFERRY_STORAGE_BACKUP_MANIFEST_H_
#define KEYFERRY_STORAGE_BACKUP_MANIFEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/backup/backup_key.h"
#include "storage/crypto/sha256.h"

namespace keyferry::storage {

// What a backup says of itself. Its text form is readable, and shows nothing that the store keeps secret.
struct BackupManifest {
  struct File {
    std::string name;
    uint64_t bytes = 0;
    Sha256Digest sha256{};
  };

  // In hexadecimal digits: which store, and which backup of it.
  std::string store_id;
  std::string backup_id;
  // When the snapshot was taken, to the second.
  absl::Time time;
  uint64_t revision = 0;
  uint64_t entries = 0;
  // The store's serialized header (header.h): the wrapped root key.
  std::string header;
  std::vector<File> files;

  uint64_t TotalBytes() const;

  // The text with its MAC.
  std::string Encode(const BackupKey& key) const;

  // Takes a text apart without trusting it: nothing that this returns is authentic before Authenticate. DATA_LOSS says
  // what is malformed; FAILED_PRECONDITION if a later version wrote it.
  static absl::StatusOr<BackupManifest> Parse(absl::string_view text);

  // DATA_LOSS unless `text` is exactly what Encode writes of this manifest under `key`.
  absl::Status Authenticate(absl::string_view text, const BackupKey& key) const;

 private:
  std::string EncodeWithoutMac() const;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_BACKUP_MANIFEST_H_
