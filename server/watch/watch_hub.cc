#include "server/watch/watch_hub.h"

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/status_macros.h"
#include "server/watch/watcher.h"

namespace keyferry::server {
namespace {

// How often the clock that tokens expire by is looked at: it may be set, unlike the monotonic one.
constexpr absl::Duration kExpiryTick = absl::Milliseconds(500);
constexpr absl::Duration kMaxDebounce = absl::Seconds(10);

absl::Time MonotonicNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

absl::Status TooMany(const std::string& whose) {
  v1::ErrorDetail detail;
  detail.set_reason("TOO_MANY_WATCHERS");
  detail.set_resource(whose);
  detail.set_next_step("End watches that are not needed, or let one process watch for several.");
  return MakeError(absl::StatusCode::kResourceExhausted, absl::StrCat(whose, ": too many watches are open"), detail);
}

absl::Status Draining() {
  v1::ErrorDetail detail;
  detail.set_reason("SERVER_DRAINING");
  detail.set_next_step("Watch again, from the revision that you have.");
  return MakeError(absl::StatusCode::kUnavailable, "the server is stopping", detail);
}

// The request is one level down.
absl::Status InResolve(const absl::Status& status) {
  v1::ErrorDetail detail;
  if (!absl::IsInvalidArgument(status) || !GetDetail(status, &detail)) return status;
  detail.set_field(absl::StrCat("resolve.", detail.field()));
  return MakeError(status.code(), absl::StrCat("resolve.", status.message()), detail);
}

absl::StatusOr<absl::Duration> DebounceOf(const v1::WatchRequest& request, absl::Duration otherwise) {
  if (!request.has_debounce()) return otherwise;
  const google::protobuf::Duration& asked = request.debounce();
  const bool readable = asked.seconds() >= 0 && asked.seconds() <= absl::ToInt64Seconds(kMaxDebounce) &&
                        asked.nanos() >= 0 && asked.nanos() < 1'000'000'000;
  const absl::Duration debounce = absl::Seconds(asked.seconds()) + absl::Nanoseconds(asked.nanos());
  if (readable && debounce <= kMaxDebounce) return debounce;
  return InvalidField("debounce", "not between 0 and 10 seconds", "Leave it out for 100 milliseconds.");
}

}  // namespace

WatchHub::WatchHub(storage::Store* store, Resolver* resolver, ProcessTable* processes, CallerSource callers,
                   std::function<absl::Time()> clock, WatchOptions options, ConnectionRefresher* refresher,
                   storage::Revision since)
    : store_(store),
      resolver_(resolver),
      processes_(processes),
      callers_(std::move(callers)),
      clock_(std::move(clock)),
      options_(std::move(options)),
      refresher_(refresher),
      recent_(since, options_.recent_changes) {}

absl::StatusOr<std::unique_ptr<WatchHub>> WatchHub::Start(storage::Store* store, Resolver* resolver,
                                                          ProcessTable* processes, CallerSource callers,
                                                          std::function<absl::Time()> clock, WatchOptions options,
                                                          ConnectionRefresher* refresher) {
  if (options.monotonic_clock == nullptr) options.monotonic_clock = MonotonicNow;
  // What is durable now survives, so that its revision means the same after a restart.
  RETURN_IF_ERROR(store->Sync());
  const storage::Revision since = store->View()->revision();
  std::unique_ptr<WatchHub> hub(new WatchHub(store, resolver, processes, std::move(callers), std::move(clock),
                                             std::move(options), refresher, since));
  {
    absl::MutexLock lock(&hub->bridge_->mutex);
    hub->bridge_->hub = hub.get();
  }
  ASSIGN_OR_RETURN(hub->feed_, store->Watch(since, [h = hub.get()](const auto& change) { h->OnChange(change); }));
  for (size_t i = 0; i < hub->options_.threads; ++i) hub->threads_.emplace_back([h = hub.get()] { h->RunWorker(); });
  if (hub->options_.threads > 0) hub->threads_.emplace_back([h = hub.get()] { h->RunTimers(); });
  return hub;
}

WatchHub::~WatchHub() {
  feed_.reset();
  {
    absl::MutexLock lock(&bridge_->mutex);
    bridge_->hub = nullptr;
  }
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    work_.SignalAll();
    timers_changed_.SignalAll();
  }
  for (std::thread& thread : threads_) thread.join();
}

