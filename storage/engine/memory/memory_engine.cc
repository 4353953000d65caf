#include "storage/engine/memory/memory_engine.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/strings/match.h"
#include "absl/synchronization/mutex.h"
#include "storage/engine/batch_check.h"
#include "storage/engine/change_feed.h"

namespace keyferry::storage {
namespace {

// One state of a key; an absent value is a deletion.
struct Version {
  Revision revision = 0;
  std::optional<std::string> value;
};

// The versions of each key, oldest first, and the views that may still ask for old ones. Thread-safe.
class Versions {
 public:
  Revision OpenView() ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    views_.insert(last_);
    return last_;
  }

  void CloseView(Revision revision) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    views_.erase(views_.find(revision));
  }

  std::optional<EngineEntry> Get(absl::string_view key, Revision at) const ABSL_LOCKS_EXCLUDED(mu_) {
    absl::ReaderMutexLock lock(&mu_);
    const auto it = keys_.find(key);
    if (it == keys_.end()) return std::nullopt;
    return EntryAt(it->first, it->second, at);
  }

  // At most `limit` entries with the prefix and greater than `after`.
  std::vector<EngineEntry> List(absl::string_view prefix, absl::string_view after, Revision at, size_t limit) const
      ABSL_LOCKS_EXCLUDED(mu_) {
    absl::ReaderMutexLock lock(&mu_);
    std::vector<EngineEntry> entries;
    auto it = after < prefix ? keys_.lower_bound(prefix) : keys_.upper_bound(after);
    for (; it != keys_.end() && entries.size() < limit && absl::StartsWith(it->first, prefix); ++it) {
      if (std::optional<EngineEntry> entry = EntryAt(it->first, it->second, at)) entries.push_back(*std::move(entry));
    }
    return entries;
  }

  void SetHook(CommitHook* hook) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    hook_ = hook;
  }

  absl::StatusOr<Revision> Apply(const EngineBatch& batch, ChangeFeed& feed) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    for (const EngineBatch::Precondition& precondition : batch.preconditions) {
      if (CurrentRevision(precondition.key) != precondition.revision) {
        return absl::AbortedError("a key was changed by another commit");
      }
    }
    std::vector<EngineBatch::Write> more;
    if (hook_ != nullptr) {
      const EngineBatch* const accepted[] = {&batch};
      if (absl::Status extended = hook_->Extend(accepted, more); !extended.ok()) return extended;
      hook_->Written(/*ok=*/true);
    }
    EngineChange change;
    change.revision = ++last_;
    for (const auto* writes : {&batch.writes, static_cast<const std::vector<EngineBatch::Write>*>(&more)}) {
      for (const EngineBatch::Write& write : *writes) {
        change.keys.push_back(write.key);
        std::vector<Version>& versions = keys_[write.key];
        versions.push_back({last_, write.value});
        DropUnseen(versions);
      }
    }
    feed.Append(std::move(change));
    feed.Release(last_);
    return last_;
  }

  bool AwaitNoOlderViews(absl::Duration timeout) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    const Revision now = last_;
    const auto none_older = [&]()
                                ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return views_.empty() || *views_.begin() >= now; };
    return mu_.AwaitWithTimeout(absl::Condition(&none_older), timeout);
  }

  void DropOld(absl::Span<const std::string> keys) ABSL_LOCKS_EXCLUDED(mu_) {
    absl::MutexLock lock(&mu_);
    for (const std::string& key : keys) {
      const auto it = keys_.find(key);
      if (it == keys_.end()) continue;
      DropUnseen(it->second);
      if (it->second.size() == 1 && !it->second.back().value.has_value()) keys_.erase(it);
    }
  }

 private:
  static std::optional<EngineEntry> EntryAt(const std::string& key, const std::vector<Version>& versions, Revision at) {
    const auto newest = std::find_if(versions.rbegin(), versions.rend(),
                                     [at](const Version& version) { return version.revision <= at; });
    if (newest == versions.rend() || !newest->value.has_value()) return std::nullopt;
    return EngineEntry{key, *newest->value, newest->revision};
  }

  Revision CurrentRevision(absl::string_view key) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const auto it = keys_.find(key);
    if (it == keys_.end() || !it->second.back().value.has_value()) return 0;
    return it->second.back().revision;
  }

  // Drops the versions that neither a view nor a new one can reach.
  void DropUnseen(std::vector<Version>& versions) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) {
    const Revision oldest = views_.empty() ? last_ : *views_.begin();
    auto reachable = versions.begin();
    while (std::next(reachable) != versions.end() && std::next(reachable)->revision <= oldest) ++reachable;
    versions.erase(versions.begin(), reachable);
  }

  mutable absl::Mutex mu_;
  CommitHook* hook_ ABSL_GUARDED_BY(mu_) = nullptr;
  std::map<std::string, std::vector<Version>, std::less<>> keys_ ABSL_GUARDED_BY(mu_);
  std::multiset<Revision> views_ ABSL_GUARDED_BY(mu_);
  Revision last_ ABSL_GUARDED_BY(mu_) = 0;
};

