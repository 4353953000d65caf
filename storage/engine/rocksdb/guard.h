#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_GUARD_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_GUARD_H_

#include <cstdint>
#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "rocksdb/env.h"

namespace keyferry::storage {

// Name of the file in the database's directory.
constexpr absl::string_view kGuardName = "GUARD";

// What RocksDB cannot tell of its own files: that a manifest was cut short, and that a log is missing. Both would show
// an older state without a word.
//
// The file is text: "keyferry-guard 1", then lines `manifest NAME BYTES CRC32C` and `log NAME BYTES`, then `check
// CRC32C` of all that precedes it; CRCs are 8 hexadecimal digits.
struct Guard {
  struct Extent {
    uint64_t bytes = 0;
    uint32_t crc = 0;
  };
  // How much of each manifest has been synced.
  std::map<std::string, Extent> manifests;
  // The logs that must be there, and how much of each had been synced when the next one was made; 0 until then.
  std::map<std::string, uint64_t> logs;

  std::string Encode() const;
  // DATA_LOSS if this is not what Encode wrote.
  static absl::StatusOr<Guard> Parse(absl::string_view text);
};

// Reads the guard of the database in `path` and checks the files against it: CURRENT, the manifest, the presence of the
// logs, and their content as far as LogState goes (what is known to be synced must be whole). DATA_LOSS names the file.
absl::StatusOr<Guard> CheckGuardedFiles(rocksdb::Env& env, const std::string& path);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_GUARD_H_
