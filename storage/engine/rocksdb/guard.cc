#include "storage/engine/rocksdb/guard.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "storage/engine/rocksdb/crc32c.h"
#include "storage/engine/rocksdb/log_scan.h"
#include "storage/engine/rocksdb/status.h"

namespace keyferry::storage {
namespace {

constexpr absl::string_view kFirstLine = "keyferry-guard 1";

std::string CheckLine(absl::string_view text) { return absl::StrFormat("check %08x\n", Crc32c(text)); }

absl::Status Damaged(const std::string& file, absl::string_view what) {
  return absl::DataLossError(
      absl::StrCat("stored data is damaged: ", file, " ", what, "; restore the data directory from a backup"));
}

// DATA_LOSS if the file is missing.
absl::StatusOr<std::string> ReadAll(rocksdb::Env& env, const std::string& file) {
  std::string content;
  const rocksdb::Status read = rocksdb::ReadFileToString(&env, file, &content);
  if (read.IsNotFound() || read.IsPathNotFound()) return Damaged(file, "is missing");
  if (!read.ok()) return FromRocksDb(read, absl::StrCat("reading ", file));
  return content;
}

absl::Status CheckManifest(rocksdb::Env& env, const std::string& path, const Guard& guard) {
  const std::string current_file = absl::StrCat(path, "/CURRENT");
  const absl::StatusOr<std::string> current = ReadAll(env, current_file);
  if (!current.ok()) return current.status();
  absl::string_view name = *current;
  if (!absl::ConsumeSuffix(&name, "\n")) return Damaged(current_file, "does not name a manifest");
  const auto known = guard.manifests.find(std::string(name));
  if (known == guard.manifests.end()) return Damaged(current_file, "does not name a manifest of this database");

  const std::string file = absl::StrCat(path, "/", name);
  const absl::StatusOr<std::string> manifest = ReadAll(env, file);
  if (!manifest.ok()) return manifest.status();
  const Guard::Extent& extent = known->second;
  if (manifest->size() < extent.bytes) return Damaged(file, "was cut short");
  if (Crc32c(absl::string_view(*manifest).substr(0, extent.bytes)) != extent.crc) return Damaged(file, "was changed");
  return absl::OkStatus();
}

absl::Status CheckLogs(rocksdb::Env& env, const std::string& path, const Guard& guard) {
  for (const auto& [name, synced_bytes] : guard.logs) {
    const std::string file = absl::StrCat(path, "/", name);
    const absl::StatusOr<std::string> log = ReadAll(env, file);
    if (!log.ok()) return log.status();
    if (log->size() < synced_bytes) return Damaged(file, "was cut short");
    const absl::string_view synced = absl::string_view(*log).substr(0, synced_bytes);
    if (ScanLog(synced) != LogState::kWhole || ScanLog(*log) == LogState::kDamaged) return Damaged(file, "was changed");
  }
  return absl::OkStatus();
}

}  // namespace

std::string Guard::Encode() const {
  std::string text = absl::StrCat(kFirstLine, "\n");
  for (const auto& [name, extent] : manifests) {
    absl::StrAppendFormat(&text, "manifest %s %d %08x\n", name, extent.bytes, extent.crc);
  }
  for (const auto& [name, bytes] : logs) absl::StrAppend(&text, "log ", name, " ", bytes, "\n");
  return text + CheckLine(text);
}

absl::StatusOr<Guard> Guard::Parse(absl::string_view text) {
  const absl::Status malformed = absl::DataLossError("is malformed");
  const size_t check = text.rfind("check ");
  if (check == absl::string_view::npos || text.substr(check) != CheckLine(text.substr(0, check))) return malformed;
  std::vector<absl::string_view> lines = absl::StrSplit(text.substr(0, check), '\n', absl::SkipEmpty());
  if (lines.empty() || lines[0] != kFirstLine) return malformed;
  Guard guard;
  for (size_t i = 1; i < lines.size(); ++i) {
    const std::vector<absl::string_view> words = absl::StrSplit(lines[i], ' ');
    if (words.size() == 3 && words[0] == "log") {
      if (!absl::SimpleAtoi(words[2], &guard.logs[std::string(words[1])])) return malformed;
    } else if (words.size() == 4 && words[0] == "manifest") {
      Extent& extent = guard.manifests[std::string(words[1])];
      if (!absl::SimpleAtoi(words[2], &extent.bytes) || !absl::SimpleHexAtoi(words[3], &extent.crc)) return malformed;
    } else {
      return malformed;
    }
  }
  return guard;
}

absl::StatusOr<Guard> CheckGuardedFiles(rocksdb::Env& env, const std::string& path) {
  const std::string file = absl::StrCat(path, "/", kGuardName);
  const absl::StatusOr<std::string> text = ReadAll(env, file);
  if (!text.ok()) return text.status();
  absl::StatusOr<Guard> guard = Guard::Parse(*text);
  if (!guard.ok()) return Damaged(file, guard.status().message());
  if (absl::Status status = CheckManifest(env, path, *guard); !status.ok()) return status;
  if (absl::Status status = CheckLogs(env, path, *guard); !status.ok()) return status;
  return guard;
}

}  // namespace keyferry::storage