class MemorySnapshot : public EngineSnapshot {
 public:
  explicit MemorySnapshot(std::shared_ptr<Versions> versions)
      : versions_(std::move(versions)), revision_(versions_->OpenView()) {}
  ~MemorySnapshot() override { versions_->CloseView(revision_); }

  Revision revision() const override { return revision_; }

  absl::StatusOr<std::optional<EngineEntry>> Get(absl::string_view key) const override {
    return versions_->Get(key, revision_);
  }

  // Reads ahead in steps, so that `visit` runs without the lock and may use the engine.
  absl::Status Scan(absl::string_view prefix, absl::string_view after,
                    const std::function<bool(const EngineEntry&)>& visit) const override {
    constexpr size_t kStep = 64;
    std::string last(after);
    while (true) {
      const std::vector<EngineEntry> entries = versions_->List(prefix, last, revision_, kStep);
      for (const EngineEntry& entry : entries) {
        if (!visit(entry)) return absl::OkStatus();
      }
      if (entries.size() < kStep) return absl::OkStatus();
      last = entries.back().key;
    }
  }

 private:
  const std::shared_ptr<Versions> versions_;
  const Revision revision_;
};

class MemoryEngine : public Engine {
 public:
  std::shared_ptr<const EngineSnapshot> Snapshot() override { return std::make_shared<MemorySnapshot>(versions_); }

  void SetCommitHook(CommitHook* hook) override { versions_->SetHook(hook); }

  absl::StatusOr<Revision> Commit(const EngineBatch& batch, Durability durability) override {
    if (absl::Status status = CheckEngineBatch(batch); !status.ok()) return status;
    return versions_->Apply(batch, feed_);
  }

  absl::Status Sync() override { return absl::OkStatus(); }

  absl::StatusOr<std::unique_ptr<EngineWatch>> Watch(Revision after,
                                                     std::function<void(const EngineChange&)> on_change) override {
    return feed_.Watch(after, std::move(on_change));
  }

  absl::Status Purge(absl::Span<const std::string> keys, absl::Duration timeout) override {
    for (const std::string& key : keys) {
      if (absl::Status status = CheckEngineKey(key); !status.ok()) return status;
    }
    if (!versions_->AwaitNoOlderViews(timeout)) {
      return absl::DeadlineExceededError("a view from before the purge is still in use; purge again later");
    }
    versions_->DropOld(keys);
    return absl::OkStatus();
  }

  absl::Status Verify() override { return absl::OkStatus(); }

 private:
  const std::shared_ptr<Versions> versions_ = std::make_shared<Versions>();
  ChangeFeed feed_{/*last=*/0};
};

}  // namespace

std::unique_ptr<Engine> NewMemoryEngine() { return std::make_unique<MemoryEngine>(); }

}  // namespace keyferry::storage
