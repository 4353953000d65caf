#include "storage/engine/rocksdb/rocksdb_engine.h"

#include <algorithm>
#include <deque>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "rocksdb/db.h"
#include "storage/counters.h"
#include "storage/engine/batch_check.h"
#include "storage/engine/change_feed.h"
#include "storage/engine/rocksdb/db_handle.h"
#include "storage/engine/rocksdb/db_statistics.h"
#include "storage/engine/rocksdb/db_view.h"
#include "storage/engine/rocksdb/group_writer.h"
#include "storage/engine/rocksdb/purge.h"
#include "storage/engine/rocksdb/status.h"

namespace keyferry::storage {
namespace {

// Commits pass two stages, each led by one of the callers. The writer takes what has gathered and writes it as one
// group, without a sync, then hands on to the first that came meanwhile. Of those that need a sync, one leads it for
// everything that was written until it began, and hands on to the first that it could not cover. A group is written
// during a sync.
class RocksDbEngine : public Engine {
 public:
  RocksDbEngine(std::shared_ptr<DbHandle> handle, Revision newest)
      : handle_(std::move(handle)),
        first_(newest),
        feed_(newest),
        writer_(handle_, &feed_, newest),
        last_(newest),
        durable_(newest) {
    absl::MutexLock lock(&mu_);
    newest_ = TakeView();
    Publish(newest_);
  }

  ~RocksDbEngine() override {
    absl::MutexLock lock(&mu_);
    if (failure_.ok()) writer_.Close();
  }

  std::shared_ptr<const EngineSnapshot> Snapshot() override { return std::atomic_load(&published_); }

  void SetCommitHook(CommitHook* hook) override { writer_.set_hook(hook); }

  absl::StatusOr<Revision> Commit(const EngineBatch& batch, Durability durability) override ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Sync() override ABSL_LOCKS_EXCLUDED(mu_);

  absl::StatusOr<std::unique_ptr<EngineWatch>> Watch(Revision after,
                                                     std::function<void(const EngineChange&)> on_change) override {
    return feed_.Watch(after, std::move(on_change));
  }

  absl::Status Purge(absl::Span<const std::string> keys, absl::Duration timeout) override ABSL_LOCKS_EXCLUDED(mu_);

  absl::Status Verify() override { return FromRocksDb(handle_->db().VerifyChecksum(), "verifying checksums"); }

  EngineStatistics Statistics() override ABSL_LOCKS_EXCLUDED(mu_);

 private:
  // What a caller does next.
  enum class Turn { kWrites, kSyncs, kDone, kWaits };

  // One Commit or Sync, on its caller's stack; others touch it, under the lock, until they wake it for the last time.
  struct Call {
    GroupWriter::Item item;
    bool synced = true;
    // What must be durable before it returns.
    Revision target = 0;
    // Set before it is woken.
    Turn turn = Turn::kWaits;
    absl::Status result;
    // It is woken to write, and once more after it has to wait for a sync.
    absl::Notification woken[2];
    int wakes = 0;
  };
  using Wakes = std::vector<absl::Notification*>;

  // Lets no later write in.
  void Fail(const absl::Status& status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    if (failure_.ok()) failure_ = status;
    handle_->Abandon();
  }
  absl::Status CheckUsable() const ABSL_SHARED_LOCKS_REQUIRED(mu_);

  // Takes the call from its first turn to its end.
  absl::Status Run(Call& call, Turn turn) ABSL_LOCKS_EXCLUDED(mu_);
  // Each leads one round, of which `own` is part, and answers its next turn.
  Turn LeadWrite(Call& own) ABSL_LOCKS_EXCLUDED(mu_);
  Turn LeadSync(Call& own) ABSL_LOCKS_EXCLUDED(mu_);

