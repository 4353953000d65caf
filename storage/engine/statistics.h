#ifndef KEYFERRY_STORAGE_ENGINE_STATISTICS_H_
#define KEYFERRY_STORAGE_ENGINE_STATISTICS_H_

#include <cstdint>

#include "storage/counters.h"

namespace keyferry::storage {

// Figures of an engine for operators: since it was opened, and now. What an engine does not know stays 0.
struct EngineStatistics {
  // Batches that were committed, and groups in which they were written together.
  uint64_t batches = 0;
  Latencies write_latency;
  Latencies sync_latency;
  uint64_t compactions = 0;
  uint64_t compaction_micros = 0;
  uint64_t compacted_bytes = 0;

  uint64_t table_file_bytes = 0;
  uint64_t log_file_bytes = 0;
  uint64_t memtable_bytes = 0;
  uint64_t cache_bytes = 0;
  uint64_t estimated_keys = 0;
  uint64_t pending_compaction_bytes = 0;
  uint64_t running_compactions = 0;
  uint64_t background_errors = 0;
  // Writes are being held back or stopped, since compaction does not keep up.
  bool writes_stopped = false;
  // A write or sync failed, and nothing is taken any more until the store is opened again.
  bool failed = false;

  // Of the file system that the files are on; 0 if that is not known.
  uint64_t file_system_bytes = 0;
  uint64_t file_system_free_bytes = 0;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_STATISTICS_H_
