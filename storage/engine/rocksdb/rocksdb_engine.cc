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
#include "rocksdb/write_batch.h"
#include "storage/engine/batch_check.h"
#include "storage/engine/change_feed.h"
#include "storage/engine/rocksdb/db_handle.h"
#include "storage/engine/rocksdb/db_view.h"
#include "storage/engine/rocksdb/format.h"
#include "storage/engine/rocksdb/purge.h"
#include "storage/engine/rocksdb/status.h"

namespace keyferry::storage {
namespace {

rocksdb::Slice ToSlice(absl::string_view text) { return rocksdb::Slice(text.data(), text.size()); }

// Writes are made one after the other under a lock, without a sync. A caller that needs one either leads it, for
// everything that was written until then, or waits for the leader, who hands the lead on to the first that it could not
// cover. Writes go on during a sync.
class RocksDbEngine : public Engine {
 public:
  RocksDbEngine(std::shared_ptr<DbHandle> handle, Revision newest)
      : handle_(std::move(handle)), feed_(newest), last_(newest), durable_(newest) {
    absl::MutexLock lock(&mu_);
    Publish(TakeView());
  }

  std::shared_ptr<const EngineSnapshot> Snapshot() override { return std::atomic_load(&published_); }

  absl::StatusOr<Revision> Commit(const EngineBatch& batch, Durability durability) override ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Sync() override ABSL_LOCKS_EXCLUDED(mu_);

  absl::StatusOr<std::unique_ptr<EngineWatch>> Watch(Revision after,
                                                     std::function<void(const EngineChange&)> on_change) override {
    return feed_.Watch(after, std::move(on_change));
  }

  absl::Status Purge(absl::Span<const std::string> keys, absl::Duration timeout) override ABSL_LOCKS_EXCLUDED(mu_);

  absl::Status Verify() override { return FromRocksDb(handle_->db().VerifyChecksum(), "verifying checksums"); }

 private:
  // A caller that waits for a sync.
  struct Waiter {
    Revision revision = 0;
    // Set before `woken`: the caller must lead the next sync; otherwise `result` is what it waited for.
    bool leads = false;
    absl::Status result;
    absl::Notification woken;
  };

  // Lets no later write in; hands the status back.
  absl::Status Fail(absl::Status status) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CheckUsable() const ABSL_SHARED_LOCKS_REQUIRED(mu_);
  absl::StatusOr<bool> Holds(const EngineBatch::Precondition& precondition) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::StatusOr<bool> AllHold(const EngineBatch& batch) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Write(const EngineBatch& batch) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  // Joins the group that makes everything up to `waiter.revision` durable; whether the caller leads.
  bool Join(Waiter& waiter) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // Waits for the outcome, and leads where it is the caller's turn.
  absl::Status Await(Waiter& waiter, bool leads) ABSL_LOCKS_EXCLUDED(mu_);
  absl::Status Lead() ABSL_LOCKS_EXCLUDED(mu_);

  std::shared_ptr<const DbView> TakeView() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    return std::make_shared<DbView>(handle_, handle_->AcquireSnapshot(), last_);
  }
  void Publish(std::shared_ptr<const DbView> view) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    shown_ = view->revision();
    std::atomic_store(&published_, std::move(view));
  }

  const std::shared_ptr<DbHandle> handle_;
  ChangeFeed feed_;
  // Read without the lock.
  std::shared_ptr<const DbView> published_;

  absl::Mutex mu_;
  rocksdb::WriteBatch writes_ ABSL_GUARDED_BY(mu_);
  Revision last_ ABSL_GUARDED_BY(mu_);
  Revision durable_ ABSL_GUARDED_BY(mu_);
  // The newest revision that must not be seen before it is durable.
  Revision last_synced_ ABSL_GUARDED_BY(mu_) = 0;
  // The revision of `published_`.
  Revision shown_ ABSL_GUARDED_BY(mu_) = 0;
  bool syncing_ ABSL_GUARDED_BY(mu_) = false;
  // In order of revision.
  std::deque<Waiter*> waiters_ ABSL_GUARDED_BY(mu_);
  // The first failed write or sync.
  absl::Status failure_ ABSL_GUARDED_BY(mu_);
};

absl::Status RocksDbEngine::Fail(absl::Status status) {
  if (failure_.ok()) failure_ = status;
  handle_->Abandon();
  return status;
}

absl::Status RocksDbEngine::CheckUsable() const {
  if (failure_.ok()) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("an earlier write failed, so the store takes no more until it is reopened; the first error was: ",
                   failure_.message()));
}

absl::StatusOr<bool> RocksDbEngine::Holds(const EngineBatch::Precondition& precondition) const {
  if (const auto known = handle_->cache().Find(precondition.key, last_); known.has_value()) {
    return precondition.revision == (known->has_value() ? (*known)->revision : 0);
  }
  rocksdb::PinnableSlice stored;
  const rocksdb::Status read = handle_->db().Get(rocksdb::ReadOptions(), handle_->db().DefaultColumnFamily(),
                                                 ToSlice(precondition.key), &stored);
  if (read.IsNotFound()) return precondition.revision == 0;
  if (!read.ok()) return FromRocksDb(read, "checking a precondition");
  if (stored.size() < kRevisionBytes) return absl::DataLossError("a stored value is shorter than its revision");
  return DecodeRevision(stored.data()) == precondition.revision;
}

