#include "server/audit/audit_log.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/time/clock.h"

namespace keyferry::server {
namespace {

using storage::Durability;

// Together well below what one commit may add to a journal.
constexpr size_t kMaxGroup = 64;
constexpr size_t kMaxGroupBytes = size_t{128} << 10;

// Calls that end further from one another than this count as if they ended so far: the average soon follows when many
// come.
constexpr absl::Duration kRare = absl::Microseconds(500);

int64_t MonotonicNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

}  // namespace

AuditLog::AuditLog(storage::Store* store, Options options)
    : store_(store), options_(options), distance_(absl::ToInt64Nanoseconds(kRare)) {
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
  entries_.Add();
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

absl::Status AuditLog::Store(const CallRecord& record) { return Note(Commit({{&record, nullptr}})); }

const absl::Status& AuditLog::Note(const absl::Status& stored) {
  // An org that is no more has no log; its entry goes to the system's.
  if (!stored.ok() && !absl::IsNotFound(stored)) failures_.Add();
  return stored;
}

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
    for (const Waiting& waiting : group) waiting.done(Store(*waiting.record));
    return;
  }
  for (const Waiting& waiting : group) waiting.done(Note(stored));
}

size_t AuditLog::NoteEnd() {
  constexpr int64_t kWeight = 8;
  const int64_t now = MonotonicNanos();
  // Another thread may have come between the two readings.
  const int64_t since = std::clamp<int64_t>(now - last_end_.exchange(now), 0, absl::ToInt64Nanoseconds(kRare));
  int64_t distance = distance_.load(std::memory_order_relaxed);
  distance += (since - distance) / kWeight;
  distance_.store(distance, std::memory_order_relaxed);
  if (distance >= absl::ToInt64Nanoseconds(options_.close)) return 1;
  if (ungathered_.load(std::memory_order_relaxed) > 0) {
    ungathered_.fetch_sub(1, std::memory_order_relaxed);
    return 1;
  }
  const int64_t expected = absl::ToInt64Nanoseconds(options_.window) / std::max<int64_t>(distance, 1);
  return static_cast<size_t>(std::clamp<int64_t>(expected, 1, kMaxGroup));
}

void AuditLog::StoreThen(const CallRecord* record, std::function<void(absl::Status)> done) {
  const size_t together = NoteEnd();
  if (together == 1 || !options_.background) return done(Store(*record));
  const size_t bytes = record->entry.ByteSizeLong();
  std::vector<Waiting> group;
  {
    absl::MutexLock lock(&mutex_);
    waiting_.push_back({record, std::move(done)});
    waiting_bytes_ += bytes;
    expected_ = together;
    if (waiting_.size() < together && waiting_bytes_ < kMaxGroupBytes && !stopping_) return;
    last_ungathered_ = 0;
    group = TakeGroup();
  }
  StoreGroup(std::move(group));
}

std::vector<AuditLog::Waiting> AuditLog::TakeGroup() {
  ++taken_;
  waiting_bytes_ = 0;
  return std::exchange(waiting_, {});
}

void AuditLog::RunGather() {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stopping_ || !waiting_.empty(); };
  while (true) {
    uint64_t taken = 0;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(&has_work));
      if (waiting_.empty()) return;
      taken = taken_;
    }
    absl::SleepFor(options_.window);
    std::vector<Waiting> group;
    {
      absl::MutexLock lock(&mutex_);
      if (taken == taken_) {
        if (2 * waiting_.size() < expected_) {
          last_ungathered_ = std::clamp(4 * last_ungathered_, kMinUngathered, kMaxUngathered);
          ungathered_ = last_ungathered_;
        }
        group = TakeGroup();
      }
    }
    if (!group.empty()) StoreGroup(std::move(group));
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
