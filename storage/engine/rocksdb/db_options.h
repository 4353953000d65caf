#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_OPTIONS_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_OPTIONS_H_

#include <cstddef>

#include "rocksdb/options.h"

namespace keyferry::storage {

// How the engine runs RocksDB: strict about damage, quiet in its log, and within `memory_budget` bytes for block cache,
// index and filter blocks and memtables together. The environment is left to the caller.
rocksdb::Options EngineDbOptions(size_t memory_budget);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_OPTIONS_H_
