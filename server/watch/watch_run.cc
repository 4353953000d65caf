// What one watcher does when it is its turn.
#include <algorithm>
#include <optional>

#include "server/errors.h"
#include "server/identity/authenticator.h"
#include "server/resolution/when_refreshed.h"
#include "server/status_macros.h"
#include "server/watch/watch_hub.h"
#include "server/watch/watcher.h"

namespace keyferry::server {
namespace {

// How long nothing is sent for a token that is being refreshed.
constexpr absl::Duration kLongestWait = absl::Seconds(20);

absl::Status SomebodyElse() {
  v1::ErrorDetail detail;
  detail.set_reason("TOKEN_UNKNOWN");
  detail.set_next_step("Watch again, if you still may.");
  return MakeError(absl::StatusCode::kUnauthenticated, "whoever began the watch is not there any more", detail);
}

// Whether Resolve's refusal ends the watch; others are states that may pass.
bool Ends(const absl::Status& status) {
  if (status.ok() || absl::IsFailedPrecondition(status)) return false;
  v1::ErrorDetail detail;
  return !absl::IsUnavailable(status) || !GetDetail(status, &detail) || detail.reason() != "PROVIDER_UNAVAILABLE";
}

absl::StatusOr<std::vector<storage::WatchKey>> ToKeys(const storage::StoreView& view,
                                                      const std::vector<storage::RecordKey>& records) {
  std::vector<storage::WatchKey> keys;
  keys.reserve(records.size());
  for (const storage::RecordKey& record : records) {
    ASSIGN_OR_RETURN(const storage::WatchKey key, view.WatchKeyOf(record));
    keys.push_back(key);
  }
  const auto less = [](const storage::WatchKey& a, const storage::WatchKey& b) {
    return a.high != b.high ? a.high < b.high : a.low < b.low;
  };
  std::sort(keys.begin(), keys.end(), less);
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  return keys;
}

}  // namespace

// What a turn decided.
struct WatchHub::Outcome {
  // Not OK: the watch ends.
  absl::Status end;
  // To be sent, if there is any.
  std::optional<storage::Wiped<v1::WatchResponse>> message;
};

void WatchHub::Run(Watcher* watcher) {
  bool resolve = false, ending = false;
  storage::Revision since = 0;
  std::optional<storage::Wiped<v1::WatchResponse>> heartbeat;
  {
    absl::MutexLock lock(&mutex_);
    const absl::Time now = options_.monotonic_clock();
    watcher->state = Watcher::kRunning;
    watcher->check = false;
    ending = watcher->ending.has_value();
    if (watcher->awaiting != absl::InfinitePast() && now >= watcher->awaiting) {
      watcher->awaiting = absl::InfinitePast();
      watcher->dirty = true;
      watcher->dirty_since = absl::InfinitePast();
    }
    // Whatever the feed has told by now is in every view from here on, and no cache is older.
    since = recent_.revision();
    resolve = watcher->dirty && now >= watcher->dirty_since + watcher->debounce;
    if (resolve) watcher->dirty = false;
    if (!watcher->dirty && !resolve && now >= watcher->last_write + options_.heartbeat) {
      heartbeat.emplace();
      (*heartbeat)->mutable_heartbeat()->set_revision(static_cast<int64_t>(since));
    }
  }
  if (ending) return Settle(watcher);
  const auto caller = callers_(watcher->token_hash, watcher->external);
  if (!caller.ok()) return End(watcher, caller.status());
  if ((*caller)->user_create_time != watcher->user_create_time) return End(watcher, SomebodyElse());
  if (!resolve) {
    const absl::Status allowed = resolver_->Check(**caller, *watcher->request);
    if (Ends(allowed)) return End(watcher, allowed);
    if (!heartbeat.has_value()) return Settle(watcher);
    return Send(watcher, *std::move(heartbeat));
  }
  Outcome outcome = Resolve(watcher, **caller, since);
  if (!outcome.end.ok()) return End(watcher, outcome.end);
  if (!outcome.message.has_value()) return Settle(watcher);
  Send(watcher, *std::move(outcome.message));
}

WatchHub::Outcome WatchHub::Resolve(Watcher* watcher, const Caller& caller, storage::Revision since) {
  Outcome outcome;
  Dependencies dependencies;
  Awaited awaited;
  awaited.waited = refresher_ == nullptr || HasWaited(watcher);
  absl::StatusOr<Resolution> resolution = resolver_->Compute(caller, *watcher->request, &dependencies, &awaited);
  if (Ends(resolution.status())) {
    outcome.end = resolution.status();
    return outcome;
  }
  outcome.end = Register(watcher, caller, std::move(dependencies), since);
  if (!outcome.end.ok() || AwaitTokens(watcher, awaited.connections)) return outcome;

  const storage::Revision resume = std::exchange(watcher->resume, 0);
  const auto await_confirmation = [&](storage::Revision revision) {
    if (!watcher->confirms) return;
    resolution->event.holding = Holding::kOnceConfirmed;
    resolution->event.revision = static_cast<int64_t>(revision);
  };
  if (resolution.ok() && resume > 0 && resume <= since) {
    bool stands = false;
    {
      absl::MutexLock lock(&mutex_);
      stands = StillStands(*watcher, resume);
    }
    if (stands) {
      // What the receiver holds is known but for changes that the feed has yet to tell; whatever comes is sent.
      await_confirmation(resume);
      if (processes_ != nullptr) TrackProcess(watcher, processes_->Observe(resolution->event, clock_()));
      return outcome;
    }
  }
  absl::Status problem = resolution.status();
  if (problem.ok()) {
    const Fingerprinter::Fingerprint fingerprint = fingerprinter_.Of(*resolution->response);
    if (watcher->sent == fingerprint) return outcome;
    await_confirmation(since);
    problem = resolver_->RecordWatched(watcher->peer, &*resolution);
    if (Ends(problem)) {
      outcome.end = problem;
      return outcome;
    }
    if (problem.ok()) {
      watcher->sent = fingerprint;
      TrackProcess(watcher, resolution->response->process());
      resolution->response->set_revision(static_cast<int64_t>(since));
      outcome.message.emplace();
      (*outcome.message)->mutable_environment()->Swap(&*resolution->response);
      return outcome;
    }
  }
  v1::ErrorDetail detail;
  GetDetail(problem, &detail);
  const Fingerprinter::Fingerprint fingerprint = fingerprinter_.Of(detail);
  if (watcher->sent == fingerprint) return outcome;
  watcher->sent = fingerprint;
  outcome.message.emplace();
  *(*outcome.message)->mutable_problem() = detail;
  return outcome;
}

bool WatchHub::HasWaited(const Watcher* watcher) const {
  absl::MutexLock lock(&mutex_);
  return !watcher->asked.empty() && watcher->awaiting == absl::InfinitePast();
}

bool WatchHub::AwaitTokens(Watcher* watcher, const std::vector<ConnectionKey>& connections) {
  std::vector<ConnectionKey> fresh;
  for (const ConnectionKey& key : connections) {
    if (std::find(watcher->asked.begin(), watcher->asked.end(), key) == watcher->asked.end()) fresh.push_back(key);
  }
  watcher->asked = connections;
  const WatchId id = watcher->id;
  {
    absl::MutexLock lock(&mutex_);
    if (refresher_ == nullptr || connections.empty()) watcher->awaiting = absl::InfinitePast();
    // It may have been woken by something else.
    if (refresher_ == nullptr || fresh.empty()) return watcher->awaiting != absl::InfinitePast();
    watcher->awaiting = options_.monotonic_clock() + kLongestWait;
  }
  WhenRefreshed(refresher_, fresh, [bridge = bridge_, id] {
    absl::MutexLock lock(&bridge->mutex);
    if (bridge->hub != nullptr) bridge->hub->OnRefreshed(id);
  });
  return true;
}

void WatchHub::OnRefreshed(WatchId id) {
  absl::MutexLock lock(&mutex_);
  const auto found = watchers_.find(id);
  if (found == watchers_.end()) return;
  found->second->awaiting = absl::InfinitePast();
  Touch(found->second.get(), /*urgent=*/false);
}

absl::Time WatchHub::NextTimer(const Watcher& watcher) const {
  const absl::Time heartbeat = watcher.last_write + options_.heartbeat;
  return watcher.awaiting == absl::InfinitePast() ? heartbeat : std::min(heartbeat, watcher.awaiting);
}

void WatchHub::TrackProcess(Watcher* watcher, const std::string& process) {
  if (processes_ == nullptr || process.empty() || !watcher->process.empty()) return;
  if (processes_->WatchBegins(process)) watcher->process = process;
}

absl::Status WatchHub::Register(Watcher* watcher, const Caller& caller, Dependencies dependencies,
                                storage::Revision since) {
  for (storage::RecordKey& record : RecordsOf(caller)) dependencies.caller.push_back(std::move(record));
  const std::unique_ptr<storage::StoreView> view = store_->View();
  auto caller_keys = ToKeys(*view, dependencies.caller);
  if (!caller_keys.ok()) return FromStore(caller_keys.status(), watcher->request->mcp_server());
  auto answer_keys = ToKeys(*view, dependencies.answer);
  if (!answer_keys.ok()) return FromStore(answer_keys.status(), watcher->request->mcp_server());

  absl::MutexLock lock(&mutex_);
  SetExpiry(watcher, std::min({caller.token_expire_time, dependencies.expire_time, dependencies.answer_expire_time}));
  SetKeys(&caller_index_, watcher, &watcher->caller_keys, *std::move(caller_keys));
  SetKeys(&answer_index_, watcher, &watcher->answer_keys, *std::move(answer_keys));
  // What was told between the reading and now has woken nobody for keys that are new.
  const auto changed = [&](const storage::WatchKey& key)
                           ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return recent_.MayHaveChanged(key, since); };
  if (std::any_of(watcher->caller_keys.begin(), watcher->caller_keys.end(), changed)) {
    Touch(watcher, /*urgent=*/true);
  } else if (std::any_of(watcher->answer_keys.begin(), watcher->answer_keys.end(), changed)) {
    Touch(watcher, /*urgent=*/false);
  }
  return absl::OkStatus();
}

