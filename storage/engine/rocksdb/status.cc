#include "storage/engine/rocksdb/status.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyferry::storage {
namespace {

constexpr char kRestore[] = "; restore the data directory from a backup";

// RocksDB has no code for these; POSIX's texts are stable.
bool IsLockConflict(absl::string_view text) {
  return absl::StrContains(text, "lock hold by current process") || absl::StrContains(text, "While lock file");
}

absl::Status FromIoError(const rocksdb::Status& status, absl::string_view what, absl::string_view text) {
  if (status.IsNoSpace() || status.subcode() == rocksdb::Status::kSpaceLimit ||
      absl::StrContains(text, "No space left on device") || absl::StrContains(text, "Disk quota exceeded")) {
    return absl::ResourceExhaustedError(absl::StrCat("the disk is full while ", what, ": ", text));
  }
  if (IsLockConflict(text) && !absl::StrContains(text, "Permission denied")) {
    return absl::FailedPreconditionError(
        absl::StrCat("the data directory is in use by another process; stop it first: ", text));
  }
  if (absl::StrContains(text, "Permission denied") || absl::StrContains(text, "Read-only file system")) {
    return absl::PermissionDeniedError(absl::StrCat("not permitted while ", what, ": ", text));
  }
  if (status.IsPathNotFound()) {
    return absl::DataLossError(absl::StrCat("a file is missing while ", what, ": ", text, kRestore));
  }
  return absl::UnavailableError(absl::StrCat("input or output failed while ", what, ": ", text));
}

}  // namespace

absl::Status FromRocksDb(const rocksdb::Status& status, absl::string_view what) {
  if (status.ok()) return absl::OkStatus();
  const std::string text = status.ToString();
  switch (status.code()) {
    case rocksdb::Status::kCorruption:
      return absl::DataLossError(absl::StrCat("stored data is damaged, found while ", what, ": ", text, kRestore));
    case rocksdb::Status::kIOError:
      return FromIoError(status, what, text);
    case rocksdb::Status::kInvalidArgument:
    case rocksdb::Status::kNotSupported:
      return absl::FailedPreconditionError(absl::StrCat("not supported while ", what, ": ", text));
    default:
      return absl::UnavailableError(absl::StrCat("failed while ", what, ": ", text));
  }
}

}  // namespace keyferry::storage
