#include "storage/engine/rocksdb/db_options.h"

#include <algorithm>
#include <memory>

#include "rocksdb/cache.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/table.h"
#include "rocksdb/write_buffer_manager.h"

namespace keyferry::storage {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

rocksdb::BlockBasedTableOptions TableOptions(const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = cache;
  table.checksum = rocksdb::kXXH3;
  table.format_version = 5;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(/*bits_per_key=*/10));
  table.whole_key_filtering = true;
  // Indexes and filters are charged to the budget; those of the newest files stay, so that a lookup needs one block.
  table.cache_index_and_filter_blocks = true;
  table.cache_index_and_filter_blocks_with_high_priority = true;
  table.pin_l0_filter_and_index_blocks_in_cache = true;
  return table;
}

}  // namespace

rocksdb::Options EngineDbOptions(size_t memory_budget) {
  rocksdb::Options options;
  const std::shared_ptr<rocksdb::Cache> cache = rocksdb::NewLRUCache(
      memory_budget, /*num_shard_bits=*/4, /*strict_capacity_limit=*/false, /*high_pri_pool_ratio=*/0.5);
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(TableOptions(cache)));
  options.write_buffer_size = std::clamp(memory_budget / 8, 4 * kMiB, 64 * kMiB);
  options.max_write_buffer_number = 3;
  // Resolution asks for many records that are absent: a narrower scope's override that nobody set.
  options.memtable_whole_key_filtering = true;
  options.memtable_prefix_bloom_size_ratio = 0.05;
  options.write_buffer_manager =
      std::make_shared<rocksdb::WriteBufferManager>(std::max(memory_budget / 2, 16 * kMiB), cache);
  options.max_open_files = 1024;

  // Records are sealed, so nothing would compress.
  options.compression = rocksdb::kNoCompression;
  options.level_compaction_dynamic_level_bytes = true;
  // Purging a key rewrites the files that hold it: small files keep that cheap.
  options.target_file_size_base = 16 * kMiB;
  options.max_bytes_for_level_base = 128 * kMiB;
  options.max_background_jobs = 2;
  options.bytes_per_sync = kMiB;

  // A torn end of the log is what a power loss leaves of writes that nobody was told of; damage elsewhere refuses to
  // open.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  options.track_and_verify_wals_in_manifest = true;
  options.paranoid_checks = true;
  options.force_consistency_checks = true;
  options.verify_sst_unique_id_in_manifest = true;
  // Old logs are deleted, not kept or written over: they hold values that were purged.
  options.recycle_log_file_num = 0;
  options.WAL_ttl_seconds = 0;
  options.WAL_size_limit_MB = 0;

  // One commit writes at a time, so the writers' own concurrency only costs.
  options.allow_concurrent_memtable_write = false;
  options.enable_write_thread_adaptive_yield = false;

  options.info_log_level = rocksdb::InfoLogLevel::WARN_LEVEL;
  options.keep_log_file_num = 2;
  options.max_log_file_size = kMiB;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.skip_stats_update_on_db_open = true;
  return options;
}

}  // namespace keyferry::storage