absl::StatusOr<bool> RocksDbEngine::AllHold(const EngineBatch& batch) const {
  for (const EngineBatch::Precondition& precondition : batch.preconditions) {
    absl::StatusOr<bool> holds = Holds(precondition);
    if (!holds.ok() || !*holds) return holds;
  }
  return true;
}

absl::Status RocksDbEngine::Write(const EngineBatch& batch) {
  const Revision revision = last_ + 1;
  char prefix[kRevisionBytes];
  EncodeRevision(revision, prefix);
  EngineChange change;
  change.revision = revision;
  change.keys.reserve(batch.writes.size());
  writes_.Clear();
  for (const EngineBatch::Write& write : batch.writes) {
    change.keys.push_back(write.key);
    handle_->cache().Invalidate(write.key, revision);
    const rocksdb::Slice key = ToSlice(write.key);
    rocksdb::Status added;
    if (write.value.has_value()) {
      const rocksdb::Slice value[] = {rocksdb::Slice(prefix, sizeof(prefix)), ToSlice(*write.value)};
      added = writes_.Put(rocksdb::SliceParts(&key, 1), rocksdb::SliceParts(value, 2));
    } else {
      added = writes_.Delete(key);
    }
    if (!added.ok()) return FromRocksDb(added, "building a batch");
  }
  const std::string meta = EncodeMeta(revision);
  if (rocksdb::Status added = writes_.Put(ToSlice(kMetaKey), meta); !added.ok()) {
    return FromRocksDb(added, "building a batch");
  }
  rocksdb::WriteOptions options;
  options.sync = false;
  if (const rocksdb::Status written = handle_->db().Write(options, &writes_); !written.ok()) {
    return Fail(FromRocksDb(written, "writing"));
  }
  last_ = revision;
  feed_.Append(std::move(change));
  return absl::OkStatus();
}

absl::StatusOr<Revision> RocksDbEngine::Commit(const EngineBatch& batch, Durability durability) {
  if (absl::Status status = CheckEngineBatch(batch); !status.ok()) return status;
  Waiter waiter;
  bool leads = false;
  absl::Status outcome;
  {
    absl::MutexLock lock(&mu_);
    if (absl::Status status = CheckUsable(); !status.ok()) return status;
    const absl::StatusOr<bool> holds = AllHold(batch);
    if (!holds.ok()) return holds.status();
    if (!*holds) {
      outcome = absl::AbortedError("a key was changed by another commit");
      if (shown_ == last_) return outcome;
      // The caller reads again and retries: by then it must see what it collided with.
    } else {
      if (absl::Status status = Write(batch); !status.ok()) return status;
      if (durability == Durability::kBuffered) {
        // Nothing that waits for its sync may be seen with it; if there is such, its sync shows both.
        if (last_synced_ <= durable_) Publish(TakeView());
        return last_;
      }
      last_synced_ = last_;
    }
    waiter.revision = last_;
    leads = Join(waiter);
  }
  if (absl::Status status = Await(waiter, leads); !status.ok()) return status;
  if (!outcome.ok()) return outcome;
  return waiter.revision;
}

absl::Status RocksDbEngine::Sync() {
  Waiter waiter;
  bool leads = false;
  {
    absl::MutexLock lock(&mu_);
    if (absl::Status status = CheckUsable(); !status.ok()) return status;
    if (durable_ == last_) return absl::OkStatus();
    waiter.revision = last_;
    leads = Join(waiter);
  }
  return Await(waiter, leads);
}

bool RocksDbEngine::Join(Waiter& waiter) {
  if (!syncing_) {
    syncing_ = true;
    return true;
  }
  waiters_.push_back(&waiter);
  return false;
}

absl::Status RocksDbEngine::Await(Waiter& waiter, bool leads) {
  if (leads) return Lead();
  waiter.woken.WaitForNotification();
  return waiter.leads ? Lead() : waiter.result;
}

absl::Status RocksDbEngine::Lead() {
  std::shared_ptr<const DbView> view;
  {
    absl::MutexLock lock(&mu_);
    view = TakeView();
  }
  const Revision target = view->revision();
  const absl::Status synced = FromRocksDb(handle_->db().SyncWAL(), "syncing the log");

  std::vector<Waiter*> covered;
  Waiter* next = nullptr;
  {
    absl::MutexLock lock(&mu_);
    if (synced.ok()) {
      durable_ = std::max(durable_, target);
      if (last_synced_ <= durable_ && last_ > shown_) {
        // Buffered batches came during the sync, and nothing that still waits for one.
        Publish(TakeView());
      } else if (target > shown_) {
        Publish(std::move(view));
      }
    } else {
      Fail(synced).IgnoreError();
    }
    while (!waiters_.empty() && (!synced.ok() || waiters_.front()->revision <= target)) {
      waiters_.front()->result = synced;
      covered.push_back(waiters_.front());
      waiters_.pop_front();
    }
    if (waiters_.empty()) {
      syncing_ = false;
    } else {
      next = waiters_.front();
      waiters_.pop_front();
      next->leads = true;
    }
  }
  // A waiter is gone as soon as it is woken.
  if (next != nullptr) next->woken.Notify();
  for (Waiter* waiter : covered) waiter->woken.Notify();
  if (synced.ok()) feed_.Release(target);
  return synced;
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
  const absl::StatusOr<Revision> newest = (*handle)->ReadNewestRevision();
  if (!newest.ok()) return newest.status();
  return std::make_unique<RocksDbEngine>(*std::move(handle), *newest);
}

}  // namespace keyferry::storage
