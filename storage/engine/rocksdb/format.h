#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_FORMAT_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_FORMAT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "storage/engine/engine.h"

namespace keyferry::storage {

// What the engine writes to RocksDB's default column family:
//   key                  value
//   the engine's key     revision of the batch that wrote it (8 bytes, little-endian), then the engine's value
//   the empty key        format version (1 byte), then a revision (8 bytes, little-endian) that none is above
// The empty key is outside of the engine's key space (1 byte or more). It is raised in the batch of the first revision
// that would be above it, kRevisionsAhead further, and brought down to the newest revision when the engine is closed.
// So no revision of what is there is given again, and after a crash up to kRevisionsAhead are left out.
constexpr char kEngineFormatVersion = 1;
constexpr size_t kRevisionBytes = 8;
constexpr absl::string_view kMetaKey = "";
constexpr Revision kRevisionsAhead = 4096;

void EncodeRevision(Revision revision, char* out);
Revision DecodeRevision(const char* bytes);

std::string EncodeMeta(Revision bound);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_FORMAT_H_
