#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_GUARDED_FS_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_GUARDED_FS_H_

#include <memory>
#include <set>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "rocksdb/file_system.h"
#include "storage/engine/rocksdb/guard.h"

namespace keyferry::storage {

// The file system of one database, which keeps its guard: a manifest's sync is done once the guard has its new extent,
// a log is there once the guard lists it, and is deleted after the guard no longer does. Logs are synced before the
// next one is made, so that a power loss cannot take the end of one and leave the next. Thread-safe.
class GuardedFs : public rocksdb::FileSystemWrapper {
 public:
  // `guard` is what CheckGuardedFiles read, or empty for a new database.
  GuardedFs(const std::shared_ptr<rocksdb::FileSystem>& target, std::string path, Guard guard)
      : FileSystemWrapper(target), path_(std::move(path)), guard_(std::move(guard)) {}

  const char* Name() const override { return "GuardedFs"; }

  rocksdb::IOStatus NewWritableFile(const std::string& file, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteFile(const std::string& file, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;

 private:
  class Manifest;
  class Log;

  rocksdb::IOStatus NewLog(const std::string& file, const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, rocksdb::IODebugContext* dbg);
  rocksdb::IOStatus SaveExtent(const std::string& name, const Guard::Extent& extent) ABSL_LOCKS_EXCLUDED(mu_);
  // Replaces the guard's file as a whole.
  rocksdb::IOStatus Save() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  rocksdb::IOStatus SyncDirectory();

  const std::string path_;
  absl::Mutex mu_;
  Guard guard_ ABSL_GUARDED_BY(mu_);
  std::set<Log*> open_logs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_GUARDED_FS_H_
