#include "server/audit/audit_log.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/time/clock.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

using storage::Durability;

// Together well below what one commit may add to a journal.
constexpr size_t kMaxGroup = 64;
constexpr size_t kMaxGroupBytes = size_t{128} << 10;

int64_t MonotonicNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

absl::Status TooManyWait() {
  v1::ErrorDetail detail;
  detail.set_reason("AUDIT_BACKLOG");
  detail.set_next_step("Repeat the call.");
  detail.set_retry_delay_ms(1000);
  return MakeError(absl::StatusCode::kUnavailable, "too many audit entries wait to be stored; nothing was given out",
                   detail);
}

}  // namespace

AuditLog::AuditLog(storage::Store* store, Options options) : store_(store), options_(options) {
  store_->SetJournalListener([this](const storage::JournaledEntry& entry) { Observe(entry); });
  if (!options_.background) return;
  gather_ = std::thread([this] { RunGather(); });
  sync_ = std::thread([this] { RunSync(); });
}

AuditLog::~AuditLog() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (gather_.joinable()) gather_.join();
  if (sync_.joinable()) sync_.join();
  // A store that takes no more has said so to whoever asked.
  store_->Sync().IgnoreError();
  store_->SetJournalListener(nullptr);
}

void AuditLog::AddObserver(Observer observer) { observers_.push_back(std::move(observer)); }

void AuditLog::StopObserving() { store_->SetJournalListener(nullptr); }

void AuditLog::Observe(const storage::JournaledEntry& entry) {
  dirty_ = true;
  AuditedCall call;
  call.org = entry.org;
  call.sequence = static_cast<int64_t>(entry.sequence);
  call.entry = entry.payload;
  if (const auto* record = static_cast<const CallRecord*>(entry.context); record != nullptr) {
    if (record->resolution.has_value()) call.resolution = &*record->resolution;
    call.time = absl::FromUnixSeconds(record->entry.time().seconds()) + absl::Nanoseconds(record->entry.time().nanos());
  }
  for (const Observer& observer : observers_) observer(call);
}

absl::Status AuditLog::Store(const CallRecord& record) { return Commit({{&record, nullptr}}); }

absl::Status AuditLog::Commit(const std::vector<Waiting>& group) {
  storage::Mutation mutation;
  for (const Waiting& waiting : group) {
    mutation.Append(waiting.record->org, waiting.record->entry.SerializeAsString(), waiting.record);
  }
  return store_->Commit(mutation, Durability::kBuffered).status();
}

void AuditLog::StoreGroup(std::vector<Waiting> group) {
  absl::Status stored = Commit(group);
  if (!stored.ok() && group.size() > 1) {
    // One org may be about to go; the others must not fail with it.
    for (const Waiting& waiting : group) waiting.done(Commit({{waiting.record, nullptr}}));
    return;
  }
  for (const Waiting& waiting : group) waiting.done(stored);
}

void AuditLog::StoreThen(const CallRecord* record, std::function<void(absl::Status)> done) {
  const int64_t now = MonotonicNanos();
  const bool alone = now - last_end_.exchange(now) > absl::ToInt64Nanoseconds(options_.close);
  if (alone || !options_.background) return done(Store(*record));
  bool full = false;
  {
    absl::MutexLock lock(&mutex_);
    full = stopping_ || waiting_.size() >= options_.max_waiting;
    if (!full) waiting_.push_back({record, std::move(done)});
  }
  if (full) done(TooManyWait());
}

void AuditLog::RunGather() {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !waiting_.empty(); };
  while (true) {
    std::vector<Waiting> group;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&has_work));
      if (waiting_.empty()) return;
      size_t count = 0;
      for (size_t bytes = 0; count < waiting_.size() && count < kMaxGroup && bytes < kMaxGroupBytes; ++count) {
        bytes += waiting_[count].record->entry.ByteSizeLong();
      }
      group.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(waiting_.begin() + count));
      waiting_.erase(waiting_.begin(), waiting_.begin() + count);
    }
    const bool several = group.size() > 1;
    StoreGroup(std::move(group));
    if (several) absl::SleepFor(options_.window);
  }
}

void AuditLog::RunSync() {
  while (true) {
    {
      absl::MutexLock lock(&mutex_);
      if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), options_.sync_interval)) return;
    }
    // What fails here fails every later commit as well.
    if (dirty_.exchange(false)) store_->Sync().IgnoreError();
  }
}

}  // namespace keyferry::server
