#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_STATISTICS_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_STATISTICS_H_

#include "rocksdb/db.h"
#include "rocksdb/listener.h"
#include "storage/counters.h"
#include "storage/engine/statistics.h"

namespace keyferry::storage {

// Counts what RocksDB does by itself. Thread-safe.
class CompactionCounter : public rocksdb::EventListener {
 public:
  void OnCompactionCompleted(rocksdb::DB* db, const rocksdb::CompactionJobInfo& info) override;
  const char* Name() const override { return "CompactionCounter"; }

  void AddTo(EngineStatistics* statistics) const;

 private:
  Counter compactions_;
  Counter micros_;
  Counter bytes_;
};

// Adds what the database knows of itself, its logs and the file system that it is on.
void AddDbStatistics(rocksdb::DB& db, EngineStatistics* statistics);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_STATISTICS_H_
