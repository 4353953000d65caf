#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_CRC32C_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_CRC32C_H_

#include <cstdint>

#include "absl/strings/string_view.h"

namespace keyferry::storage {

// CRC-32C (Castagnoli, RFC 3720 appendix B.4) of `data` appended to what has the CRC `crc` (0: nothing).
uint32_t ExtendCrc32c(uint32_t crc, absl::string_view data);

inline uint32_t Crc32c(absl::string_view data) { return ExtendCrc32c(0, data); }

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_CRC32C_H_
