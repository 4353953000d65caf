#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_LOG_SCAN_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_LOG_SCAN_H_

#include "absl/strings/string_view.h"

namespace keyferry::storage {

enum class LogState {
  kWhole,
  // Ends in the middle of a record, as a power loss leaves a log whose end was not synced.
  kTorn,
  // Changed: something before the end is wrong.
  kDamaged,
};

// Judges the content of one of RocksDB's write-ahead logs (blocks of 32 KiB; records of masked CRC-32C, length and
// type, then data). Stricter than RocksDB, which takes a record whose length was changed, in the last block, for a torn
// end, and drops all that follow it.
LogState ScanLog(absl::string_view content);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_LOG_SCAN_H_
