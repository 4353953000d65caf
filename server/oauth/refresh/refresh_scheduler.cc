#include "server/oauth/refresh/refresh_scheduler.h"

#include <algorithm>
#include <chrono>
#include <cstring>
#include <utility>

#include "server/errors.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/loaded_connection.h"
#include "server/oauth/refresh/refresh_outcome.h"
#include "server/status_macros.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

using State = Schedule::State;

// How often the wall clock is looked at, which may be set.
constexpr absl::Duration kWallTick = absl::Seconds(30);
constexpr absl::Duration kSetBack = absl::Minutes(5);
constexpr size_t kOwnerBytes = 16;

absl::Time MonotonicNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

double SystemRandom() {
  uint64_t bits = 0;
  uint8_t bytes[sizeof bits];
  storage::RandomBytes(absl::MakeSpan(bytes));
  std::memcpy(&bits, bytes, sizeof bits);
  // The 53 bits that a double holds.
  return static_cast<double>(bits >> 11) * 0x1p-53;
}

absl::Status Draining() {
  v1::ErrorDetail detail;
  detail.set_reason("SERVER_DRAINING");
  detail.set_next_step("Repeat the call.");
  return MakeError(absl::StatusCode::kUnavailable, "the server is stopping", detail);
}

}  // namespace

// One call of Refresh. Answered exactly once, also if it is dropped with the queue.
class RefreshScheduler::Asker {
 public:
  Asker(bool force, std::function<void(absl::Status)> done) : force(force), done_(std::move(done)) {}
  ~Asker() {
    if (done_ != nullptr) done_(Draining());
  }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;
  void Answer(const absl::Status& status) { std::exchange(done_, nullptr)(status); }

  const bool force;

 private:
  std::function<void(absl::Status)> done_;
};

RefreshScheduler::RefreshScheduler(RefreshContext context, storage::Revision since)
    : context_(std::move(context)),
      schedule_(context_.options.max_in_flight),
      last_wall_(context_.clock()),
      last_monotonic_(context_.monotonic_clock()),
      noticed_(since) {}

absl::StatusOr<std::unique_ptr<RefreshScheduler>> RefreshScheduler::Start(storage::Store* store, TokenClient* client,
                                                                          Clocks clocks, Logger* logger,
                                                                          RefreshOptions options) {
  RefreshContext context;
  context.store = store;
  context.client = client;
  context.clock = std::move(clocks.wall);
  context.monotonic_clock = clocks.monotonic != nullptr ? std::move(clocks.monotonic) : MonotonicNow;
  context.believed_clock = std::make_shared<BelievedClock>(context.clock, context.monotonic_clock);
  context.random = clocks.random != nullptr ? std::move(clocks.random) : SystemRandom;
  context.logger = logger;
  context.owner = storage::RandomString(kOwnerBytes);
  context.options = options;
  context.queue = std::make_shared<WorkQueue>("oauth-refresh", options.threads, context.monotonic_clock);
  RETURN_IF_ERROR(store->Sync());
  const storage::Revision since = store->View()->revision();
  std::unique_ptr<RefreshScheduler> scheduler(new RefreshScheduler(std::move(context), since));
  ASSIGN_OR_RETURN(scheduler->feed_,
                   store->Watch(since, [s = scheduler.get()](const auto& change) { s->OnChange(change); }));
  scheduler->context_.queue->Post([s = scheduler.get()] { s->ScanAll(); });
  return scheduler;
}

RefreshScheduler::~RefreshScheduler() {
  feed_.reset();
  context_.queue->Stop();
  absl::flat_hash_map<Index, Flight> flights;
  absl::MutexLock lock(&mutex_);
  flights.swap(flights_);
}

void RefreshScheduler::StopBeginning() {
  absl::MutexLock lock(&mutex_);
  draining_ = true;
}

void RefreshScheduler::LetAskersGo() {
  // Told with their end, without the lock.
  std::vector<std::shared_ptr<Asker>> left;
  absl::MutexLock lock(&mutex_);
  draining_ = true;
  for (auto& [index, flight] : flights_) {
    std::move(flight.askers.begin(), flight.askers.end(), std::back_inserter(left));
    flight.askers.clear();
  }
}

void RefreshScheduler::Drain(absl::Duration timeout) {
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    const auto is_idle = [this]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return schedule_.running() == 0; };
    mutex_.AwaitWithTimeout(absl::Condition(&is_idle), timeout);
  }
  LetAskersGo();
}

RefreshStatus RefreshScheduler::status() const {
  absl::MutexLock lock(&mutex_);
  RefreshStatus status = counted_;
  status.connections = static_cast<int64_t>(schedule_.size());
  status.due = static_cast<int64_t>(schedule_.ready());
  status.in_flight = static_cast<int64_t>(schedule_.running());
  status.waiting = static_cast<int64_t>(schedule_.waiting());
  const int64_t now = absl::ToUnixNanos(context_.clock());
  schedule_.ForEach([&](Index, const Schedule::Entry& entry) {
    if (entry.connect_needed) {
      ++status.connect_needed;
    } else if (entry.failing) {
      ++status.failing;
    }
    if (entry.state != State::kReady && entry.state != State::kUrgent) return;
    status.longest_overdue = std::max(status.longest_overdue, absl::Nanoseconds(now - std::min(entry.due, now)));
  });
  return status;
}

