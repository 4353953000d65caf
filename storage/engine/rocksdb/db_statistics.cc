#include "storage/engine/rocksdb/db_statistics.h"

#include <sys/statvfs.h>

#include <memory>
#include <string>

#include "absl/strings/match.h"

namespace keyferry::storage {
namespace {

uint64_t Property(rocksdb::DB& db, const std::string& name) {
  uint64_t value = 0;
  return db.GetIntProperty(name, &value) ? value : 0;
}

// By the directory, since RocksDB's own list reads the head of every log.
uint64_t LogFileBytes(rocksdb::DB& db) {
  uint64_t sum = 0;
  std::vector<rocksdb::Env::FileAttributes> files;
  if (!db.GetEnv()->GetChildrenFileAttributes(db.GetName(), &files).ok()) return 0;
  for (const rocksdb::Env::FileAttributes& file : files) {
    if (absl::EndsWith(file.name, ".log")) sum += file.size_bytes;
  }
  return sum;
}

}  // namespace

void CompactionCounter::OnCompactionCompleted(rocksdb::DB* /*db*/, const rocksdb::CompactionJobInfo& info) {
  compactions_.Add();
  micros_.Add(info.stats.elapsed_micros);
  bytes_.Add(info.stats.total_output_bytes);
}

void CompactionCounter::AddTo(EngineStatistics* statistics) const {
  statistics->compactions = compactions_.Value();
  statistics->compaction_micros = micros_.Value();
  statistics->compacted_bytes = bytes_.Value();
}

void AddDbStatistics(rocksdb::DB& db, EngineStatistics* statistics) {
  using Properties = rocksdb::DB::Properties;
  statistics->table_file_bytes = Property(db, Properties::kTotalSstFilesSize);
  statistics->log_file_bytes = LogFileBytes(db);
  statistics->memtable_bytes = Property(db, Properties::kCurSizeAllMemTables);
  statistics->cache_bytes = Property(db, Properties::kBlockCacheUsage);
  statistics->estimated_keys = Property(db, Properties::kEstimateNumKeys);
  statistics->pending_compaction_bytes = Property(db, Properties::kEstimatePendingCompactionBytes);
  statistics->running_compactions = Property(db, Properties::kNumRunningCompactions);
  statistics->background_errors = Property(db, Properties::kBackgroundErrors);
  statistics->writes_stopped =
      Property(db, Properties::kIsWriteStopped) != 0 || Property(db, Properties::kActualDelayedWriteRate) != 0;
  struct statvfs info = {};
  if (statvfs(db.GetName().c_str(), &info) != 0) return;
  statistics->file_system_bytes = uint64_t{info.f_blocks} * info.f_frsize;
  // What a process without privileges may still use.
  statistics->file_system_free_bytes = uint64_t{info.f_bavail} * info.f_frsize;
}

}  // namespace keyferry::storage
