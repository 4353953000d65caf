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
//   the empty key        format version (1 byte), then the newest revision (8 bytes, little-endian)
// The empty key is outside of the engine's key space (1 byte or more) and is part of every batch, so that the newest
// revision and the batch are there together or not at all.
constexpr char kEngineFormatVersion = 1;
constexpr size_t kRevisionBytes = 8;
constexpr absl::string_view kMetaKey = "";

void EncodeRevision(Revision revision, char* out);
Revision DecodeRevision(const char* bytes);

std::string EncodeMeta(Revision newest);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_FORMAT_H_
