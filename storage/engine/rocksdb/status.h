#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_STATUS_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "rocksdb/status.h"

namespace keyferry::storage {

// Translates what RocksDB answered while it was doing `what` ("reading", "opening the database"); OK stays OK. RocksDB
// names the file in its own text, which is kept.
absl::Status FromRocksDb(const rocksdb::Status& status, absl::string_view what);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_STATUS_H_
