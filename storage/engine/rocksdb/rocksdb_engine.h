#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_ROCKSDB_ENGINE_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_ROCKSDB_ENGINE_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "storage/engine/engine.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace keyferry::storage {

struct RocksDbOptions {
  // Directory of the database; made if it does not exist and `create` is set (its parent must exist).
  std::string path;
  // Makes a new database if the directory holds none. Without it a missing database is NOT_FOUND.
  bool create = false;
  // A new database counts its revisions on from here.
  Revision first_after = 0;
  // Bytes of the block cache, with the memtables charged to it.
  size_t memory_budget = size_t{192} << 20;
  // Replaces the file system below RocksDB, for tests. Null: the operating system's.
  std::shared_ptr<rocksdb::FileSystem> file_system;
};

// Opens an engine that keeps its data in one RocksDB database. Views may outlive the engine; the directory stays locked
// until the last one is gone.
//
// Errors: NOT_FOUND (no database there and `create` is not set), FAILED_PRECONDITION (in use by another process, or
// written by a format that this version does not know), DATA_LOSS (a file is missing, truncated or changed; the message
// names it), RESOURCE_EXHAUSTED (disk full), PERMISSION_DENIED, UNAVAILABLE (I/O).
absl::StatusOr<std::unique_ptr<Engine>> OpenRocksDbEngine(const RocksDbOptions& options);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_ROCKSDB_ENGINE_H_
