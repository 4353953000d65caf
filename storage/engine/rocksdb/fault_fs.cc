#include "storage/engine/rocksdb/fault_fs.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyferry::storage {
namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;
using rocksdb::Slice;

// RocksDB's text log; its operations come as they please and nothing depends on them.
bool IsTextLog(const std::string& path) {
  return absl::StartsWith(std::filesystem::path(path).filename().string(), "LOG");
}

std::string ParentOf(const std::string& path) {
  return std::filesystem::path(path).lexically_normal().parent_path().string();
}

}  // namespace

class FaultFs::File : public rocksdb::FSWritableFileWrapper {
 public:
  File(FaultFs* fs, std::string path, std::unique_ptr<rocksdb::FSWritableFile> file)
      : FSWritableFileWrapper(file.get()), fs_(fs), path_(std::move(path)), file_(std::move(file)) {}

  IOStatus Append(const Slice& data, const IOOptions& options, IODebugContext* dbg) override {
    const Verdict verdict = fs_->Count(/*needs_space=*/true);
    if (verdict == Verdict::kGo) {
      const IOStatus status = file_->Append(data, options, dbg);
      if (status.ok()) fs_->Grow(path_, data.size());
      return status;
    }
    if (verdict == Verdict::kHalf) {
      const Slice half(data.data(), data.size() / 2);
      if (file_->Append(half, options, dbg).ok()) fs_->Grow(path_, half.size());
    }
    return ToStatus(verdict, path_);
  }

  IOStatus Append(const Slice& data, const IOOptions& options, const rocksdb::DataVerificationInfo&,
                  IODebugContext* dbg) override {
    return Append(data, options, dbg);
  }

  IOStatus Sync(const IOOptions& options, IODebugContext* dbg) override {
    const uint64_t size = fs_->SizeOf(path_);
    const Verdict verdict = fs_->Count(/*needs_space=*/false);
    if (verdict != Verdict::kGo) return ToStatus(verdict, path_);
    // What the operating system does is left out: only the simulated loss matters, and real syncs take long.
    fs_->MarkSynced(path_, size);
    return IOStatus::OK();
  }

  IOStatus Fsync(const IOOptions& options, IODebugContext* dbg) override { return Sync(options, dbg); }
  IOStatus RangeSync(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Allocate(uint64_t, uint64_t, const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  void PrepareWrite(size_t, size_t, const IOOptions&, IODebugContext*) override {}

 private:
  FaultFs* const fs_;
  const std::string path_;
  const std::unique_ptr<rocksdb::FSWritableFile> file_;
};

class FaultFs::Directory : public rocksdb::FSDirectoryWrapper {
 public:
  Directory(FaultFs* fs, std::string path, std::unique_ptr<rocksdb::FSDirectory> directory)
      : FSDirectoryWrapper(std::move(directory)), fs_(fs), path_(std::move(path)) {}

  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    const Verdict verdict = fs_->Count(/*needs_space=*/false);
    if (verdict != Verdict::kGo) return ToStatus(verdict, path_);
    fs_->MarkDirectorySynced(path_);
    return IOStatus::OK();
  }

  // Without the exceptions that some file systems allow: any sync is one of the whole directory.
  IOStatus FsyncWithDirOptions(const IOOptions& options, IODebugContext* dbg,
                               const rocksdb::DirFsyncOptions&) override {
    return Fsync(options, dbg);
  }

 private:
  FaultFs* const fs_;
  const std::string path_;
};

void FaultFs::Arm(uint64_t n, Fault fault) {
  absl::MutexLock lock(&mu_);
  operations_ = 0;
  fire_at_ = n;
  fault_ = fault;
}

void FaultFs::Disarm() { Arm(0, Fault::kError); }

uint64_t FaultFs::operations() const {
  absl::MutexLock lock(&mu_);
  return operations_;
}

bool FaultFs::fired() const {
  absl::MutexLock lock(&mu_);
  return fire_at_ != 0 && operations_ >= fire_at_;
}

FaultFs::Verdict FaultFs::Count(bool needs_space) {
  absl::MutexLock lock(&mu_);
  ++operations_;
  if (fire_at_ == 0 || operations_ < fire_at_) return Verdict::kGo;
  const bool now = operations_ == fire_at_;
  switch (fault_) {
    case Fault::kError:
      return now ? Verdict::kFail : Verdict::kGo;
    case Fault::kShortWrite:
      if (!now) return Verdict::kGo;
      return needs_space ? Verdict::kHalf : Verdict::kFail;
    case Fault::kDiskFull:
      return needs_space ? Verdict::kFull : Verdict::kGo;
    case Fault::kPowerCut:
      return Verdict::kFail;
  }
  return Verdict::kGo;
}

IOStatus FaultFs::ToStatus(Verdict verdict, const std::string& path) {
  if (verdict == Verdict::kFull) return IOStatus::NoSpace(path, "No space left on device");
  return IOStatus::IOError(path, "injected fault");
}

IOStatus FaultFs::NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                  std::unique_ptr<rocksdb::FSWritableFile>* file, IODebugContext* dbg) {
  if (IsTextLog(path)) return target()->NewWritableFile(path, options, file, dbg);
  const Verdict verdict = Count(/*needs_space=*/true);
  if (verdict != Verdict::kGo) return ToStatus(verdict, path);
  {
    absl::MutexLock lock(&mu_);
    Remember(path);
    files_[path] = FileState();
  }
  std::unique_ptr<rocksdb::FSWritableFile> opened;
  const IOStatus status = target()->NewWritableFile(path, options, &opened, dbg);
  if (status.ok()) *file = std::make_unique<File>(this, path, std::move(opened));
  return status;
}

