#ifndef KEYFERRY_STORAGE_STORE_STATISTICS_H_
#define KEYFERRY_STORAGE_STORE_STATISTICS_H_

#include <cstdint>

#include "storage/engine/statistics.h"

namespace keyferry::storage {

// Figures for operators: since the store was opened, and now.
struct StoreStatistics {
  EngineStatistics engine;
  // Records that were sealed and opened, and those that did not open.
  uint64_t seals = 0;
  uint64_t opens = 0;
  uint64_t failed_opens = 0;
  // Commits that succeeded, collided with another, and failed otherwise.
  uint64_t commits = 0;
  uint64_t aborted_commits = 0;
  uint64_t failed_commits = 0;
  // Organizations whose records are being moved to a new data key.
  uint64_t rewraps_pending = 0;
  // Batches whose replaced values are still to be removed from the files.
  uint64_t purges_pending = 0;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_STORE_STATISTICS_H_
