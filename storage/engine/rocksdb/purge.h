#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_PURGE_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_PURGE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "storage/engine/rocksdb/db_handle.h"

namespace keyferry::storage {

// Removes from the files every value of `keys` that a snapshot at `sequence` or later cannot see: rewrites the files
// that may hold one and waits until the old files, logs included, are off the disk. `keys` are sorted and distinct.
//
// DEADLINE_EXCEEDED if an older snapshot, or a scan that uses an old file, lives on at the deadline. Work that has
// begun is finished beyond it.
absl::Status PurgeKeys(DbHandle& handle, const std::vector<std::string>& keys, rocksdb::SequenceNumber sequence,
                       absl::Time deadline);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_PURGE_H_