absl::Status WatchHub::TakePlace(const std::string& principal, const std::string& org) {
  if (draining_) return Draining();
  if (watchers_.size() >= options_.max_total) return TooMany("the server");
  size_t& of_org = by_org_[org];
  size_t& of_principal = by_principal_[principal];
  absl::Status refused;
  if (of_principal >= options_.max_per_principal) refused = TooMany(principal);
  if (refused.ok() && of_org >= options_.max_per_org) refused = TooMany(absl::StrCat("orgs/", org));
  if (refused.ok()) {
    ++of_org;
    ++of_principal;
    return refused;
  }
  if (of_org == 0) by_org_.erase(org);
  if (of_principal == 0) by_principal_.erase(principal);
  return refused;
}

absl::StatusOr<WatchId> WatchHub::Open(const Caller& caller, const v1::WatchRequest& request, WatchSink* sink) {
  if (const absl::Status status = resolver_->Check(caller, request.resolve());
      !status.ok() && !absl::IsFailedPrecondition(status)) {
    return InResolve(status);
  }
  if (request.resume_revision() < 0) {
    return InvalidField("resume_revision", "negative", "Send the revision of an environment, or 0.");
  }
  if (request.confirms() && !request.resolve().has_process()) {
    return InvalidField("confirms", "no process is described", "Describe it in resolve.process, or leave this out.");
  }
  auto watcher = std::make_unique<Watcher>();
  watcher->confirms = request.confirms();
  ASSIGN_OR_RETURN(watcher->debounce, DebounceOf(request, options_.default_debounce));
  watcher->org = caller.org;
  watcher->principal = caller.Name();
  watcher->token_hash = caller.token_hash;
  watcher->external = caller.external != nullptr;
  watcher->user_create_time = caller.user_create_time;
  watcher->peer = caller.peer;
  *watcher->request = request.resolve();
  watcher->resume = static_cast<storage::Revision>(request.resume_revision());
  watcher->sink = sink;
  absl::MutexLock lock(&mutex_);
  RETURN_IF_ERROR(TakePlace(watcher->principal, watcher->org));
  const WatchId id = watcher->id = next_id_++;
  watcher->last_write = options_.monotonic_clock();
  Watcher* const opened = watcher.get();
  watchers_[id] = std::move(watcher);
  SetExpiry(opened, caller.token_expire_time);
  Enqueue(opened);
  return id;
}

void WatchHub::OnChange(const storage::StoreChange& change) {
  absl::MutexLock lock(&mutex_);
  recent_.Add(change);
  for (const storage::StoreChange::Touched& touched : change.records) {
    if (!IsWatched(touched.table)) continue;
    for (const auto& [index, urgent] : {std::make_pair(&caller_index_, true), std::make_pair(&answer_index_, false)}) {
      const auto watchers = index->find(touched.key);
      if (watchers == index->end()) continue;
      for (Watcher* watcher : watchers->second) Touch(watcher, urgent);
    }
  }
}

void WatchHub::CheckCallers() {
  absl::MutexLock lock(&mutex_);
  for (const auto& [id, watcher] : watchers_) {
    watcher->check = true;
    if (watcher->state == Watcher::kIdle || watcher->state == Watcher::kWaiting) Enqueue(watcher.get());
  }
}

void WatchHub::Touch(Watcher* watcher, bool urgent) {
  if (!watcher->dirty) {
    watcher->dirty = true;
    watcher->dirty_since = options_.monotonic_clock();
  }
  if (urgent) watcher->check = true;
  if (watcher->state != Watcher::kIdle && watcher->state != Watcher::kWaiting) return;
  if (urgent) {
    Enqueue(watcher);
  } else if (watcher->state == Watcher::kIdle) {
    watcher->state = Watcher::kWaiting;
    SetTimer(watcher, watcher->dirty_since + watcher->debounce);
  }
}

void WatchHub::Enqueue(Watcher* watcher) {
  SetTimer(watcher, absl::InfiniteFuture());
  watcher->state = Watcher::kQueued;
  ready_.Push(watcher->org, watcher);
  work_.Signal();
}

void WatchHub::SetTimer(Watcher* watcher, absl::Time time) {
  if (watcher->timer != absl::InfiniteFuture()) timers_.erase({watcher->timer, watcher});
  watcher->timer = time;
  if (time == absl::InfiniteFuture()) return;
  timers_.insert({time, watcher});
  if (timers_.begin()->second == watcher) timers_changed_.Signal();
}

