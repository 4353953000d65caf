#include "server/metrics/server_figures.h"

namespace keyferry::server {
namespace {

void WriteFiles(const storage::EngineStatistics& engine, metrics::Exposition* out) {
  out->Gauge("keyferry_store_bytes",
             "Size of the store by kind: table and log files, memtables and block cache in memory.");
  out->Sample(engine.table_file_bytes, {{"kind", "tables"}});
  out->Sample(engine.log_file_bytes, {{"kind", "log"}});
  out->Sample(engine.memtable_bytes, {{"kind", "memtables"}});
  out->Sample(engine.cache_bytes, {{"kind", "cache"}});
  out->Gauge("keyferry_store_filesystem_bytes", "Size of the file system that the store is on.");
  out->Sample(engine.file_system_bytes);
  out->Gauge("keyferry_store_filesystem_free_bytes", "What of it is free for the server.");
  out->Sample(engine.file_system_free_bytes);
  out->Gauge("keyferry_store_keys", "Estimated number of keys in the store: records, indexes and audit blocks.");
  out->Sample(engine.estimated_keys);
}

void WriteEngine(const storage::EngineStatistics& engine, metrics::Exposition* out) {
  out->Counter("keyferry_store_batches_total", "Batches that were written to the store's log.", engine.batches);
  out->Histogram("keyferry_store_write_duration_seconds",
                 "How long writing a group of batches to the log took, without its sync.");
  out->Sample(engine.write_latency);
  out->Histogram("keyferry_store_sync_duration_seconds",
                 "How long a sync of the log took, which every change waits for.");
  out->Sample(engine.sync_latency);
  out->Counter("keyferry_store_compactions_total", "Compactions that ended.", engine.compactions);
  out->Counter("keyferry_store_compaction_seconds_total", "Time that compactions took.");
  out->Sample(static_cast<double>(engine.compaction_micros) / 1e6);
  out->Counter("keyferry_store_compacted_bytes_total", "Bytes that compactions wrote.", engine.compacted_bytes);
  out->Gauge("keyferry_store_compaction_pending_bytes", "Bytes that compaction is behind.");
  out->Sample(engine.pending_compaction_bytes);
  out->Gauge("keyferry_store_compactions_running", "Compactions under way.");
  out->Sample(engine.running_compactions);
  out->Counter("keyferry_store_background_errors_total", "Errors of flushes and compactions.",
               engine.background_errors);
  out->Gauge("keyferry_store_writes_stopped", "1 while writes are held back because compaction does not keep up.",
             engine.writes_stopped ? 1 : 0);
  out->Gauge("keyferry_store_failed",
             "1 after a write or sync has failed: the store takes nothing more until a restart.",
             engine.failed ? 1 : 0);
}

}  // namespace

void WriteStoreFigures(const storage::StoreStatistics& store, metrics::Exposition* out) {
  WriteFiles(store.engine, out);
  WriteEngine(store.engine, out);
  out->Counter("keyferry_store_commits_total",
               "Commits by outcome; one that collided with another is made again by its caller.");
  out->Sample(store.commits, {{"outcome", "committed"}});
  out->Sample(store.aborted_commits, {{"outcome", "aborted"}});
  out->Sample(store.failed_commits, {{"outcome", "failed"}});
  out->Counter("keyferry_store_seals_total", "Records that were sealed.", store.seals);
  out->Counter("keyferry_store_opens_total",
               "Records that were opened, by outcome: failed is one that is not authentic.");
  out->Sample(store.opens, {{"outcome", "opened"}});
  out->Sample(store.failed_opens, {{"outcome", "failed"}});
  out->Gauge("keyferry_store_keyring_rewraps_pending",
             "Organizations whose records are still being moved to a new data key.");
  out->Sample(store.rewraps_pending);
  out->Gauge("keyferry_store_purges_pending", "Commits whose replaced values are still to be removed from the files.");
  out->Sample(store.purges_pending);
}

}  // namespace keyferry::server
