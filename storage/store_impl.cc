#include "storage/store_impl.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/envelope.h"
#include "storage/header.h"
#include "storage/status_macros.h"
#include "storage/store_view.h"

namespace keyferry::storage {
namespace {

// A commit that keeps colliding with changes of keyrings gives up after this many tries.
constexpr int kMaxTries = 8;
constexpr size_t kErasedPerBatch = 1000;
constexpr size_t kHeadsPerBatch = 64;
constexpr absl::Duration kPurgeWait = PurgeBound();

std::string DestroyedKey(absl::string_view org_tag) { return SpaceKey(Space::kDestroyedOrg, org_tag); }

std::string TagString(const Prf::Tag& tag) { return std::string(tag.data(), tag.size()); }

absl::Status NeedsOrg() { return absl::InvalidArgumentError("the organization is empty"); }

}  // namespace

std::unique_ptr<StoreView> StoreImpl::View() {
  return std::make_unique<StoreViewImpl>(engine_->Snapshot(), &keyrings_, &records_);
}

absl::StatusOr<std::shared_ptr<const OrgKeys>> StoreImpl::KeysFor(absl::string_view org, Plan& plan) {
  for (const std::shared_ptr<const OrgKeys>& keys : plan.keyrings) {
    if (keys->org() == org) return keys;
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const OrgKeys> keys, keyrings_.Get(org));
  // A commit must not seal with a key that a rotation has just retired, nor write for an org that is being destroyed.
  plan.batch.preconditions.push_back({keys->engine_key(), keys->revision()});
  plan.keyrings.push_back(keys);
  return keys;
}

absl::StatusOr<StoreImpl::Plan> StoreImpl::MakePlan(const Mutation& mutation) {
  Plan plan;
  plan.attachment = std::make_unique<CommitExtension::Attachment>();
  std::vector<std::string> replaced;
  plan.batch.writes.reserve(mutation.changes().size() + 1);
  for (const Mutation::Change& change : mutation.changes()) {
    RETURN_IF_ERROR(CheckSpace(change.key.table, change.key.org));
    ASSIGN_OR_RETURN(const std::shared_ptr<const OrgKeys> keys, KeysFor(change.key.org, plan));
    const RecordKeyBytes key = keys->RecordKeyFor(change.key.table, change.key.parent, change.key.id);
    std::string engine_key(key.view());
    if (change.expected.has_value()) plan.batch.preconditions.push_back({engine_key, *change.expected});
    if (change.kind == Mutation::Change::kRequire) continue;
    if (HoldsValues(change.key.table) && change.expected != Revision{0}) replaced.push_back(engine_key);
    std::optional<std::string> value;
    if (change.kind == Mutation::Change::kPut) {
      RETURN_IF_ERROR(keys->seal_counter().Take(1));
      records_.seals.Add();
      value = SealRecord(keys->current(), keys->current_id(), engine_key, change.version, change.payload);
    }
    plan.batch.writes.push_back({std::move(engine_key), std::move(value)});
  }
  RETURN_IF_ERROR(PlanJournals(mutation, plan));
  plan.attachment->replaced = std::move(replaced);
  plan.batch.attachment = plan.attachment.get();
  return plan;
}

absl::StatusOr<JournalChain::Append*> StoreImpl::JournalFor(absl::string_view org, Plan& plan) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const OrgKeys> keys, KeysFor(org, plan));
  std::vector<JournalChain::Append>& appends = plan.attachment->appends;
  for (JournalChain::Append& append : appends) {
    if (append.keys == keys) return &append;
  }
  RETURN_IF_ERROR(keys->seal_counter().Take(JournalChain::kSealsPerAppend));
  RETURN_IF_ERROR(chain_.Prepare(*engine_->Snapshot(), *keys));
  appends.emplace_back();
  appends.back().keys = keys;
  return &appends.back();
}

