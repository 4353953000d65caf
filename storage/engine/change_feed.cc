#include "storage/engine/change_feed.h"

#include <algorithm>
#include <deque>
#include <list>
#include <thread>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"

namespace keyferry::storage {

struct ChangeFeed::Watcher {
  std::function<void(const EngineChange&)> on_change;
  Revision delivered = 0;
  bool ended = false;
  bool running = false;
};

struct ChangeFeed::State {
  explicit State(Revision last_revision, size_t max_changes)
      : capacity(max_changes), last(last_revision), released(last_revision) {}

  void Run() ABSL_LOCKS_EXCLUDED(mu);
  // Hands the watcher what it has not had yet, without the lock; whether there was anything.
  bool Deliver(const std::shared_ptr<Watcher>& watcher) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void Trim() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu);
  void End(const std::shared_ptr<Watcher>& watcher) ABSL_LOCKS_EXCLUDED(mu);
  Revision FirstKept() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu) { return last + 1 - changes.size(); }

  const size_t capacity;
  absl::Mutex mu;
  absl::CondVar work;
  absl::CondVar idle;
  // The changes FirstKept() to `last`.
  std::deque<std::shared_ptr<const EngineChange>> changes ABSL_GUARDED_BY(mu);
  Revision last ABSL_GUARDED_BY(mu);
  Revision released ABSL_GUARDED_BY(mu);
  std::list<std::shared_ptr<Watcher>> watchers ABSL_GUARDED_BY(mu);
  bool stopping ABSL_GUARDED_BY(mu) = false;
  std::thread thread;
};

class ChangeFeed::Handle : public EngineWatch {
 public:
  Handle(std::shared_ptr<State> state, std::shared_ptr<Watcher> watcher)
      : state_(std::move(state)), watcher_(std::move(watcher)) {}
  ~Handle() override { state_->End(watcher_); }

 private:
  const std::shared_ptr<State> state_;
  const std::shared_ptr<Watcher> watcher_;
};

ChangeFeed::ChangeFeed(Revision last, size_t capacity) : state_(std::make_shared<State>(last, capacity)) {
  state_->thread = std::thread([state = state_.get()] { state->Run(); });
}

ChangeFeed::~ChangeFeed() {
  {
    absl::MutexLock lock(&state_->mu);
    state_->stopping = true;
    state_->work.Signal();
  }
  state_->thread.join();
}

void ChangeFeed::Append(EngineChange change) {
  auto shared = std::make_shared<const EngineChange>(std::move(change));
  absl::MutexLock lock(&state_->mu);
  state_->last = shared->revision;
  state_->changes.push_back(std::move(shared));
  state_->Trim();
}

void ChangeFeed::Release(Revision durable) {
  absl::MutexLock lock(&state_->mu);
  if (durable <= state_->released) return;
  state_->released = durable;
  if (!state_->watchers.empty()) state_->work.Signal();
}

absl::StatusOr<std::unique_ptr<EngineWatch>> ChangeFeed::Watch(Revision after,
                                                               std::function<void(const EngineChange&)> on_change) {
  auto watcher = std::make_shared<Watcher>();
  watcher->on_change = std::move(on_change);
  watcher->delivered = after;
  absl::MutexLock lock(&state_->mu);
  if (after > state_->last || after + 1 < state_->FirstKept()) {
    return absl::OutOfRangeError(
        absl::StrCat("changes after revision ", after, " are not kept: read a snapshot and watch from its revision"));
  }
  state_->watchers.push_back(watcher);
  state_->work.Signal();
  return std::make_unique<Handle>(state_, std::move(watcher));
}

void ChangeFeed::State::Run() {
  absl::MutexLock lock(&mu);
  while (!stopping) {
    bool delivered = false;
    // Watchers may come and go while the lock is not held.
    const std::vector<std::shared_ptr<Watcher>> current(watchers.begin(), watchers.end());
    for (const std::shared_ptr<Watcher>& watcher : current) {
      if (!stopping) delivered |= Deliver(watcher);
    }
    if (delivered) {
      Trim();
    } else if (!stopping) {
      work.Wait(&mu);
    }
  }
}

bool ChangeFeed::State::Deliver(const std::shared_ptr<Watcher>& watcher) {
  constexpr Revision kBatch = 256;
  if (watcher->ended || watcher->delivered >= released) return false;
  const Revision end = std::min(released, watcher->delivered + kBatch);
  const auto first = changes.begin() + (watcher->delivered + 1 - FirstKept());
  const std::vector<std::shared_ptr<const EngineChange>> batch(first, first + (end - watcher->delivered));
  for (const std::shared_ptr<const EngineChange>& change : batch) {
    if (watcher->ended || stopping) break;
    watcher->running = true;
    mu.Unlock();
    watcher->on_change(*change);
    mu.Lock();
    watcher->running = false;
    watcher->delivered = change->revision;
    if (watcher->ended) idle.SignalAll();
  }
  return true;
}

// A change stays beyond the capacity while a watcher still waits for it.
void ChangeFeed::State::Trim() {
  Revision needed = last;
  for (const std::shared_ptr<Watcher>& watcher : watchers) needed = std::min(needed, watcher->delivered);
  while (changes.size() > capacity && FirstKept() <= needed) changes.pop_front();
}

void ChangeFeed::State::End(const std::shared_ptr<Watcher>& watcher) {
  absl::MutexLock lock(&mu);
  watcher->ended = true;
  watchers.remove(watcher);
  if (std::this_thread::get_id() == thread.get_id()) return;
  while (watcher->running) idle.Wait(&mu);
}

}  // namespace keyferry::storage
