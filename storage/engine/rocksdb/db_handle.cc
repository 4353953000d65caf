#include "storage/engine/rocksdb/db_handle.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "rocksdb/file_system.h"
#include "storage/engine/rocksdb/db_options.h"
#include "storage/engine/rocksdb/format.h"
#include "storage/engine/rocksdb/guard.h"
#include "storage/engine/rocksdb/guarded_fs.h"
#include "storage/engine/rocksdb/status.h"

namespace keyferry::storage {
namespace {

enum class Found { kNothing, kDatabase };

// RocksDB would start a new database over the files of an old one whose CURRENT file is gone. A manifest alone is what
// an interrupted creation leaves.
absl::StatusOr<Found> Examine(rocksdb::Env& env, const std::string& path) {
  std::vector<std::string> names;
  const rocksdb::Status listed = env.GetChildren(path, &names);
  if (listed.IsNotFound() || listed.IsPathNotFound()) return Found::kNothing;
  if (!listed.ok()) return FromRocksDb(listed, absl::StrCat("reading ", path));
  if (std::find(names.begin(), names.end(), "CURRENT") != names.end()) return Found::kDatabase;
  for (const std::string& name : names) {
    if (absl::EndsWith(name, ".sst") || absl::EndsWith(name, ".log")) {
      return absl::DataLossError(absl::StrCat("the file CURRENT is missing from ", path, ", which holds ", name,
                                              "; restore the data directory from a backup"));
    }
  }
  return Found::kNothing;
}

// Keeps others out from before the files are read; RocksDB's own lock comes later.
class DirectoryLock {
 public:
  DirectoryLock(rocksdb::Env& env, std::string file) : env_(env), file_(std::move(file)) {}
  ~DirectoryLock() { Release(); }

  rocksdb::Status Acquire() { return env_.LockFile(file_, &lock_); }
  void Release() {
    if (lock_ != nullptr) env_.UnlockFile(lock_).PermitUncheckedError();
    lock_ = nullptr;
  }

 private:
  rocksdb::Env& env_;
  const std::string file_;
  rocksdb::FileLock* lock_ = nullptr;
};

}  // namespace

absl::StatusOr<std::shared_ptr<DbHandle>> DbHandle::Open(const std::string& path, bool create, size_t memory_budget,
                                                         std::shared_ptr<rocksdb::FileSystem> file_system) {
  if (file_system == nullptr) file_system = rocksdb::FileSystem::Default();
  const std::unique_ptr<rocksdb::Env> plain = rocksdb::NewCompositeEnv(file_system);
  const absl::StatusOr<Found> found = Examine(*plain, path);
  if (!found.ok()) return found.status();
  if (*found == Found::kNothing && !create) return absl::NotFoundError(absl::StrCat("there is no database in ", path));

  Guard guard;
  if (*found == Found::kDatabase) {
    DirectoryLock lock(*plain, path + "/LOCK");
    if (rocksdb::Status locked = lock.Acquire(); !locked.ok()) return FromRocksDb(locked, "locking the database");
    absl::StatusOr<Guard> checked = CheckGuardedFiles(*plain, path);
    if (!checked.ok()) return checked.status();
    guard = *std::move(checked);
  }

  auto guarded = std::make_shared<GuardedFs>(file_system, path, std::move(guard));
  std::shared_ptr<DbHandle> handle(new DbHandle(path, rocksdb::NewCompositeEnv(guarded)));
  rocksdb::Options options = EngineDbOptions(memory_budget);
  options.env = &handle->env();
  options.listeners.push_back(handle->compactions_);
  options.create_if_missing = *found == Found::kNothing;
  rocksdb::DB* db = nullptr;
  if (const rocksdb::Status opened = rocksdb::DB::Open(options, path, &db); !opened.ok()) {
    return FromRocksDb(opened, absl::StrCat("opening the database in ", path));
  }
  handle->db_.reset(db);
  if (absl::Status dropped = handle->DropOldLogs(); !dropped.ok()) return dropped;
  return handle;
}

absl::StatusOr<bool> DbHandle::HasOldLogs() const {
  std::unique_ptr<rocksdb::LogFile> current;
  if (rocksdb::Status read = db_->GetCurrentWalFile(&current); !read.ok()) return FromRocksDb(read, "opening the log");
  // RocksDB's own list of logs leaves out one whose first record is torn.
  std::vector<std::string> files;
  if (rocksdb::Status read = env_->GetChildren(path_, &files); !read.ok()) return FromRocksDb(read, "listing the logs");
  return std::any_of(files.begin(), files.end(), [&](absl::string_view name) {
    uint64_t number = 0;
    return absl::ConsumeSuffix(&name, ".log") && absl::SimpleAtoi(name, &number) && number != current->LogNumber();
  });
}

absl::Status DbHandle::DropOldLogs() {
  absl::StatusOr<bool> old = HasOldLogs();
  if (!old.ok() || !*old) return old.status();
  // Only a flush of something makes the logs before it obsolete. Nothing may go to the new log before: a torn one that
  // is not the last would be taken for damage.
  std::string meta;
  const rocksdb::Slice key(kMetaKey.data(), kMetaKey.size());
  rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), key, &meta);
  if (status.IsNotFound()) meta = EncodeMeta(0);
  if (status.ok() || status.IsNotFound()) {
    rocksdb::WriteOptions options;
    options.disableWAL = true;
    status = db_->Put(options, key, meta);
  }
  if (status.ok()) status = db_->Flush(rocksdb::FlushOptions());
  if (status.ok()) status = db_->DisableFileDeletions();
  if (status.ok()) status = db_->EnableFileDeletions(/*force=*/false);
  if (!status.ok()) return FromRocksDb(status, "flushing");
  old = HasOldLogs();
  if (!old.ok() || !*old) return old.status();
  return absl::UnavailableError(absl::StrCat("a log that is no longer needed cannot be deleted from ", path_));
}

