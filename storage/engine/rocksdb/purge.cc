#include "storage/engine/rocksdb/purge.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/clock.h"
#include "rocksdb/metadata.h"
#include "rocksdb/transaction_log.h"
#include "storage/engine/rocksdb/status.h"

namespace keyferry::storage {
namespace {

absl::Status TooLate() {
  return absl::DeadlineExceededError(
      "a view from before the purge is in use, or a file cannot be deleted; purge again later");
}

// The data files and logs that are in the directory. Empty ones hold nothing, and RocksDB may keep the empty log of an
// earlier open for hours.
absl::StatusOr<std::set<std::string>> ListFiles(DbHandle& handle) {
  std::vector<rocksdb::Env::FileAttributes> children;
  const rocksdb::Status listed = handle.env().GetChildrenFileAttributes(handle.path(), &children);
  if (!listed.ok()) return FromRocksDb(listed, "listing the data directory");
  std::set<std::string> files;
  for (rocksdb::Env::FileAttributes& child : children) {
    if (child.size_bytes == 0) continue;
    if (absl::EndsWith(child.name, ".sst") || absl::EndsWith(child.name, ".log")) files.insert(std::move(child.name));
  }
  return files;
}

absl::StatusOr<uint64_t> CurrentLogNumber(DbHandle& handle) {
  std::unique_ptr<rocksdb::LogFile> log;
  const rocksdb::Status read = handle.db().GetCurrentWalFile(&log);
  if (!read.ok()) return FromRocksDb(read, "asking for the current log");
  return log->LogNumber();
}

// Whether one of `files` is still in the directory although the database no longer needs it.
absl::StatusOr<bool> ObsoleteRemain(DbHandle& handle, const std::set<std::string>& files, uint64_t current_log) {
  const absl::StatusOr<std::set<std::string>> present = ListFiles(handle);
  if (!present.ok()) return present.status();
  std::vector<rocksdb::LiveFileMetaData> live;
  handle.db().GetLiveFilesMetaData(&live);
  std::set<std::string> needed;
  for (const rocksdb::LiveFileMetaData& file : live) needed.emplace(absl::StripPrefix(file.name, "/"));
  for (const std::string& name : files) {
    if (present->count(name) == 0 || needed.count(name) != 0) continue;
    uint64_t number = 0;
    const bool is_current_log = absl::EndsWith(name, ".log") &&
                                absl::SimpleAtoi(absl::StripSuffix(name, ".log"), &number) && number >= current_log;
    if (!is_current_log) return true;
  }
  return false;
}

// Makes RocksDB look through the directory: its own list lacks logs from before the open and files that it once failed
// to delete.
absl::Status DeleteObsolete(DbHandle& handle) {
  rocksdb::Status status = handle.db().DisableFileDeletions();
  if (status.ok()) status = handle.db().EnableFileDeletions(/*force=*/false);
  return FromRocksDb(status, "deleting obsolete files");
}

using KeyRange = std::pair<std::string, std::string>;

// One range for all keys that fall to the same file of the deepest level, as one compaction rewrites it anyway.
std::vector<KeyRange> Coalesce(DbHandle& handle, const std::vector<std::string>& keys) {
  std::vector<rocksdb::LiveFileMetaData> live;
  handle.db().GetLiveFilesMetaData(&live);
  int deepest = 0;
  for (const rocksdb::LiveFileMetaData& file : live) deepest = std::max(deepest, file.level);
  std::vector<std::string> ends;
  for (const rocksdb::LiveFileMetaData& file : live) {
    if (file.level == deepest && deepest > 0) ends.push_back(file.largestkey);
  }
  std::sort(ends.begin(), ends.end());

  std::vector<KeyRange> ranges;
  auto last_file = ends.end();
  for (const std::string& key : keys) {
    const auto file = std::lower_bound(ends.begin(), ends.end(), key);
    if (ranges.empty() || file != last_file) {
      ranges.emplace_back(key, key);
    } else {
      ranges.back().second = key;
    }
    last_file = file;
  }
  return ranges;
}

absl::Status Rewrite(DbHandle& handle, const std::vector<std::string>& keys) {
  rocksdb::CompactRangeOptions options;
  options.exclusive_manual_compaction = false;
  // Also the deepest file is rewritten: a flush may have put the old value there beside the new one.
  options.bottommost_level_compaction = rocksdb::BottommostLevelCompaction::kForce;
  for (const KeyRange& range : Coalesce(handle, keys)) {
    const rocksdb::Slice first(range.first);
    const rocksdb::Slice last(range.second);
    const rocksdb::Status compacted = handle.db().CompactRange(options, &first, &last);
    if (!compacted.ok()) return FromRocksDb(compacted, "rewriting files for a purge");
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status PurgeKeys(DbHandle& handle, const std::vector<std::string>& keys, rocksdb::SequenceNumber sequence,
                       absl::Time deadline) {
  if (!handle.AwaitNoSnapshotBefore(sequence, deadline)) return TooLate();
  if (const rocksdb::Status flushed = handle.db().Flush(rocksdb::FlushOptions()); !flushed.ok()) {
    return FromRocksDb(flushed, "flushing");
  }
  const absl::StatusOr<uint64_t> current_log = CurrentLogNumber(handle);
  if (!current_log.ok()) return current_log.status();
  const absl::StatusOr<std::set<std::string>> files = ListFiles(handle);
  if (!files.ok()) return files.status();
  if (absl::Status rewritten = Rewrite(handle, keys); !rewritten.ok()) return rewritten;

  // However long the rewriting took, it is not to be done again for a file that is about to go.
  deadline = std::max(deadline, absl::Now() + absl::Seconds(2));
  // RocksDB deletes files on its own threads, or when the last iterator over them ends, and tells nobody.
  for (absl::Duration pause = absl::Milliseconds(1);; pause = std::min(2 * pause, absl::Milliseconds(50))) {
    const absl::StatusOr<bool> remain = ObsoleteRemain(handle, *files, *current_log);
    if (!remain.ok()) return remain.status();
    if (!*remain) return absl::OkStatus();
    if (absl::Now() > deadline) return TooLate();
    absl::SleepFor(pause);
    if (absl::Status deleted = DeleteObsolete(handle); !deleted.ok()) return deleted;
  }
}

}  // namespace keyferry::storage
