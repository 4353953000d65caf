#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_HANDLE_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_HANDLE_H_

#include <atomic>
#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "rocksdb/db.h"
#include "rocksdb/env.h"
#include "storage/engine/engine.h"
#include "storage/engine/rocksdb/db_statistics.h"
#include "storage/engine/rocksdb/entry_cache.h"

namespace keyferry::storage {

// An open database and the snapshots of it that are in use. Thread-safe. Shared by the engine and its views; closes the
// database when the last of them is gone.
class DbHandle {
 public:
  // Errors: see OpenRocksDbEngine. A null `file_system` stands for the operating system's.
  static absl::StatusOr<std::shared_ptr<DbHandle>> Open(const std::string& path, bool create, size_t memory_budget,
                                                        std::shared_ptr<rocksdb::FileSystem> file_system);
  // Flushes, so that the next open has no log to read.
  ~DbHandle();
  DbHandle(const DbHandle&) = delete;
  DbHandle& operator=(const DbHandle&) = delete;

  // Leaves out the flush at the end, as nothing can be written any more.
  void Abandon() { abandoned_ = true; }

  rocksdb::DB& db() const { return *db_; }
  rocksdb::Env& env() const { return *env_; }
  const std::string& path() const { return path_; }
  EntryCache& cache() { return cache_; }
  const CompactionCounter& compactions() const { return *compactions_; }

  // DATA_LOSS if the database does not hold what the engine writes into it, FAILED_PRECONDITION for a format version
  // that is not known; 0 for a new database.
  absl::StatusOr<Revision> ReadRevisionBound() const;

  const rocksdb::Snapshot* AcquireSnapshot() ABSL_LOCKS_EXCLUDED(mu_);
  void ReleaseSnapshot(const rocksdb::Snapshot* snapshot) ABSL_LOCKS_EXCLUDED(mu_);

  // Waits until no snapshot is older than `sequence`; false at the deadline.
  bool AwaitNoSnapshotBefore(rocksdb::SequenceNumber sequence, absl::Time deadline) ABSL_LOCKS_EXCLUDED(mu_);

 private:
  DbHandle(std::string path, std::unique_ptr<rocksdb::Env> env) : path_(std::move(path)), env_(std::move(env)) {}

  // Makes RocksDB give up the logs from before the open: it keeps those from which it read nothing, with what is torn
  // in them.
  absl::Status DropOldLogs();
  absl::StatusOr<bool> HasOldLogs() const;

  const std::string path_;
  const std::unique_ptr<rocksdb::Env> env_;
  std::unique_ptr<rocksdb::DB> db_;
  std::atomic<bool> abandoned_{false};
  EntryCache cache_;
  const std::shared_ptr<CompactionCounter> compactions_ = std::make_shared<CompactionCounter>();
  absl::Mutex mu_;
  std::multiset<rocksdb::SequenceNumber> snapshots_ ABSL_GUARDED_BY(mu_);
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_HANDLE_H_
