#include "storage/backup/restore.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "storage/backup/backup_reader.h"
#include "storage/engine/rocksdb/rocksdb_engine.h"
#include "storage/header.h"
#include "storage/open.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

constexpr size_t kBatchBytes = size_t{1} << 20;
constexpr size_t kBatchEntries = 1000;
// How far the revisions of a restored store begin beyond those of the backup: further than the store that was lost can
// have come since, so that no revision is given twice.
constexpr Revision kRevisionGap = Revision{1} << 32;

bool Exists(const std::string& path) {
  struct stat info;
  return lstat(path.c_str(), &info) == 0;
}

absl::Status CheckTarget(const std::string& data_dir) {
  if (!Exists(data_dir)) return absl::OkStatus();
  RETURN_IF_ERROR(CheckPrivateDirectory(data_dir));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(data_dir));
  if (names.empty()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the data directory ", data_dir, " is not empty, it holds ",
                                                    names[0], ": restore to another directory, or move it away first"));
}

// The directory beside the target in which the store is made. It has nothing but what a store has, so that what a crash
// left is told apart from what somebody else put there.
class Workshop {
 public:
  static absl::StatusOr<Workshop> Make(const std::string& data_dir, const PrivateFiles& files) {
    Workshop workshop;
    workshop.path_ = data_dir + ".restoring";
    ASSIGN_OR_RETURN(workshop.place_, LockFile(workshop.path_ + ".lock", "restore"));
    if (Exists(workshop.path_)) RETURN_IF_ERROR(RemoveLeftover(workshop.path_, files));
    RETURN_IF_ERROR(files.MakeDirectory(workshop.path_));
    ASSIGN_OR_RETURN(workshop.lock_, LockFile(workshop.path_ + kLock, "restore"));
    return workshop;
  }

  const std::string& path() const { return path_; }
  // The store takes the lock from here on.
  void Unlock() { lock_.reset(); }

 private:
  static constexpr char kLock[] = "/keyferry.lock";

  static absl::Status RemoveLeftover(const std::string& path, const PrivateFiles& files) {
    RETURN_IF_ERROR(CheckPrivateDirectory(path));
    ASSIGN_OR_RETURN(const std::vector<std::string> names, ListDirectory(path));
    const std::set<std::string> known = {"db", "keyferry.lock", "keyferry.store"};
    for (const std::string& name : names) {
      if (known.count(name) != 0) continue;
      return absl::FailedPreconditionError(
          absl::StrCat(path, " is where a restore works, and holds ", name, ", which is none of its: move it away"));
    }
    ASSIGN_OR_RETURN(const std::shared_ptr<void> lock, LockFile(path + kLock, "restore"));
    return files.RemoveTree(path);
  }

  std::string path_;
  // Held beside the directory for as long as this lives: neither the other lock nor the store's covers the moments
  // between them, in which another restore would take the directory for a leftover.
  std::shared_ptr<void> place_;
  std::shared_ptr<void> lock_;
};

// Puts the entries into an engine in batches.
class Loader {
 public:
  Loader(Engine* engine, const PrivateFiles::Gate* gate) : engine_(engine), gate_(gate) {}

  absl::Status Add(absl::string_view key, absl::string_view value) {
    bytes_ += key.size() + value.size();
    batch_.writes.push_back({std::string(key), std::string(value)});
    return bytes_ >= kBatchBytes || batch_.writes.size() >= kBatchEntries ? Flush() : absl::OkStatus();
  }

  absl::Status Finish() {
    RETURN_IF_ERROR(Flush());
    return engine_->Sync();
  }

 private:
  absl::Status Flush() {
    if (batch_.writes.empty()) return absl::OkStatus();
    if (*gate_ != nullptr) RETURN_IF_ERROR((*gate_)("commit", ""));
    RETURN_IF_ERROR(engine_->Commit(batch_, Durability::kBuffered).status());
    batch_ = EngineBatch();
    bytes_ = 0;
    return absl::OkStatus();
  }

  Engine* const engine_;
  const PrivateFiles::Gate* const gate_;
  EngineBatch batch_;
  size_t bytes_ = 0;
};

absl::Status Load(const BackupReader& backup, const RestoreOptions& options, const std::string& directory) {
  RocksDbOptions rocksdb;
  rocksdb.path = directory + "/db";
  rocksdb.create = true;
  rocksdb.first_after = backup.manifest().revision + kRevisionGap;
  ASSIGN_OR_RETURN(const std::unique_ptr<Engine> engine, OpenRocksDbEngine(rocksdb));
  Loader loader(engine.get(), &options.gate);
  RETURN_IF_ERROR(backup.ForEachEntry(
      [&loader](absl::string_view key, absl::string_view value) { return loader.Add(key, value); }));
  RETURN_IF_ERROR(loader.Finish());
  ASSIGN_OR_RETURN(const std::optional<EngineEntry> header, engine->Snapshot()->Get(HeaderKey()));
  if (header.has_value() && header->value == backup.manifest().header) return absl::OkStatus();
  return absl::DataLossError("the backup's entries have not the header that its MANIFEST has: use another backup");
}

absl::Status VerifyStore(const RestoreOptions& options, const BackupManifest& manifest, const std::string& directory,
                         const KeyProvider& key_provider) {
  OpenOptions open;
  open.data_dir = directory;
  ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, OpenStore(open, key_provider));
  RETURN_IF_ERROR(store->Verify());
  if (options.inspect != nullptr) RETURN_IF_ERROR(options.inspect(manifest, *store));
  return store->Sync();
}

}  // namespace

absl::StatusOr<BackupManifest> RestoreBackup(const RestoreOptions& options, const KeyProvider& key_provider) {
  const PrivateFiles files(options.gate);
  const std::string data_dir(absl::StripSuffix(options.data_dir, "/"));
  RETURN_IF_ERROR(CheckTarget(data_dir));
  ASSIGN_OR_RETURN(const BackupReader backup, BackupReader::Open(options.backup, key_provider));
  RETURN_IF_ERROR(backup.VerifyFiles());

  ASSIGN_OR_RETURN(Workshop workshop, Workshop::Make(data_dir, files));
  absl::Cleanup remove_workshop = [&] { PrivateFiles().RemoveTree(workshop.path()).IgnoreError(); };
  RETURN_IF_ERROR(Load(backup, options, workshop.path()));
  workshop.Unlock();
  RETURN_IF_ERROR(VerifyStore(options, backup.manifest(), workshop.path(), key_provider));
  if (options.check_only) return backup.manifest();
  RETURN_IF_ERROR(files.SyncDirectory(workshop.path()));
  RETURN_IF_ERROR(files.Rename(workshop.path(), data_dir));
  std::move(remove_workshop).Cancel();
  RETURN_IF_ERROR(files.SyncDirectory(ParentOf(data_dir)));
  return backup.manifest();
}

}  // namespace keyferry::storage
