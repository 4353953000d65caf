#include "storage/rewrapper.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/envelope.h"
#include "storage/format.h"
#include "storage/status_macros.h"
#include "storage/store_view.h"

namespace keyferry::storage {
namespace {

constexpr size_t kBatchRecords = 64;
constexpr size_t kBatchBytes = size_t{256} << 10;
constexpr absl::Duration kPauseAfterError = absl::Seconds(1);

}  // namespace

Rewrapper::Rewrapper(Engine* engine, Keyrings* keyrings, Purger* purger)
    : engine_(engine), keyrings_(keyrings), purger_(purger), thread_([this] { Run(); }) {}

Rewrapper::~Rewrapper() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

void Rewrapper::RequestRewrap(absl::string_view org) {
  absl::MutexLock lock(&mutex_);
  rewrap_.insert(std::string(org));
}

void Rewrapper::RequestRotation(absl::string_view org, uint32_t key_id) {
  absl::MutexLock lock(&mutex_);
  rotate_[std::string(org)] = key_id;
}

absl::Status Rewrapper::Wait(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  const auto idle = [this]()
                        ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return !busy_ && rotate_.empty() && rewrap_.empty(); };
  if (mutex_.AwaitWithDeadline(absl::Condition(&idle), deadline)) return absl::OkStatus();
  return absl::DeadlineExceededError(
      absl::StrCat("records are still being rewrapped", last_error_.ok() ? "" : ": ", last_error_.message()));
}

size_t Rewrapper::pending() {
  absl::MutexLock lock(&mutex_);
  return rewrap_.size() + rotate_.size() + (busy_ ? 1 : 0);
}

bool Rewrapper::stopping() {
  absl::MutexLock lock(&mutex_);
  return stop_;
}

void Rewrapper::Run() {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return stop_ || !rotate_.empty() || !rewrap_.empty();
  };
  absl::MutexLock lock(&mutex_);
  for (;;) {
    mutex_.Await(absl::Condition(&has_work));
    if (stop_) return;
    const bool rotate = !rotate_.empty();
    // By turns, so that an org which fails does not keep the others waiting.
    auto turn = rewrap_.upper_bound(last_rewrapped_);
    if (turn == rewrap_.end()) turn = rewrap_.begin();
    const std::string org = rotate ? rotate_.begin()->first : *turn;
    if (!rotate) last_rewrapped_ = org;
    const uint32_t key_id = rotate ? rotate_.begin()->second : 0;
    rotate_.erase(org);
    rewrap_.erase(org);
    busy_ = true;
    mutex_.Unlock();
    absl::Status status = rotate ? keyrings_->AddDataKey(org, key_id) : absl::OkStatus();
    const bool retry_rotation = !status.ok();
    if (status.ok()) status = RewrapOrg(org);
    mutex_.Lock();
    busy_ = false;
    if (absl::IsNotFound(status)) status = absl::OkStatus();  // The org was destroyed meanwhile.
    last_error_ = status;
    if (status.ok()) continue;
    if (retry_rotation) {
      rotate_.emplace(org, key_id);
    } else {
      rewrap_.insert(org);
    }
    mutex_.AwaitWithTimeout(absl::Condition(&stop_), kPauseAfterError);
  }
}

absl::Status Rewrapper::RewrapOrg(const std::string& org) {
  while (!stopping()) {
    ASSIGN_OR_RETURN(const std::shared_ptr<const OrgKeys> keys, keyrings_->Reload(org));
    if (keys->key_count() == 1) return absl::OkStatus();
    // From this keyring's commit on no record is sealed with an older key, because every commit requires the keyring to
    // be unchanged. So once a pass finds none, the older keys open nothing, as long as the keyring is still this one.
    ASSIGN_OR_RETURN(const bool clean, Pass(*keys));
    if (!clean) continue;
    Purger::Marker marker;
    const absl::Status status = keyrings_->DropOldDataKeys(
        *keys, [&](EngineBatch& batch) { marker = Purger::AddMarker({keys->engine_key()}, batch); });
    if (absl::IsAborted(status)) continue;
    RETURN_IF_ERROR(status);
    purger_->Add(std::move(marker));
    return absl::OkStatus();
  }
  return absl::CancelledError("the store is closing");
}

absl::StatusOr<bool> Rewrapper::Pass(const OrgKeys& keys) {
  const RecordKeyBytes prefix = keys.TablePrefix(Table::kOrg);
  bool clean = true;
  std::string after;
  for (bool more = true; more && !stopping();) {
    more = false;
    std::vector<EngineEntry> old;
    size_t bytes = 0;
    absl::Status damage;
    // A snapshot per batch: deleted values must not be kept in the files by a long pass.
    RETURN_IF_ERROR(engine_->Snapshot()->Scan(prefix.prefix(kOrgPrefixSize), after, [&](const EngineEntry& entry) {
      after = entry.key;
      const absl::StatusOr<SealedRecordHeader> header = ParseSealedRecord(entry.value);
      if (!header.ok()) {
        damage = header.status();
        return false;
      }
      if (header->key_id == keys.current_id()) return true;
      bytes += entry.value.size();
      old.push_back(entry);
      more = old.size() >= kBatchRecords || bytes >= kBatchBytes;
      return !more;
    }));
    RETURN_IF_ERROR(damage);
    if (old.empty()) continue;
    clean = false;
    RETURN_IF_ERROR(Reseal(keys, old));
  }
  return clean && !stopping();
}

absl::Status Rewrapper::Reseal(const OrgKeys& keys, const std::vector<EngineEntry>& entries) {
  RETURN_IF_ERROR(keys.seal_counter().Take(entries.size()));
  EngineBatch batch;
  batch.preconditions.push_back({keys.engine_key(), keys.revision()});
  for (const EngineEntry& entry : entries) {
    ASSIGN_OR_RETURN(const Record record, OpenEntry(keys, entry));
    batch.writes.push_back(
        {entry.key, SealRecord(keys.current(), keys.current_id(), entry.key, record.version, record.payload)});
    batch.preconditions.push_back({entry.key, entry.revision});
  }
  const absl::Status status = engine_->Commit(batch, Durability::kBuffered).status();
  // Somebody wrote one of them meanwhile, and thereby rewrapped it. Alone, the others are not held up; what still
  // remains is found by the next pass.
  if (!absl::IsAborted(status) || entries.size() == 1) return absl::IsAborted(status) ? absl::OkStatus() : status;
  for (const EngineEntry& entry : entries) RETURN_IF_ERROR(Reseal(keys, {entry}));
  return absl::OkStatus();
}

}  // namespace keyferry::storage
