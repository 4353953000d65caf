#include "storage/purger.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/format.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

constexpr size_t kMarkerIdSize = 16;
// One try waits this long for views from before to end; it bounds how long a stop can take.
constexpr absl::Duration kTry = absl::Seconds(5);
constexpr absl::Duration kPauseAfterError = absl::Seconds(1);
// Keeps one marker well below the largest value of an engine.
constexpr size_t kMarkersPerBatch = 1000;

// A marker's value: for each key its size (1) and bytes.
std::string EncodeKeys(const std::vector<std::string>& keys) {
  std::string out;
  for (const std::string& key : keys) {
    out.push_back(static_cast<char>(key.size()));
    out.append(key);
  }
  return out;
}

std::vector<std::string> DecodeKeys(absl::string_view bytes) {
  std::vector<std::string> keys;
  while (!bytes.empty()) {
    const size_t size = std::min<size_t>(static_cast<uint8_t>(bytes[0]), bytes.size() - 1);
    keys.emplace_back(bytes.substr(1, size));
    bytes.remove_prefix(1 + size);
  }
  return keys;
}

}  // namespace

Purger::Purger(Engine* engine, absl::Duration delay) : engine_(engine), delay_(delay), thread_([this] { Run(); }) {}

Purger::~Purger() {
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

Purger::Marker Purger::AddMarker(std::vector<std::string> keys, EngineBatch& batch) {
  Marker marker{SpaceKey(Space::kPurgeMarker, RandomString(kMarkerIdSize)), std::move(keys)};
  batch.writes.push_back({marker.engine_key, EncodeKeys(marker.keys)});
  return marker;
}

void Purger::Add(Marker marker) {
  absl::MutexLock lock(&mutex_);
  pending_.push_back(std::move(marker));
  ++added_;
}

absl::Status Purger::Resume() {
  return engine_->Snapshot()->Scan(SpaceKey(Space::kPurgeMarker, ""), /*after=*/"", [this](const EngineEntry& entry) {
    Add({entry.key, DecodeKeys(entry.value)});
    return true;
  });
}

absl::Status Purger::Wait(absl::Time deadline) {
  absl::MutexLock lock(&mutex_);
  const uint64_t target = added_;
  const auto done = [this, target]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return purged_ >= target; };
  ++waiters_;
  const bool purged = mutex_.AwaitWithDeadline(absl::Condition(&done), deadline);
  --waiters_;
  if (purged) return absl::OkStatus();
  return absl::DeadlineExceededError(absl::StrCat("deleted values are not yet gone from the files",
                                                  last_error_.ok() ? "" : ": ", last_error_.message()));
}

size_t Purger::pending() {
  absl::MutexLock lock(&mutex_);
  return pending_.size() + in_hand_;
}

void Purger::WaitForWork() {
  const auto has_work = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || !pending_.empty(); };
  const auto hurry = [this]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return stop_ || waiters_ > 0; };
  mutex_.Await(absl::Condition(&has_work));
  mutex_.AwaitWithTimeout(absl::Condition(&hurry), delay_);
}

void Purger::Run() {
  absl::MutexLock lock(&mutex_);
  for (;;) {
    WaitForWork();
    if (stop_) return;
    std::vector<Marker> markers;
    markers.swap(pending_);
    in_hand_ = markers.size();
    const uint64_t reached = added_;
    mutex_.Unlock();
    const absl::Status status = PurgeNow(markers);
    mutex_.Lock();
    last_error_ = status;
    in_hand_ = 0;
    if (status.ok()) {
      purged_ = reached;
      continue;
    }
    pending_.insert(pending_.end(), std::make_move_iterator(markers.begin()), std::make_move_iterator(markers.end()));
    // A view that still lives is waited for within Purge; after anything else a pause keeps the thread from spinning.
    if (!absl::IsDeadlineExceeded(status)) mutex_.AwaitWithTimeout(absl::Condition(&stop_), kPauseAfterError);
  }
}

absl::Status Purger::PurgeNow(const std::vector<Marker>& markers) {
  std::vector<std::string> keys;
  for (const Marker& marker : markers) keys.insert(keys.end(), marker.keys.begin(), marker.keys.end());
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  RETURN_IF_ERROR(engine_->Purge(keys, kTry));
  for (size_t start = 0; start < markers.size(); start += kMarkersPerBatch) {
    EngineBatch batch;
    for (size_t i = start; i < std::min(markers.size(), start + kMarkersPerBatch); ++i) {
      batch.writes.push_back({markers[i].engine_key, std::nullopt});
    }
    RETURN_IF_ERROR(engine_->Commit(batch, Durability::kBuffered).status());
  }
  return absl::OkStatus();
}

}  // namespace keyferry::storage
