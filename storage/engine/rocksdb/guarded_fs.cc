#include "storage/engine/rocksdb/guarded_fs.h"

#include <atomic>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "storage/engine/rocksdb/crc32c.h"

namespace keyferry::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

std::string NameOf(const std::string& file) { return file.substr(file.rfind('/') + 1); }
bool IsManifest(const std::string& name) { return absl::StartsWith(name, "MANIFEST-"); }
bool IsLog(const std::string& name) { return absl::EndsWith(name, ".log"); }

}  // namespace

// RocksDB writes a manifest from one thread at a time.
class GuardedFs::Manifest : public rocksdb::FSWritableFileWrapper {
 public:
  Manifest(GuardedFs* fs, std::string name, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileWrapper(file.get()), fs_(fs), name_(std::move(name)), file_(std::move(file)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = file_->Append(data, options, dbg);
    if (status.ok()) {
      extent_.bytes += data.size();
      extent_.crc = ExtendCrc32c(extent_.crc, absl::string_view(data.data(), data.size()));
    }
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }
  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = file_->Sync(options, dbg);
    return status.ok() ? fs_->SaveExtent(name_, extent_) : status;
  }
  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override { return Sync(options, dbg); }

 private:
  GuardedFs* const fs_;
  const std::string name_;
  const std::unique_ptr<rocksdb::FSWritableFile> file_;
  Guard::Extent extent_;
};

class GuardedFs::Log : public rocksdb::FSWritableFileWrapper {
 public:
  Log(GuardedFs* fs, std::string name, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileWrapper(file.get()), fs_(fs), name_(std::move(name)), file_(std::move(file)) {}
  ~Log() override { Forget(); }

  const std::string& name() const { return name_; }
  uint64_t bytes() const { return bytes_; }

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    IOStatus status = file_->Append(data, options, dbg);
    if (status.ok()) bytes_ += data.size();
    return status;
  }
  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }

  IOStatus Close(const IOOptions& options, IODebugContext* dbg) override {
    Forget();
    return file_->Close(options, dbg);
  }

 private:
  void Forget() {
    absl::MutexLock lock(&fs_->mu_);
    fs_->open_logs_.erase(this);
  }

  GuardedFs* const fs_;
  const std::string name_;
  const std::unique_ptr<rocksdb::FSWritableFile> file_;
  std::atomic<uint64_t> bytes_{0};
};

IOStatus GuardedFs::NewWritableFile(const std::string& file, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) {
  const std::string name = NameOf(file);
  if (IsLog(name)) return NewLog(file, name, options, result, dbg);
  std::unique_ptr<rocksdb::FSWritableFile> opened;
  IOStatus status = target()->NewWritableFile(file, options, &opened, dbg);
  if (!status.ok()) return status;
  *result = IsManifest(name) ? std::make_unique<Manifest>(this, name, std::move(opened)) : std::move(opened);
  return status;
}

IOStatus GuardedFs::NewLog(const std::string& file, const std::string& name, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* result, IODebugContext* dbg) {
  absl::MutexLock lock(&mu_);
  for (Log* log : open_logs_) {
    const uint64_t bytes = log->bytes();
    if (IOStatus status = log->Sync(IOOptions(), dbg); !status.ok()) return status;
    if (const auto known = guard_.logs.find(log->name()); known != guard_.logs.end()) known->second = bytes;
  }
  std::unique_ptr<rocksdb::FSWritableFile> opened;
  if (IOStatus status = target()->NewWritableFile(file, options, &opened, dbg); !status.ok()) return status;
  // The guard must not list what a power loss could still take back.
  if (IOStatus status = SyncDirectory(); !status.ok()) return status;
  guard_.logs[name] = 0;
  if (IOStatus status = Save(); !status.ok()) return status;
  auto log = std::make_unique<Log>(this, name, std::move(opened));
  open_logs_.insert(log.get());
  *result = std::move(log);
  return IOStatus::OK();
}

IOStatus GuardedFs::DeleteFile(const std::string& file, const IOOptions& options, IODebugContext* dbg) {
  const std::string name = NameOf(file);
  if (IsManifest(name) || IsLog(name)) {
    absl::MutexLock lock(&mu_);
    guard_.manifests.erase(name);
    if (auto known = guard_.logs.extract(name); !known.empty()) {
      if (IOStatus status = Save(); !status.ok()) {
        guard_.logs.insert(std::move(known));
        return status;
      }
    }
  }
  return target()->DeleteFile(file, options, dbg);
}

IOStatus GuardedFs::SaveExtent(const std::string& name, const Guard::Extent& extent) {
  absl::MutexLock lock(&mu_);
  guard_.manifests[name] = extent;
  return Save();
}

IOStatus GuardedFs::Save() {
  const std::string file = absl::StrCat(path_, "/", kGuardName);
  const std::string fresh = file + ".tmp";
  const IOOptions options;
  std::unique_ptr<rocksdb::FSWritableFile> out;
  IOStatus status = target()->NewWritableFile(fresh, rocksdb::FileOptions(), &out, /*dbg=*/nullptr);
  if (status.ok()) status = out->Append(guard_.Encode(), options, /*dbg=*/nullptr);
  if (status.ok()) status = out->Sync(options, /*dbg=*/nullptr);
  if (status.ok()) status = out->Close(options, /*dbg=*/nullptr);
  if (status.ok()) status = target()->RenameFile(fresh, file, options, /*dbg=*/nullptr);
  if (status.ok()) status = SyncDirectory();
  return status;
}

IOStatus GuardedFs::SyncDirectory() {
  std::unique_ptr<rocksdb::FSDirectory> directory;
  IOStatus status = target()->NewDirectory(path_, IOOptions(), &directory, /*dbg=*/nullptr);
  if (status.ok()) {
    status = directory->FsyncWithDirOptions(IOOptions(), /*dbg=*/nullptr,
                                            rocksdb::DirFsyncOptions(rocksdb::DirFsyncOptions::FsyncReason::kDefault));
  }
  return status;
}

}  // namespace keyferry::storage
