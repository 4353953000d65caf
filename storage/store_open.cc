#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "storage/header.h"
#include "storage/journal.h"
#include "storage/open.h"
#include "storage/status_macros.h"
#include "storage/store_impl.h"
#include "storage/store_view.h"

namespace keyferry::storage {
namespace {

// Writes header and system keyring of a new store in one batch.
absl::StatusOr<std::unique_ptr<const RootKeys>> Initialize(Engine& engine, const KeyProvider& key_provider) {
  SecretBytes root_key(Aead::kKeySize);
  RandomBytes(root_key.ExposeMutable());
  ASSIGN_OR_RETURN(const StoreHeader header, WrapHeader(key_provider, RandomString(kStoreIdSize), root_key));
  // A provider that cannot unwrap what it wrapped must not become the only way in.
  RETURN_IF_ERROR(UnwrapHeader(key_provider, header).status());
  ASSIGN_OR_RETURN(std::unique_ptr<const RootKeys> root, RootKeys::Make(std::move(root_key)));
  Keyrings keyrings(&engine, root.get(), /*cache_capacity=*/1, kSealBlock);
  RETURN_IF_ERROR(keyrings.Create(/*org=*/"", [&](EngineBatch& batch) {
    batch.writes.push_back({HeaderKey(), header.Serialize()});
    batch.preconditions.push_back({HeaderKey(), 0});
  }));
  return root;
}

absl::StatusOr<bool> IsEmpty(const EngineSnapshot& snapshot) {
  bool empty = true;
  RETURN_IF_ERROR(snapshot.Scan(/*prefix=*/"", /*after=*/"", [&](const EngineEntry&) { return empty = false; }));
  return empty;
}

absl::StatusOr<std::unique_ptr<const RootKeys>> OpenRoot(Engine& engine, bool create, const KeyProvider& key_provider) {
  const std::shared_ptr<const EngineSnapshot> snapshot = engine.Snapshot();
  ASSIGN_OR_RETURN(const std::optional<EngineEntry> entry, snapshot->Get(HeaderKey()));
  if (entry.has_value()) {
    ASSIGN_OR_RETURN(const StoreHeader header, StoreHeader::Parse(entry->value));
    ASSIGN_OR_RETURN(SecretBytes root_key, UnwrapHeader(key_provider, header));
    return RootKeys::Make(std::move(root_key));
  }
  ASSIGN_OR_RETURN(const bool empty, IsEmpty(*snapshot));
  if (!empty) return absl::DataLossError("the store's header is missing although there are records: restore a backup");
  if (!create) return absl::NotFoundError("there is no store here: run keyferryd init to make one");
  return Initialize(engine, key_provider);
}

}  // namespace

StoreImpl::StoreImpl(std::shared_ptr<void> lock, std::unique_ptr<Engine> engine, std::unique_ptr<const RootKeys> root,
                     const StoreTuning& tuning)
    : lock_(std::move(lock)),
      engine_(std::move(engine)),
      root_(std::move(root)),
      tuning_(tuning),
      keyrings_(engine_.get(), root_.get(), tuning.keyring_cache, tuning.seal_block),
      extension_(&chain_, &purger_),
      hook_(engine_.get(), &extension_),
      purger_(engine_.get(), tuning.purge_delay),
      rewrapper_(engine_.get(), &keyrings_, &purger_) {}

absl::StatusOr<std::unique_ptr<StoreImpl>> StoreImpl::Open(std::unique_ptr<Engine> engine, bool create,
                                                           const KeyProvider& key_provider, const StoreTuning& tuning,
                                                           std::shared_ptr<void> lock) {
  ASSIGN_OR_RETURN(std::unique_ptr<const RootKeys> root, OpenRoot(*engine, create, key_provider));
  std::unique_ptr<StoreImpl> store(new StoreImpl(std::move(lock), std::move(engine), std::move(root), tuning));
  RETURN_IF_ERROR(store->Resume());
  return store;
}

absl::Status StoreImpl::Resume() {
  RETURN_IF_ERROR(purger_.Resume());
  const std::shared_ptr<const EngineSnapshot> snapshot = engine_->Snapshot();
  std::vector<std::string> destroyed;
  RETURN_IF_ERROR(snapshot->Scan(SpaceKey(Space::kDestroyedOrg, ""), /*after=*/"", [&](const EngineEntry& entry) {
    destroyed.push_back(entry.key.substr(1));
    return true;
  }));
  for (const std::string& org_tag : destroyed) RETURN_IF_ERROR(EraseRecords(org_tag));
  absl::Status damage;
  RETURN_IF_ERROR(snapshot->Scan(SpaceKey(Space::kKeyring, ""), /*after=*/"", [&](const EngineEntry& entry) {
    const absl::StatusOr<std::shared_ptr<const OrgKeys>> keys = keyrings_.Open(entry);
    damage = keys.status();
    if (!keys.ok()) return false;
    // A damaged journal is told by Verify, and by whoever appends to it; it keeps nobody from the rest.
    chain_.Resume(*snapshot, **keys).IgnoreError();
    if ((*keys)->key_count() > 1) rewrapper_.RequestRewrap((*keys)->org());
    return true;
  }));
  RETURN_IF_ERROR(damage);
  RETURN_IF_ERROR(SaveJournalHeads());
  return keyrings_.Get(/*org=*/"").status();
}

absl::Status StoreImpl::Verify() {
  RETURN_IF_ERROR(engine_->Verify());
  const std::shared_ptr<const EngineSnapshot> snapshot = engine_->Snapshot();
  std::shared_ptr<const OrgKeys> keys;
  absl::Status damage;
  const auto visit = [&](const EngineEntry& entry) {
    if (entry.key.size() != kRecordKeySize) {
      damage = absl::DataLossError("a record's key is malformed");
      return false;
    }
    const std::string keyring_key = SpaceKey(Space::kKeyring, entry.key.substr(1, kTagSize));
    if (keys == nullptr || keys->engine_key() != keyring_key) {
      const absl::StatusOr<std::optional<EngineEntry>> keyring = snapshot->Get(keyring_key);
      damage = keyring.status();
      if (!damage.ok()) return false;
      if (!keyring->has_value()) {
        // Left over from an org whose removal is still under way: there is nothing that could open it.
        keys = nullptr;
        const auto destroyed = snapshot->Get(SpaceKey(Space::kDestroyedOrg, entry.key.substr(1, kTagSize)));
        if (destroyed.ok() && destroyed->has_value()) return true;
        damage = absl::DataLossError("a keyring is missing although its organization has records");
        return false;
      }
      absl::StatusOr<std::shared_ptr<const OrgKeys>> opened = keyrings_.Open(**keyring);
      damage = opened.status();
      if (!damage.ok()) return false;
      keys = *std::move(opened);
    }
    damage = OpenEntry(*keys, entry).status();
    if (absl::IsNotFound(damage)) damage = absl::DataLossError("a record names a data key that its keyring lacks");
    return damage.ok();
  };
  RETURN_IF_ERROR(snapshot->Scan(SpaceKey(Space::kRecord, ""), /*after=*/"", visit));
  RETURN_IF_ERROR(damage);
  return VerifyJournals();
}

absl::Status StoreImpl::VerifyJournals() {
  const std::shared_ptr<const EngineSnapshot> snapshot = engine_->Snapshot();
  std::vector<std::string> orgs;
  absl::Status damage;
  RETURN_IF_ERROR(snapshot->Scan(SpaceKey(Space::kKeyring, ""), /*after=*/"", [&](const EngineEntry& entry) {
    const absl::StatusOr<std::shared_ptr<const OrgKeys>> keys = keyrings_.Open(entry);
    damage = keys.status();
    if (keys.ok()) orgs.push_back((*keys)->org());
    return damage.ok();
  }));
  RETURN_IF_ERROR(damage);
  const StoreViewImpl view(snapshot, &keyrings_, &records_);
  for (const std::string& org : orgs) {
    ASSIGN_OR_RETURN(const auto broken, VerifyJournal(view, org, /*visit=*/nullptr));
    if (!broken.has_value()) continue;
    return absl::DataLossError(absl::StrCat("the journal of organization \"", org, "\" breaks at entry ",
                                            broken->sequence, ": ", broken->problem));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Store>> OpenStoreOn(std::unique_ptr<Engine> engine, bool create,
                                                   const KeyProvider& key_provider) {
  return StoreImpl::Open(std::move(engine), create, key_provider, StoreTuning(), /*lock=*/nullptr);
}

}  // namespace keyferry::storage