void RefreshScheduler::Refresh(const ConnectionKey& key, bool force, std::function<void(absl::Status)> done) {
  auto asker = std::make_shared<Asker>(force, std::move(done));
  context_.queue->Post([this, key, asker] { Ask(key, asker); });
}

void RefreshScheduler::Ask(const ConnectionKey& key, std::shared_ptr<Asker> asker) {
  const auto view = context_.store->View();
  const auto watch_key = view->WatchKeyOf(ConnectionRecordKey(storage::Table::kConnection, key));
  if (absl::IsNotFound(watch_key.status())) return asker->Answer(NotFound(ConnectionName(key)));
  const auto loaded = LoadConnection(*view, key);
  if (!watch_key.ok() || !loaded.ok()) {
    return asker->Answer(FromStore(watch_key.ok() ? loaded.status() : watch_key.status(), ConnectionName(key)));
  }
  // The usual case, which takes no turn, also while its provider hangs.
  const absl::Time now = context_.clock();
  const RefreshReason reason = asker->force ? RefreshReason::kForced : RefreshReason::kAsked;
  const absl::Duration pause = PauseOf(key);
  const Need need = Assess(*loaded, now, reason, pause > absl::ZeroDuration());
  const auto answer = AnswerAtOnce(need, key, *loaded, now, pause);
  if (answer.has_value()) return asker->Answer(*answer);
  {
    absl::MutexLock lock(&mutex_);
    if (draining_) return;
    const std::optional<Index> known = schedule_.Find(*watch_key);
    const Index index = known.has_value() ? *known : schedule_.Add(*watch_key, key);
    flights_[index].askers.push_back(std::move(asker));
    // What waits for another server shares its outcome.
    if (schedule_.at(index).state != State::kWaiting) {
      schedule_.Enqueue(index, /*urgent=*/true, context_.monotonic_clock());
    }
  }
  Turn();
}

absl::Duration RefreshScheduler::PauseOf(const ConnectionKey& key) const {
  absl::MutexLock lock(&mutex_);
  const std::optional<uint32_t> line = schedule_.FindLine(key.org, key.provider);
  if (!line.has_value()) return absl::ZeroDuration();
  return std::max(schedule_.PausedUntil(*line) - context_.monotonic_clock(), absl::ZeroDuration());
}

void RefreshScheduler::Turn() {
  absl::MutexLock lock(&mutex_);
  const absl::Time now = context_.clock();
  const absl::Time monotonic_now = context_.monotonic_clock();
  NoticeClock(now, monotonic_now);
  schedule_.FireDue(now, monotonic_now);
  while (scanned_ && !draining_) {
    const std::optional<Index> next = schedule_.Admit(monotonic_now);
    if (!next.has_value()) break;
    Begin(*next);
  }
  SetAlarm(now, monotonic_now);
}

void RefreshScheduler::Begin(Index index) {
  Flight& flight = flights_[index];
  const bool forced = std::any_of(flight.askers.begin(), flight.askers.end(), [](const auto& a) { return a->force; });
  flight.reason = forced                   ? RefreshReason::kForced
                  : !flight.askers.empty() ? RefreshReason::kAsked
                                           : RefreshReason::kSchedule;
  flight.touched = 0;
  context_.queue->Post([this, index, key = schedule_.KeyOf(index), reason = flight.reason, lease = flight.lease,
                        paused_until = schedule_.PausedUntil(schedule_.at(index).line)] {
    RefreshRun::Start(&context_, key, reason, paused_until, lease,
                      [this, index](RunResult result) { OnRun(index, std::move(result)); });
  });
}

void RefreshScheduler::SetAlarm(absl::Time now, absl::Time monotonic_now) {
  absl::Time next = schedule_.NextSlot();
  const absl::Time due = schedule_.NextDue();
  if (due != absl::InfiniteFuture()) next = std::min(next, monotonic_now + std::min(due - now, kWallTick));
  next = std::max(next, monotonic_now);
  if (next == absl::InfiniteFuture() || next >= alarm_ || draining_ || !scanned_) return;
  alarm_ = next;
  context_.queue->PostAt(next, [this, next] { OnAlarm(next); });
}

void RefreshScheduler::OnAlarm(absl::Time set_for) {
  {
    absl::MutexLock lock(&mutex_);
    // A later one was replaced by one for an earlier time, which has set what follows.
    if (alarm_ != set_for) return;
    alarm_ = absl::InfiniteFuture();
  }
  Turn();
}