  std::vector<Call*> TakeGroup() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Shows what may be seen and sorts a written group into what is done and what waits for a sync.
  void Settle(const std::vector<Call*>& group, const Call& own, Wakes& wakes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Gives the lead of the next sync to `preferred` if it waits for one, else to the first that does.
  void HandOnSync(Call* preferred, const Call& own, Wakes& wakes) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Notes the turn, and the wake unless it is the caller's own.
  static void Give(Turn turn, Call& call, const Call& own, Wakes& wakes) {
    call.turn = turn;
    if (&call != &own) wakes.push_back(&call.woken[call.wakes++]);
  }

  // By the writer alone, so that snapshot and revision belong together.
  std::shared_ptr<const DbView> TakeView() {
    return std::make_shared<DbView>(handle_, handle_->AcquireSnapshot(), writer_.last());
  }
  void Publish(std::shared_ptr<const DbView> view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    shown_ = view->revision();
    std::atomic_store(&published_, std::move(view));
  }

  const std::shared_ptr<DbHandle> handle_;
  // That it was opened with.
  const Revision first_;
  LatencyCounter writes_;
  LatencyCounter syncs_;
  ChangeFeed feed_;
  // Used by whoever has set `writing_`.
  GroupWriter writer_;
  // Read without the lock.
  std::shared_ptr<const DbView> published_;

  absl::Mutex mu_;
  // The state after the newest group.
  std::shared_ptr<const DbView> newest_ ABSL_GUARDED_BY(mu_);
  Revision last_ ABSL_GUARDED_BY(mu_);
  Revision durable_ ABSL_GUARDED_BY(mu_);
  // The newest revision that must not be seen before it is durable.
  Revision last_synced_ ABSL_GUARDED_BY(mu_) = 0;
  // The revision of `published_`.
  Revision shown_ ABSL_GUARDED_BY(mu_) = 0;
  // Calls that are still to be written, in the order in which they came.
  std::deque<Call*> queue_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  // Calls that wait for a sync, group after group.
  std::deque<Call*> unsynced_ ABSL_GUARDED_BY(mu_);
  bool syncing_ ABSL_GUARDED_BY(mu_) = false;
  // The first failed write or sync.
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
};

absl::Status RocksDbEngine::CheckUsable() const {
  if (failure_.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("an earlier write failed, so the store takes no more until it is reopened; the first error was: ",
                   failure_.message()));
}

absl::StatusOr<Revision> RocksDbEngine::Commit(const EngineBatch& batch, Durability durability) {
  if (absl::Status status = CheckEngineBatch(batch); !status.ok()) return status;
  Call call;
  call.item.batch = &batch;
  call.synced = durability == Durability::kSynced;
  Turn turn = Turn::kWaits;
  {
    absl::MutexLock lock(&mu_);
    if (absl::Status status = CheckUsable(); !status.ok()) return status;
    queue_.push_back(&call);
    if (!writing_) turn = Turn::kWrites;
    writing_ = true;
  }
  if (absl::Status status = Run(call, turn); !status.ok()) return status;
  return call.item.revision;
}

absl::Status RocksDbEngine::Sync() {
  Call call;
  Turn turn = Turn::kWaits;
  {
    absl::MutexLock lock(&mu_);
    if (absl::Status status = CheckUsable(); !status.ok()) return status;
    if (durable_ == last_) return absl::OkStatus();
    call.target = last_;
    if (syncing_) {
      unsynced_.push_back(&call);
    } else {
      syncing_ = true;
      turn = Turn::kSyncs;
    }
  }
  return Run(call, turn);
}

absl::Status RocksDbEngine::Run(Call& call, Turn turn) {
  for (int waits = 0; turn != Turn::kDone;) {
    switch (turn) {
      case Turn::kWrites:
        turn = LeadWrite(call);
        break;
      case Turn::kSyncs:
        turn = LeadSync(call);
        break;
      default:
        call.woken[waits++].WaitForNotification();
        turn = call.turn;
    }
  }
  return call.result;
}

std::vector<RocksDbEngine::Call*> RocksDbEngine::TakeGroup() {
  constexpr size_t kMaxCalls = 128;
  constexpr size_t kMaxBytes = size_t{1} << 20;
  std::vector<Call*> group;
  for (size_t bytes = 0; !queue_.empty() && group.size() < kMaxCalls && bytes < kMaxBytes; queue_.pop_front()) {
    for (const EngineBatch::Write& write : queue_.front()->item.batch->writes) {
      bytes += write.key.size() + (write.value.has_value() ? write.value->size() : 0);
    }
    group.push_back(queue_.front());
  }
  return group;
}

RocksDbEngine::Turn RocksDbEngine::LeadWrite(Call& own) {
  std::vector<Call*> group;
  absl::Status usable;
  {
    absl::MutexLock lock(&mu_);
    group = TakeGroup();
    usable = CheckUsable();
  }
  std::vector<GroupWriter::Item*> items;
  items.reserve(group.size());
  for (Call* call : group) items.push_back(&call->item);
  absl::Status written = usable;
  std::shared_ptr<const DbView> view;
  if (usable.ok()) {
    const absl::Time start = absl::Now();
    written = writer_.Write(absl::MakeSpan(items));
    writes_.Add(absl::Now() - start);
    if (written.ok()) view = TakeView();
  } else {
    for (Call* call : group) call->item.status = usable;
  }

  Wakes wakes;
  Turn next = Turn::kWaits;
  {
    absl::MutexLock lock(&mu_);
    if (usable.ok() && !written.ok()) Fail(written);
    if (view != nullptr) {
      last_ = view->revision();
      newest_ = std::move(view);
    }
    own.turn = Turn::kWaits;
    Settle(group, own, wakes);
    if (!syncing_ && !unsynced_.empty()) HandOnSync(&own, own, wakes);
    writing_ = !queue_.empty();
    if (writing_) Give(Turn::kWrites, *queue_.front(), own, wakes);
    next = own.turn;
  }
  // A call is gone as soon as it is woken for the last time.
  for (absl::Notification* wake : wakes) wake->Notify();
  return next;
}

void RocksDbEngine::Settle(const std::vector<Call*>& group, const Call& own, Wakes& wakes) {
  for (const Call* call : group) {
    if (call->item.status.ok() && call->synced) last_synced_ = std::max(last_synced_, call->item.revision);
  }
  // Nothing that waits for its sync may be seen; if there is such, its sync shows it with all others.
  if (last_synced_ <= durable_ && last_ > shown_) Publish(newest_);
  for (Call* call : group) {
    call->result = call->item.status;
    call->target = last_;
    // What lost to another commit is read again and repeated: by then it must see what it collided with.
    const bool collided = absl::IsAborted(call->result) && shown_ < last_;
    if (collided || (call->result.ok() && call->synced)) {
      unsynced_.push_back(call);
    } else {
      Give(Turn::kDone, *call, own, wakes);
    }
  }
}

void RocksDbEngine::HandOnSync(Call* preferred, const Call& own, Wakes& wakes) {
  auto leader = std::find(unsynced_.begin(), unsynced_.end(), preferred);
  if (leader == unsynced_.end()) leader = unsynced_.begin();
  Call& call = **leader;
  unsynced_.erase(leader);
  syncing_ = true;
  Give(Turn::kSyncs, call, own, wakes);
}

RocksDbEngine::Turn RocksDbEngine::LeadSync(Call& own) {
  std::shared_ptr<const DbView> view;
  {
    absl::MutexLock lock(&mu_);
    view = newest_;
  }
  const Revision target = view->revision();
  const absl::Time start = absl::Now();
  const absl::Status synced = FromRocksDb(handle_->db().SyncWAL(), "syncing the log");
  syncs_.Add(absl::Now() - start);

  Wakes wakes;
  {
    absl::MutexLock lock(&mu_);
    if (synced.ok()) {
      durable_ = std::max(durable_, target);
      // Where nothing waits for a sync any more, buffered batches that came during this one are shown with it.
      if (last_synced_ <= durable_) view = newest_;
      if (view->revision() > shown_) Publish(std::move(view));
    } else {
      Fail(synced);
    }
    unsynced_.push_front(&own);
    while (!unsynced_.empty() && (!synced.ok() || unsynced_.front()->target <= target)) {
      Call& call = *unsynced_.front();
      unsynced_.pop_front();
      if (!synced.ok()) call.result = synced;
      Give(Turn::kDone, call, own, wakes);
    }
    syncing_ = false;
    if (!unsynced_.empty()) HandOnSync(/*preferred=*/nullptr, own, wakes);
  }
  for (absl::Notification* wake : wakes) wake->Notify();
  if (synced.ok()) feed_.Release(target);
  return Turn::kDone;
}

EngineStatistics RocksDbEngine::Statistics() {
  EngineStatistics statistics;
  AddDbStatistics(handle_->db(), &statistics);
  handle_->compactions().AddTo(&statistics);
  statistics.write_latency = writes_.Value();
  statistics.sync_latency = syncs_.Value();
  absl::MutexLock lock(&mu_);
  statistics.batches = last_ - first_;
  statistics.failed = !failure_.ok();
  return statistics;
}

absl::Status RocksDbEngine::Purge(absl::Span<const std::string> keys, absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (const std::string& key : keys) {
    if (absl::Status status = CheckEngineKey(key); !status.ok()) return status;
  }
  if (keys.empty()) return absl::OkStatus();
  if (absl::Status status = Sync(); !status.ok()) return status;
  // The published view may itself be one that still shows an old value.
  const std::shared_ptr<const DbView> view = std::atomic_load(&published_);
  std::vector<std::string> sorted(keys.begin(), keys.end());
  std::sort(sorted.begin(), sorted.end());
  sorted.erase(std::unique(sorted.begin(), sorted.end()), sorted.end());
  return PurgeKeys(*handle_, sorted, view->sequence(), deadline);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Engine>> OpenRocksDbEngine(const RocksDbOptions& options) {
  absl::StatusOr<std::shared_ptr<DbHandle>> handle =
      DbHandle::Open(options.path, options.create, options.memory_budget, options.file_system);
  if (!handle.ok()) return handle.status();
  const absl::StatusOr<Revision> newest = (*handle)->ReadRevisionBound();
  if (!newest.ok()) return newest.status();
  return std::make_unique<RocksDbEngine>(*std::move(handle), *newest == 0 ? options.first_after : *newest);
}

}  // namespace keyferry::storage
