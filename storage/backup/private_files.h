#ifndef KEYFERRY_STORAGE_BACKUP_PRIVATE_FILES_H_
#define KEYFERRY_STORAGE_BACKUP_PRIVATE_FILES_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace keyferry::storage {

// Directories of mode 0700 and files of mode 0600, written so that a crash leaves nothing half under its final name.
// Thread-safe.
//
// Errors name the path: RESOURCE_EXHAUSTED (disk full), NOT_FOUND, FAILED_PRECONDITION (not permitted, not ours, exists
// already), UNAVAILABLE (I/O).
class PrivateFiles {
 public:
  // Asked before each operation that changes something; an error takes its place. For tests, which make the n-th one
  // fail. Null: none.
  using Gate = std::function<absl::Status(absl::string_view operation, const std::string& path)>;

  // A file that is being written.
  class Output {
   public:
    virtual ~Output() = default;
    virtual absl::Status Append(absl::string_view bytes) = 0;
    // Syncs and closes.
    virtual absl::Status Finish() = 0;
  };

  explicit PrivateFiles(Gate gate = nullptr) : gate_(std::move(gate)) {}

  // Its parent must exist, and it must not.
  absl::Status MakeDirectory(const std::string& path) const;
  absl::StatusOr<std::unique_ptr<Output>> Create(const std::string& path) const;
  absl::Status WriteFile(const std::string& path, absl::string_view content) const;
  absl::Status Rename(const std::string& from, const std::string& to) const;
  absl::Status SyncDirectory(const std::string& path) const;
  // With everything in it; one that is not there is fine.
  absl::Status RemoveTree(const std::string& path) const;

 private:
  class FileOutput;
  absl::Status Ask(absl::string_view operation, const std::string& path) const;

  const Gate gate_;
};

// What reading takes. A directory's names come in order, without "." and "..".
absl::StatusOr<std::vector<std::string>> ListDirectory(const std::string& path);
// A regular file of at most `limit` bytes; links are not followed.
absl::StatusOr<std::string> ReadRegularFile(const std::string& path, size_t limit);
// The status for `errno` as PrivateFiles gives it.
absl::Status FileError(absl::string_view what, const std::string& path);

// The directory that holds what the path names, whether or not a slash ends that.
std::string ParentOf(absl::string_view path);

// FAILED_PRECONDITION unless the path is a directory of ours that nobody else can use.
absl::Status CheckPrivateDirectory(const std::string& path);

// Holds a lock file until the last copy of the pointer is gone. FAILED_PRECONDITION if another process has it.
absl::StatusOr<std::shared_ptr<void>> LockFile(const std::string& path, absl::string_view who);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_BACKUP_PRIVATE_FILES_H_
