#include "server/backups/backups.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/backups/own_record.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

// The longest that a pause between two pieces lasts before it is looked whether the server stops.
constexpr absl::Duration kLongestPause = absl::Milliseconds(200);

}  // namespace

Backups::Backups(storage::Store* store, storage::BackupSource* source, BackupSettings settings,
                 std::function<absl::Time()> clock, Logger* logger)
    : store_(store), source_(source), settings_(std::move(settings)), clock_(std::move(clock)), logger_(logger) {}

absl::StatusOr<std::shared_ptr<const storage::BackupKey>> Backups::Key() const {
  ASSIGN_OR_RETURN(const storage::BackupView view, source_->TakeBackupView());
  // Not the snapshot, which would keep deleted values in the files while backups are read or removed.
  return view.key;
}

absl::StatusOr<std::string> Backups::DirectoryFor(const std::string& directory) const {
  if (!directory.empty()) return directory;
  if (!settings_.directory.empty()) return settings_.directory;
  return absl::InvalidArgumentError(
      "no directory for backups is named: give one with --to, or set `backup.directory` in the server's configuration");
}

absl::Status Backups::Audit(const std::string& backup_id, const absl::Status& outcome) const {
  const std::string resource = backup_id.empty() ? "backups" : absl::StrCat("backups/", backup_id);
  return CommitOwnEntry(store_, clock_(), /*org=*/"", "keyferryd/Backup", resource, outcome);
}

absl::StatusOr<storage::BackupResult> Backups::Create(
    const std::string& directory, const std::function<void(const storage::BackupProgress&)>& progress) {
  storage::BackupOptions options;
  ASSIGN_OR_RETURN(options.directory, DirectoryFor(directory));
  options.data_dir = settings_.data_dir;
  options.bytes_per_second = settings_.bytes_per_second;
  options.clock = clock_;
  options.sleep = [this](absl::Duration pause) {
    for (; pause > absl::ZeroDuration() && !stopped_; pause -= kLongestPause) {
      absl::SleepFor(std::min(pause, kLongestPause));
    }
  };
  options.progress = [this, &progress](const storage::BackupProgress& made) {
    if (progress != nullptr) progress(made);
    return !stopped_;
  };
  options.before_publishing = [this](const storage::BackupManifest& manifest) {
    return Audit(manifest.backup_id, absl::OkStatus());
  };
  auto result = storage::WriteBackup(*source_, options);
  absl::MutexLock lock(&mutex_);
  if (result.ok()) {
    state_.last_success = result->manifest.time;
    state_.last_path = result->path;
    state_.last_failure = absl::OkStatus();
    logger_->Write(LogLevel::kInfo, "backup made",
                   {{"path", result->path},
                    {"entries", static_cast<int64_t>(result->manifest.entries)},
                    {"bytes", static_cast<int64_t>(result->manifest.TotalBytes())}});
    return result;
  }
  state_.last_failure = result.status();
  state_.last_failure_time = clock_();
  // The failure is what the caller is told, whether or not it can be written down.
  Audit("", result.status()).IgnoreError();
  logger_->Write(LogLevel::kError, "backup failed", {{"problem", result.status().message()}});
  return result;
}

absl::Status Backups::CreateScheduled() {
  ASSIGN_OR_RETURN(const storage::BackupResult made, Create("", nullptr));
  if (settings_.keep == 0) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto key, Key());
  const auto removed = storage::PruneBackups(settings_.directory, key, settings_.keep, made.path);
  if (!removed.ok()) {
    logger_->Write(LogLevel::kError, "old backups not removed", {{"problem", removed.status().message()}});
    return removed.status();
  }
  if (*removed > 0) logger_->Write(LogLevel::kInfo, "old backups removed", {{"count", int64_t{*removed}}});
  return absl::OkStatus();
}

absl::StatusOr<std::vector<storage::ListedBackup>> Backups::List(const std::string& directory) const {
  ASSIGN_OR_RETURN(const std::string named, DirectoryFor(directory));
  return storage::ListBackups(named);
}

absl::StatusOr<storage::BackupManifest> Backups::Verify(const std::string& path) const {
  ASSIGN_OR_RETURN(const auto key, Key());
  ASSIGN_OR_RETURN(const storage::BackupReader reader, storage::BackupReader::OpenWith(path, key));
  RETURN_IF_ERROR(reader.VerifyFiles([this] { return !stopped_; }));
  return reader.manifest();
}

absl::Time Backups::NewestTime() const {
  const absl::Time now = clock_();
  absl::Time newest = absl::InfinitePast();
  const auto key = Key();
  const auto listed = storage::ListBackups(settings_.directory);
  if (!key.ok() || !listed.ok()) return newest;
  for (const storage::ListedBackup& backup : *listed) {
    const auto reader = storage::BackupReader::OpenWith(backup.path, *key);
    if (reader.ok() && reader->manifest().time <= now) newest = std::max(newest, reader->manifest().time);
  }
  return newest;
}

BackupState Backups::state() const {
  absl::MutexLock lock(&mutex_);
  return state_;
}

}  // namespace keyferry::server
