#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_FAULT_FS_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_FAULT_FS_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "rocksdb/file_system.h"

namespace keyferry::storage {

// A file system for tests over the operating system's: it counts the operations that change something, makes a chosen
// one fail, and knows what a power loss would leave: of each file what was synced, and of each directory the entries
// that were there at its last sync. RocksDB's own text log is passed through. Thread-safe.
class FaultFs : public rocksdb::FileSystemWrapper {
 public:
  enum class Fault {
    kError,       // That operation fails and does nothing.
    kShortWrite,  // That operation, if it appends, writes half and fails; otherwise as kError.
    kDiskFull,    // That operation and all later ones that need space fail.
    kPowerCut,    // That operation and all later ones fail and do nothing.
  };

  // What LosePower makes of data that was not synced.
  enum class Unsynced { kLost, kKept, kTorn };

  FaultFs() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}

  const char* Name() const override { return "FaultFs"; }

  // The n-th operation from now on (1: the next one) gets `fault`.
  void Arm(uint64_t n, Fault fault) ABSL_LOCKS_EXCLUDED(mu_);
  void Disarm() ABSL_LOCKS_EXCLUDED(mu_);
  // Operations since the last Arm or Disarm.
  uint64_t operations() const ABSL_LOCKS_EXCLUDED(mu_);
  bool fired() const ABSL_LOCKS_EXCLUDED(mu_);

  void CutPower() { Arm(1, Fault::kPowerCut); }

  // Leaves on disk what a power loss would; no file may be open. `entries_lost`: also creations, renames and deletions
  // that no directory sync followed are undone. Disarms.
  void LosePower(Unsynced data, bool entries_lost, unsigned seed) ABSL_LOCKS_EXCLUDED(mu_);

  using FileSystemWrapper::NewDirectory;
  rocksdb::IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                                    std::unique_ptr<rocksdb::FSWritableFile>* file,
                                    rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus NewDirectory(const std::string& path, const rocksdb::IOOptions& options,
                                 std::unique_ptr<rocksdb::FSDirectory>* directory,
                                 rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus RenameFile(const std::string& from, const std::string& to, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;
  rocksdb::IOStatus DeleteFile(const std::string& path, const rocksdb::IOOptions& options,
                               rocksdb::IODebugContext* dbg) override;

 private:
  class File;
  class Directory;

  // How an operation goes on.
  enum class Verdict { kGo, kFail, kHalf, kFull };

  struct FileState {
    uint64_t size = 0;
    uint64_t synced = 0;
  };

  Verdict Count(bool needs_space) ABSL_LOCKS_EXCLUDED(mu_);
  static rocksdb::IOStatus ToStatus(Verdict verdict, const std::string& path);
  // Keeps what a power loss would bring back in place of `path`, before it changes.
  void Remember(const std::string& path) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Grow(const std::string& path, uint64_t bytes) ABSL_LOCKS_EXCLUDED(mu_);
  void MarkSynced(const std::string& path, uint64_t size) ABSL_LOCKS_EXCLUDED(mu_);
  uint64_t SizeOf(const std::string& path) const ABSL_LOCKS_EXCLUDED(mu_);
  void MarkDirectorySynced(const std::string& path) ABSL_LOCKS_EXCLUDED(mu_);

  mutable absl::Mutex mu_;
  uint64_t operations_ ABSL_GUARDED_BY(mu_) = 0;
  uint64_t fire_at_ ABSL_GUARDED_BY(mu_) = 0;
  Fault fault_ ABSL_GUARDED_BY(mu_) = Fault::kError;
  // Files that were written through this file system.
  std::map<std::string, FileState> files_ ABSL_GUARDED_BY(mu_);
  // The synced content, or absence, of each entry that changed since its directory was synced.
  std::map<std::string, std::optional<std::string>> entries_ ABSL_GUARDED_BY(mu_);
};

// Damage by hand, to files that nothing has open.
std::string ReadWholeFile(const std::string& path);
void WriteWholeFile(const std::string& path, const std::string& content);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_FAULT_FS_H_