void RefreshScheduler::NoticeClock(absl::Time now, absl::Time monotonic_now) {
  const absl::Duration jump = (now - last_wall_) - (monotonic_now - last_monotonic_);
  last_wall_ = now;
  last_monotonic_ = monotonic_now;
  // For it to notice as well.
  context_.believed_clock->Now();
  if (jump < -kSetBack) context_.queue->Post([this] { ScanAll(); });
}

void RefreshScheduler::OnRun(Index index, RunResult result) {
  std::vector<std::shared_ptr<Asker>> answered;
  {
    absl::MutexLock lock(&mutex_);
    Count(result);
    std::optional<bool> answers;
    if (result.exchanged) answers = result.failure != TokenErrorKind::kTemporary;
    schedule_.Pause(schedule_.at(index).line, result.paused_until, context_.monotonic_clock());
    const State state = result.waits_for.has_value() ? State::kWaiting : State::kIdle;
    schedule_.End(index, state, result.exchanged, answers, context_.monotonic_clock());
    if (state == State::kWaiting) {
      Hold(index, result);
    } else {
      answered = Settle(index, result);
    }
  }
  for (const auto& asker : answered) asker->Answer(result.status);
  Turn();
}

void RefreshScheduler::Count(const RunResult& result) {
  if (result.dropped) ++counted_.dropped;
  if (result.not_stored) ++counted_.not_stored;
  if (!result.exchanged) return;
  if (!result.failure.has_value()) {
    if (!result.dropped && !result.not_stored) ++counted_.refreshed;
    return;
  }
  switch (*result.failure) {
    case TokenErrorKind::kInvalidGrant:
      ++counted_.invalid_grant;
      break;
    case TokenErrorKind::kRejected:
      ++counted_.rejected;
      break;
    case TokenErrorKind::kTemporary:
      ++counted_.temporary;
      break;
    case TokenErrorKind::kRateLimited:
      ++counted_.rate_limited;
      break;
  }
}

void RefreshScheduler::Hold(Index index, const RunResult& result) {
  Flight& flight = flights_[index];
  flight.lease = result.waits_for;
  const storage::WatchKey key = schedule_.at(index).key;
  if (flight.touched > result.revision) {
    Wake(index);
  } else {
    context_.queue->PostAt(flight.lease->since + context_.options.lease, [this, key] { Retry(key); });
  }
}

std::vector<std::shared_ptr<RefreshScheduler::Asker>> RefreshScheduler::Settle(Index index, const RunResult& result) {
  Flight flight = std::move(flights_[index]);
  flights_.erase(index);
  Schedule::Entry& entry = schedule_.at(index);
  if (result.absent) {
    NoteGone(entry.key, result.revision);
    // Made anew meanwhile, perhaps.
    if (flight.touched > result.revision || entry.seen > result.revision) {
      unknown_[entry.key] = std::max(flight.touched, entry.seen);
      Later();
    }
    schedule_.Remove(index);
    return std::move(flight.askers);
  }
  entry.seen = std::max(entry.seen, result.revision);
  entry.failing = result.failing;
  entry.connect_needed = result.connect_needed;
  schedule_.SetDue(index, result.next);
  if (flight.touched > result.revision) {
    changed_.push_back(entry.key);
    context_.queue->Post([this] { Relook(); });
  }
  // Those who came later and want more than a look.
  std::vector<std::shared_ptr<Asker>> unsatisfied;
  if (!result.exchanged && flight.reason != RefreshReason::kForced && result.status.ok()) {
    const auto forced = std::stable_partition(flight.askers.begin(), flight.askers.end(),
                                              [](const auto& asker) { return !asker->force; });
    std::move(forced, flight.askers.end(), std::back_inserter(unsatisfied));
    flight.askers.erase(forced, flight.askers.end());
  }
  if (!unsatisfied.empty()) {
    flights_[index].askers = std::move(unsatisfied);
    schedule_.Enqueue(index, /*urgent=*/true, context_.monotonic_clock());
  }
  return std::move(flight.askers);
}

void RefreshScheduler::Retry(const storage::WatchKey& key) {
  {
    absl::MutexLock lock(&mutex_);
    const std::optional<Index> index = schedule_.Find(key);
    if (!index.has_value() || !Wake(*index)) return;
  }
  Turn();
}

bool RefreshScheduler::Wake(Index index) {
  if (schedule_.at(index).state != State::kWaiting) return false;
  const bool asked = !flights_[index].askers.empty();
  schedule_.Enqueue(index, asked, context_.monotonic_clock());
  return true;
}

void RefreshScheduler::RunDue() {
  do {
    Turn();
  } while (context_.queue->RunDue());
}

void RefreshScheduler::AwaitRevision(storage::Revision revision) {
  absl::MutexLock lock(&mutex_);
  const auto is_noticed = [this, revision]() ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return noticed_ >= revision; };
  mutex_.Await(absl::Condition(&is_noticed));
}

}  // namespace keyferry::server