IOStatus FaultFs::NewDirectory(const std::string& path, const IOOptions& options,
                               std::unique_ptr<rocksdb::FSDirectory>* directory, IODebugContext* dbg) {
  std::unique_ptr<rocksdb::FSDirectory> opened;
  const IOStatus status = target()->NewDirectory(path, options, &opened, dbg);
  if (status.ok()) *directory = std::make_unique<Directory>(this, path, std::move(opened));
  return status;
}

IOStatus FaultFs::RenameFile(const std::string& from, const std::string& to, const IOOptions& options,
                             IODebugContext* dbg) {
  if (IsTextLog(from)) return target()->RenameFile(from, to, options, dbg);
  const Verdict verdict = Count(/*needs_space=*/true);
  if (verdict != Verdict::kGo) return ToStatus(verdict, from);
  absl::MutexLock lock(&mu_);
  Remember(from);
  Remember(to);
  const auto it = files_.find(from);
  if (it != files_.end()) {
    files_[to] = it->second;
    files_.erase(it);
  }
  return target()->RenameFile(from, to, options, dbg);
}

IOStatus FaultFs::DeleteFile(const std::string& path, const IOOptions& options, IODebugContext* dbg) {
  if (IsTextLog(path)) return target()->DeleteFile(path, options, dbg);
  const Verdict verdict = Count(/*needs_space=*/false);
  if (verdict != Verdict::kGo) return ToStatus(verdict, path);
  absl::MutexLock lock(&mu_);
  Remember(path);
  files_.erase(path);
  return target()->DeleteFile(path, options, dbg);
}

void FaultFs::Remember(const std::string& path) {
  if (entries_.count(path) != 0) return;
  if (!std::filesystem::exists(path)) {
    entries_[path] = std::nullopt;
    return;
  }
  std::string content = ReadWholeFile(path);
  const auto it = files_.find(path);
  if (it != files_.end() && content.size() > it->second.synced) content.resize(it->second.synced);
  entries_[path] = std::move(content);
}

void FaultFs::Grow(const std::string& path, uint64_t bytes) {
  absl::MutexLock lock(&mu_);
  files_[path].size += bytes;
}

void FaultFs::MarkSynced(const std::string& path, uint64_t size) {
  absl::MutexLock lock(&mu_);
  FileState& state = files_[path];
  state.synced = std::max(state.synced, size);
}

uint64_t FaultFs::SizeOf(const std::string& path) const {
  absl::MutexLock lock(&mu_);
  const auto it = files_.find(path);
  return it == files_.end() ? 0 : it->second.size;
}

void FaultFs::MarkDirectorySynced(const std::string& path) {
  absl::MutexLock lock(&mu_);
  const std::string parent = ParentOf(path + "/x");
  for (auto it = entries_.begin(); it != entries_.end();) {
    it = ParentOf(it->first) == parent ? entries_.erase(it) : std::next(it);
  }
}

void FaultFs::LosePower(Unsynced data, bool entries_lost, unsigned seed) {
  absl::MutexLock lock(&mu_);
  std::mt19937 random(seed);
  for (const auto& [path, state] : files_) {
    if (data == Unsynced::kKept || state.size <= state.synced || !std::filesystem::exists(path)) continue;
    uint64_t size = state.synced;
    if (data == Unsynced::kTorn) size += random() % (state.size - state.synced + 1);
    std::filesystem::resize_file(path, size);
  }
  if (entries_lost) {
    for (const auto& [path, content] : entries_) {
      if (content.has_value()) {
        WriteWholeFile(path, *content);
      } else {
        std::filesystem::remove(path);
      }
    }
  }
  files_.clear();
  entries_.clear();
  operations_ = 0;
  fire_at_ = 0;
}

std::string ReadWholeFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
}

void WriteWholeFile(const std::string& path, const std::string& content) {
  std::ofstream(path, std::ios::binary | std::ios::trunc) << content;
}

}  // namespace keyferry::storage