bool WatchHub::StillStands(const Watcher& watcher, storage::Revision resume) const {
  const auto stands = [&](const storage::WatchKey& key)
                          ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return !recent_.MayHaveChanged(key, resume); };
  return recent_.Knows(resume) && std::all_of(watcher.caller_keys.begin(), watcher.caller_keys.end(), stands) &&
         std::all_of(watcher.answer_keys.begin(), watcher.answer_keys.end(), stands);
}

void WatchHub::SetKeys(Index* index, Watcher* watcher, std::vector<storage::WatchKey>* held,
                       std::vector<storage::WatchKey> keys) {
  if (*held == keys) return;
  for (const storage::WatchKey& key : *held) {
    const auto found = index->find(key);
    found->second.erase(watcher);
    if (found->second.empty()) index->erase(found);
  }
  for (const storage::WatchKey& key : keys) (*index)[key].insert(watcher);
  *held = std::move(keys);
  held->shrink_to_fit();
}

void WatchHub::Send(Watcher* watcher, storage::Wiped<v1::WatchResponse> message) {
  WatchSink* sink = nullptr;
  {
    absl::MutexLock lock(&mutex_);
    if (!watcher->ending.has_value()) {
      watcher->state = Watcher::kWriting;
      watcher->last_write = options_.monotonic_clock();
      sink = watcher->sink;
    }
  }
  // It may be written, and the watcher gone, before this returns.
  if (sink != nullptr) return sink->Write(std::move(message));
  Settle(watcher);
}