void WatchHub::SetExpiry(Watcher* watcher, absl::Time time) {
  if (watcher->expiry != absl::InfiniteFuture()) expiries_.erase({watcher->expiry, watcher});
  watcher->expiry = time;
  if (time == absl::InfiniteFuture()) return;
  expiries_.insert({time, watcher});
  // From the first on they are looked at every now and then.
  if (expiries_.size() == 1) timers_changed_.Signal();
}

void WatchHub::FireTimers() {
  const absl::Time wall = clock_();
  while (!expiries_.empty() && expiries_.begin()->first <= wall) {
    Watcher* const watcher = expiries_.begin()->second;
    SetExpiry(watcher, absl::InfiniteFuture());
    watcher->check = true;
    // It may be that of a token in the answer.
    watcher->dirty = true;
    watcher->dirty_since = absl::InfinitePast();
    if (watcher->state == Watcher::kIdle || watcher->state == Watcher::kWaiting) Enqueue(watcher);
  }
  const absl::Time now = options_.monotonic_clock();
  while (!timers_.empty() && timers_.begin()->first <= now) Enqueue(timers_.begin()->second);
}

void WatchHub::OnWritten(WatchId id, bool written) {
  Watcher* watcher = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    watcher = watchers_.at(id).get();
    if (!written && !watcher->ending.has_value()) watcher->ending = absl::CancelledError("the receiver has gone");
  }
  // Nobody else touches it while its state is kWriting.
  Settle(watcher);
}

void WatchHub::Cancel(WatchId id) {
  std::unique_ptr<Watcher> removed;
  const absl::Status status = absl::CancelledError("the receiver has gone");
  {
    absl::MutexLock lock(&mutex_);
    const auto found = watchers_.find(id);
    if (found == watchers_.end()) return;
    Watcher* const watcher = found->second.get();
    if (watcher->state == Watcher::kIdle || watcher->state == Watcher::kWaiting) {
      removed = Remove(watcher);
    } else if (!watcher->ending.has_value()) {
      watcher->ending = status;
    }
  }
  if (removed != nullptr) Finish(std::move(removed), status);
}

void WatchHub::Drain() {
  std::vector<std::unique_ptr<Watcher>> removed;
  {
    absl::MutexLock lock(&mutex_);
    draining_ = true;
    std::vector<Watcher*> idle;
    for (const auto& [id, watcher] : watchers_) {
      if (watcher->state == Watcher::kIdle || watcher->state == Watcher::kWaiting) {
        idle.push_back(watcher.get());
      } else if (!watcher->ending.has_value()) {
        watcher->ending = Draining();
      }
    }
    for (Watcher* watcher : idle) removed.push_back(Remove(watcher));
  }
  for (std::unique_ptr<Watcher>& watcher : removed) Finish(std::move(watcher), Draining());
}

size_t WatchHub::open() const {
  absl::MutexLock lock(&mutex_);
  return watchers_.size();
}

void WatchHub::RunDue() {
  while (true) {
    Watcher* watcher = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      FireTimers();
      if (ready_.empty()) return;
      watcher = ready_.Pop();
    }
    Run(watcher);
  }
}

void WatchHub::AwaitRevision(storage::Revision revision) {
  const auto reached = [&]() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) { return recent_.revision() >= revision; };
  absl::MutexLock lock(&mutex_, absl::Condition(&reached));
}

void WatchHub::RunWorker() {
  while (true) {
    Watcher* watcher = nullptr;
    {
      absl::MutexLock lock(&mutex_);
      while (!HasWork()) work_.Wait(&mutex_);
      if (ready_.empty()) return;
      watcher = ready_.Pop();
    }
    Run(watcher);
  }
}

void WatchHub::RunTimers() {
  absl::MutexLock lock(&mutex_);
  while (!stopping_) {
    FireTimers();
    absl::Duration wait = expiries_.empty() ? absl::InfiniteDuration() : kExpiryTick;
    if (!timers_.empty()) wait = std::min(wait, timers_.begin()->first - options_.monotonic_clock());
    if (wait > absl::ZeroDuration()) timers_changed_.WaitWithTimeout(&mutex_, wait);
  }
}

}  // namespace keyferry::server
