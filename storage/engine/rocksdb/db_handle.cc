#include "storage/engine/rocksdb/db_handle.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "rocksdb/file_system.h"
#include "storage/engine/rocksdb/db_options.h"
#include "storage/engine/rocksdb/format.h"
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
  if (!listed.ok()) return FromRocksDb(listed, "reading the data directory");
  if (std::find(names.begin(), names.end(), "CURRENT") != names.end()) return Found::kDatabase;
  for (const std::string& name : names) {
    if (absl::EndsWith(name, ".sst") || absl::EndsWith(name, ".log")) {
      return absl::DataLossError(absl::StrCat("the file CURRENT is missing from ", path, ", which holds ", name,
                                              "; restore the directory from a backup"));
    }
  }
  return Found::kNothing;
}

}  // namespace

absl::StatusOr<std::shared_ptr<DbHandle>> DbHandle::Open(const std::string& path, bool create, size_t memory_budget,
                                                         std::shared_ptr<rocksdb::FileSystem> file_system) {
  std::unique_ptr<rocksdb::Env> own_env;
  if (file_system != nullptr) own_env = rocksdb::NewCompositeEnv(file_system);
  std::shared_ptr<DbHandle> handle(new DbHandle(path, std::move(own_env)));

  const absl::StatusOr<Found> found = Examine(handle->env(), path);
  if (!found.ok()) return found.status();
  if (*found == Found::kNothing && !create) return absl::NotFoundError(absl::StrCat("there is no database in ", path));

  rocksdb::Options options = EngineDbOptions(memory_budget);
  options.env = &handle->env();
  options.create_if_missing = *found == Found::kNothing;
  rocksdb::DB* db = nullptr;
  if (const rocksdb::Status opened = rocksdb::DB::Open(options, path, &db); !opened.ok()) {
    return FromRocksDb(opened, "opening the database");
  }
  handle->db_.reset(db);
  if (absl::Status dropped = handle->DropOldLogs(); !dropped.ok()) return dropped;
  return handle;
}

absl::Status DbHandle::DropOldLogs() {
  std::unique_ptr<rocksdb::LogFile> current;
  if (rocksdb::Status read = db_->GetCurrentWalFile(&current); !read.ok()) return FromRocksDb(read, "opening the log");
  rocksdb::VectorLogPtr logs;
  if (rocksdb::Status read = db_->GetSortedWalFiles(logs); !read.ok()) return FromRocksDb(read, "listing the logs");
  const bool any = std::any_of(logs.begin(), logs.end(), [&](const std::unique_ptr<rocksdb::LogFile>& log) {
    return log->LogNumber() != current->LogNumber() && log->SizeFileBytes() > 0;
  });
  if (!any) return absl::OkStatus();
  // Only a flush of something makes the logs before it obsolete.
  std::string meta;
  const rocksdb::Slice key(kMetaKey.data(), kMetaKey.size());
  rocksdb::Status status = db_->Get(rocksdb::ReadOptions(), key, &meta);
  if (status.IsNotFound()) meta = EncodeMeta(0);
  if (status.ok() || status.IsNotFound()) status = db_->Put(rocksdb::WriteOptions(), key, meta);
  if (status.ok()) status = db_->Flush(rocksdb::FlushOptions());
  return FromRocksDb(status, "flushing");
}

DbHandle::~DbHandle() {
  if (db_ == nullptr) return;
  // A failure loses nothing: the log has it all.
  if (!abandoned_) db_->Flush(rocksdb::FlushOptions()).PermitUncheckedError();
  db_->Close().PermitUncheckedError();
}

absl::StatusOr<Revision> DbHandle::ReadNewestRevision() const {
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
  if (!read.ok()) return FromRocksDb(read, "reading the newest revision");
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
  const auto none = [&] { return snapshots_.empty() || *snapshots_.begin() >= sequence; };
  return mu_.AwaitWithDeadline(absl::Condition(&none), deadline);
}

}  // namespace keyferry::storage