void WatchHub::Settle(Watcher* watcher) {
  std::unique_ptr<Watcher> removed;
  absl::Status status;
  {
    absl::MutexLock lock(&mutex_);
    if (watcher->ending.has_value()) {
      status = *watcher->ending;
      removed = Remove(watcher);
    } else if (watcher->check) {
      Enqueue(watcher);
    } else if (watcher->dirty) {
      watcher->state = Watcher::kWaiting;
      SetTimer(watcher, watcher->dirty_since + watcher->debounce);
    } else {
      watcher->state = Watcher::kIdle;
      SetTimer(watcher, NextTimer(*watcher));
    }
  }
  if (removed != nullptr) Finish(std::move(removed), status);
}

std::unique_ptr<WatchHub::Watcher> WatchHub::Remove(Watcher* watcher) {
  SetTimer(watcher, absl::InfiniteFuture());
  SetExpiry(watcher, absl::InfiniteFuture());
  SetKeys(&caller_index_, watcher, &watcher->caller_keys, {});
  SetKeys(&answer_index_, watcher, &watcher->answer_keys, {});
  for (const auto& [counts, name] :
       {std::make_pair(&by_principal_, &watcher->principal), std::make_pair(&by_org_, &watcher->org)}) {
    const auto count = counts->find(*name);
    if (--count->second == 0) counts->erase(count);
  }
  const auto found = watchers_.find(watcher->id);
  std::unique_ptr<Watcher> removed = std::move(found->second);
  watchers_.erase(found);
  return removed;
}

void WatchHub::Finish(std::unique_ptr<Watcher> watcher, const absl::Status& status) {
  if (!watcher->process.empty()) processes_->WatchEnds(watcher->process, clock_());
  WatchSink* const sink = watcher->sink;
  watcher.reset();
  sink->Finish(status);
}

void WatchHub::End(Watcher* watcher, const absl::Status& status) {
  std::unique_ptr<Watcher> removed;
  {
    absl::MutexLock lock(&mutex_);
    removed = Remove(watcher);
  }
  Finish(std::move(removed), status);
}

}  // namespace keyferry::server