absl::Status StoreImpl::PlanJournals(const Mutation& mutation, Plan& plan) {
  constexpr size_t kMaxEntryBytes = size_t{512} << 10;
  constexpr size_t kErasedBlocks = 1000;
  for (const Mutation::JournalAppend& entry : mutation.appends()) {
    ASSIGN_OR_RETURN(JournalChain::Append * append, JournalFor(entry.org, plan));
    append->bytes += entry.entry.size();
    if (entry.entry.size() > kMaxEntryBytes || append->bytes > JournalChain::kMaxAppendBytes) {
      return absl::InvalidArgumentError("an entry of a journal is too large");
    }
    append->entries.push_back(entry.entry);
    append->digests.push_back(Sha256({entry.entry}));
    append->contexts.push_back(entry.context);
  }
  for (const Mutation::JournalPrune& prune : mutation.prunes()) {
    ASSIGN_OR_RETURN(JournalChain::Append * append, JournalFor(prune.org, plan));
    append->first_block = prune.first_block;
    append->first_sequence = prune.first_sequence;
    append->first_previous_hash = prune.previous_hash;
    // Older ones went with earlier prunes.
    const uint64_t oldest = prune.first_block > kErasedBlocks ? prune.first_block - kErasedBlocks : 1;
    for (uint64_t number = oldest; number < prune.first_block; ++number) {
      plan.batch.writes.push_back({append->keys->JournalBlockKey(number), std::nullopt});
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<bool> StoreImpl::KeyringsChanged(const Plan& plan) {
  bool changed = false;
  const std::shared_ptr<const EngineSnapshot> snapshot = engine_->Snapshot();
  for (const std::shared_ptr<const OrgKeys>& keys : plan.keyrings) {
    ASSIGN_OR_RETURN(const std::optional<EngineEntry> entry, snapshot->Get(keys->engine_key()));
    if (entry.has_value() && entry->revision == keys->revision()) continue;
    changed = true;
    RETURN_IF_ERROR(keyrings_.Reload(keys->org()).status());
  }
  return changed;
}

absl::StatusOr<Revision> StoreImpl::Commit(const Mutation& mutation, Durability durability) {
  return CommitWithHeads(mutation, /*orgs=*/{}, durability);
}

absl::Status StoreImpl::SaveJournalHeads() {
  const std::vector<std::string> orgs = chain_.Unsaved();
  absl::Status first_problem;
  for (absl::Span<const std::string> left = orgs; !left.empty();) {
    const absl::Span<const std::string> some = left.subspan(0, kHeadsPerBatch);
    left.remove_prefix(some.size());
    if (CommitWithHeads(Mutation(), some, Durability::kBuffered).ok()) continue;
    // An org that is gone must not hold up the others.
    for (size_t i = 0; i < some.size(); ++i) {
      const absl::Status saved = CommitWithHeads(Mutation(), some.subspan(i, 1), Durability::kBuffered).status();
      if (absl::IsNotFound(saved)) {
        chain_.Forget(some[i]);
      } else {
        first_problem.Update(saved);
      }
    }
  }
  return first_problem;
}

absl::Status StoreImpl::Sync() {
  RETURN_IF_ERROR(SaveJournalHeads());
  return engine_->Sync();
}

absl::StatusOr<Revision> StoreImpl::CommitWithHeads(const Mutation& mutation, absl::Span<const std::string> orgs,
                                                    Durability durability) {
  for (int tries = 0; tries < kMaxTries; ++tries) {
    ASSIGN_OR_RETURN(Plan plan, MakePlan(mutation));
    for (const std::string& org : orgs) RETURN_IF_ERROR(JournalFor(org, plan).status());
    plan.attachment->save_heads = durability == Durability::kSynced || !orgs.empty();
    const absl::StatusOr<Revision> revision = engine_->Commit(plan.batch, durability);
    if (!absl::IsAborted(revision.status())) {
      // After an error it may be unknown whether the batch was applied, so readers must look again in any case.
      (revision.ok() ? commits_ : failed_commits_).Add();
      AfterCommit(mutation, revision.ok() ? std::move(plan) : Plan());
      return revision;
    }
    ASSIGN_OR_RETURN(const bool changed, KeyringsChanged(plan));
    if (!changed) {
      aborted_commits_.Add();
      return absl::AbortedError("a record has changed since it was read");
    }
  }
  aborted_commits_.Add();
  return absl::AbortedError("the organization's keyring keeps changing");
}

void StoreImpl::AfterCommit(const Mutation& mutation, Plan plan) {
  for (const Mutation::Change& change : mutation.changes()) {
    if (change.kind != Mutation::Change::kRequire) ++generations_[static_cast<uint8_t>(change.key.table)];
  }
  for (const std::shared_ptr<const OrgKeys>& keys : plan.keyrings) {
    if (keys->seal_counter().known() >= tuning_.seal_limit) {
      rewrapper_.RequestRotation(keys->org(), keys->current_id());
    }
  }
}

absl::Status StoreImpl::CreateKeyring(absl::string_view org) {
  if (org.empty()) return NeedsOrg();
  const std::string org_tag = TagString(root_->OrgTag(org));
  // An org of the same name may have been destroyed and its removal interrupted.
  RETURN_IF_ERROR(EraseRecords(org_tag));
  return keyrings_.Create(org, [&](EngineBatch& batch) { batch.preconditions.push_back({DestroyedKey(org_tag), 0}); });
}

absl::Status StoreImpl::DestroyOrg(absl::string_view org) {
  if (org.empty()) return NeedsOrg();
  const std::string org_tag = TagString(root_->OrgTag(org));
  Purger::Marker marker;
  RETURN_IF_ERROR(keyrings_.Destroy(org, [&](EngineBatch& batch) {
    batch.writes.push_back({DestroyedKey(org_tag), std::string()});
    marker = Purger::AddMarker({keyrings_.KeyringKey(org)}, batch);
  }));
  purger_.Add(std::move(marker));
  for (std::atomic<uint64_t>& generation : generations_) ++generation;
  RETURN_IF_ERROR(EraseRecords(org_tag));
  return purger_.Wait(absl::Now() + kPurgeWait);
}

absl::Status StoreImpl::EraseRecords(absl::string_view org_tag) {
  const std::string prefix = SpaceKey(Space::kRecord, org_tag);
  ASSIGN_OR_RETURN(const std::optional<EngineEntry> marker, engine_->Snapshot()->Get(DestroyedKey(org_tag)));
  if (!marker.has_value()) return absl::OkStatus();
  for (bool more = true; more;) {
    EngineBatch batch;
    batch.preconditions.push_back({marker->key, marker->revision});
    RETURN_IF_ERROR(engine_->Snapshot()->Scan(prefix, /*after=*/"", [&](const EngineEntry& entry) {
      batch.writes.push_back({entry.key, std::nullopt});
      return batch.writes.size() < kErasedPerBatch;
    }));
    more = batch.writes.size() == kErasedPerBatch;
    if (!more) batch.writes.push_back({DestroyedKey(org_tag), std::nullopt});
    const absl::Status status = engine_->Commit(batch, more ? Durability::kBuffered : Durability::kSynced).status();
    // Another caller has finished, and an org of the same name may have records already.
    if (absl::IsAborted(status)) return absl::OkStatus();
    RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::StatusOr<KeyringInfo> StoreImpl::GetKeyringInfo(absl::string_view org) {
  ASSIGN_OR_RETURN(const std::shared_ptr<const OrgKeys> keys, keyrings_.Get(org));
  KeyringInfo info;
  info.current_key_id = keys->current_id();
  info.key_count = static_cast<int>(keys->key_count());
  ASSIGN_OR_RETURN(info.seal_count, keys->seal_counter().Persisted());
  return info;
}

absl::Status StoreImpl::RotateDataKey(absl::string_view org) {
  RETURN_IF_ERROR(keyrings_.AddDataKey(org, /*replaces=*/std::nullopt));
  rewrapper_.RequestRewrap(org);
  return absl::OkStatus();
}

absl::Status StoreImpl::RotateKek(const KeyProvider& next) {
  absl::MutexLock lock(&header_mutex_);
  ASSIGN_OR_RETURN(const std::optional<EngineEntry> entry, engine_->Snapshot()->Get(HeaderKey()));
  if (!entry.has_value()) return absl::DataLossError("the store's header is missing");
  ASSIGN_OR_RETURN(const StoreHeader header, StoreHeader::Parse(entry->value));
  ASSIGN_OR_RETURN(const StoreHeader rewrapped, WrapHeader(next, header.store_id, root_->root_key()));
  // It is about to become the only way in.
  RETURN_IF_ERROR(UnwrapHeader(next, rewrapped).status());
  EngineBatch batch;
  batch.writes.push_back({HeaderKey(), rewrapped.Serialize()});
  batch.preconditions.push_back({HeaderKey(), entry->revision});
  Purger::Marker marker = Purger::AddMarker({HeaderKey()}, batch);
  RETURN_IF_ERROR(engine_->Commit(batch, Durability::kSynced).status());
  purger_.Add(std::move(marker));
  return absl::OkStatus();
}

absl::StatusOr<BackupView> StoreImpl::TakeBackupView() {
  BackupView view;
  view.snapshot = engine_->Snapshot();
  ASSIGN_OR_RETURN(const std::optional<EngineEntry> entry, view.snapshot->Get(HeaderKey()));
  if (!entry.has_value()) return absl::DataLossError("the store's header is missing");
  view.header = entry->value;
  view.key = std::make_shared<const BackupKey>(root_->root_key());
  return view;
}

absl::Status StoreImpl::CheckKek(const KeyProvider& key_provider) {
  ASSIGN_OR_RETURN(const std::optional<EngineEntry> entry, engine_->Snapshot()->Get(HeaderKey()));
  if (!entry.has_value()) return absl::DataLossError("the store's header is missing");
  ASSIGN_OR_RETURN(const StoreHeader header, StoreHeader::Parse(entry->value));
  return UnwrapHeader(key_provider, header).status();
}

StoreStatistics StoreImpl::Statistics() {
  StoreStatistics statistics;
  statistics.engine = engine_->Statistics();
  statistics.seals = records_.seals.Value();
  statistics.opens = records_.opens.Value();
  statistics.failed_opens = records_.failed_opens.Value();
  statistics.commits = commits_.Value();
  statistics.aborted_commits = aborted_commits_.Value();
  statistics.failed_commits = failed_commits_.Value();
  statistics.rewraps_pending = rewrapper_.pending();
  statistics.purges_pending = purger_.pending();
  return statistics;
}

uint64_t StoreImpl::Generation(Table table) const { return generations_[static_cast<uint8_t>(table)]; }

absl::StatusOr<std::unique_ptr<EngineWatch>> StoreImpl::Watch(Revision after,
                                                              std::function<void(const StoreChange&)> on_change) {
  return engine_->Watch(after, [this, on_change = std::move(on_change)](const EngineChange& engine_change) {
    StoreChange change;
    change.revision = engine_change.revision;
    for (const std::string& key : engine_change.keys) {
      const std::optional<StoreChange::Touched> touched = RecordOfEngineKey(key);
      if (!touched.has_value()) continue;
      // The committer counts it too, but perhaps only after this.
      ++generations_[static_cast<uint8_t>(touched->table)];
      change.records.push_back(*touched);
    }
    on_change(change);
  });
}

absl::Status StoreImpl::WaitForPurge(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  RETURN_IF_ERROR(rewrapper_.Wait(deadline));
  return purger_.Wait(deadline);
}

}  // namespace keyferry::storage
