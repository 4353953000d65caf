#ifndef KEYFERRY_STORAGE_ENVELOPE_H_
#define KEYFERRY_STORAGE_ENVELOPE_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/aead.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::storage {

// The sealed form of a record (storage/FORMAT.md, "Sealed record"):
//   format (1) | key id (4) | version (8) | nonce (12) | ciphertext | tag (16)
// Associated data: format | key id | version | the record's whole engine key, which is a keyed hash of org, table,
// parent and id. So a record opens only at its place, with its version and its key.
std::string SealRecord(const Aead& key, uint32_t key_id, absl::string_view engine_key, uint64_t version,
                       const SecretBytes& payload);

// The clear part of a sealed record; it authenticates only through OpenRecord.
struct SealedRecordHeader {
  uint32_t key_id = 0;
  uint64_t version = 0;
};
// DATA_LOSS if it is too short or of an unknown format.
absl::StatusOr<SealedRecordHeader> ParseSealedRecord(absl::string_view sealed);

// DATA_LOSS if it does not authenticate at `engine_key` under `key`.
absl::StatusOr<SecretBytes> OpenRecord(const Aead& key, absl::string_view engine_key, absl::string_view sealed);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENVELOPE_H_