DbHandle::~DbHandle() {
  if (db_ == nullptr) return;
  // A failure loses nothing: the log has it all.
  if (!abandoned_) db_->Flush(rocksdb::FlushOptions()).PermitUncheckedError();
  db_->Close().PermitUncheckedError();
}

absl::StatusOr<Revision> DbHandle::ReadRevisionBound() const {
  std::string meta;
  const rocksdb::Status read =
      db_->Get(rocksdb::ReadOptions(), rocksdb::Slice(kMetaKey.data(), kMetaKey.size()), &meta);
  if (read.IsNotFound()) {
    std::unique_ptr<rocksdb::Iterator> any(db_->NewIterator(rocksdb::ReadOptions()));
    any->SeekToFirst();
    if (!any->status().ok()) return FromRocksDb(any->status(), "reading the first key");
    if (any->Valid()) return absl::DataLossError(absl::StrCat("the database in ", path_, " has lost its revision"));
    return Revision{0};
  }
  if (!read.ok()) return FromRocksDb(read, "reading the bound of revisions");
  if (meta.empty() || meta[0] != kEngineFormatVersion) {
    return absl::FailedPreconditionError(absl::StrCat("the database in ", path_,
                                                      " was written in a format that this version does not know; use "
                                                      "the version that wrote it, or a newer one"));
  }
  if (meta.size() != 1 + kRevisionBytes) {
    return absl::DataLossError(absl::StrCat("the revision of the database in ", path_, " is malformed"));
  }
  return DecodeRevision(meta.data() + 1);
}

const rocksdb::Snapshot* DbHandle::AcquireSnapshot() {
  // Under the lock, so that a snapshot is counted before a purge can look.
  absl::MutexLock lock(&mu_);
  const rocksdb::Snapshot* snapshot = db_->GetSnapshot();
  snapshots_.insert(snapshot->GetSequenceNumber());
  return snapshot;
}

void DbHandle::ReleaseSnapshot(const rocksdb::Snapshot* snapshot) {
  absl::MutexLock lock(&mu_);
  snapshots_.erase(snapshots_.find(snapshot->GetSequenceNumber()));
  db_->ReleaseSnapshot(snapshot);
}

bool DbHandle::AwaitNoSnapshotBefore(rocksdb::SequenceNumber sequence, absl::Time deadline) {
  absl::MutexLock lock(&mu_);
  const auto none = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return snapshots_.empty() || *snapshots_.begin() >= sequence;
  };
  return mu_.AwaitWithDeadline(absl::Condition(&none), deadline);
}

}  // namespace keyferry::storage
