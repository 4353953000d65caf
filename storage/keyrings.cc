#include "storage/keyrings.h"

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/format.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

absl::string_view View(const Prf::Tag& tag) { return absl::string_view(tag.data(), tag.size()); }

absl::Status NoKeyring(absl::string_view org) {
  return absl::NotFoundError(absl::StrCat("organization \"", org, "\" has no keyring"));
}

}  // namespace

Keyrings::Keyrings(Engine* engine, const RootKeys* root, size_t cache_capacity, uint64_t seal_block)
    : engine_(engine), root_(root), seal_block_(seal_block), cache_(cache_capacity) {}

std::string Keyrings::KeyringKey(absl::string_view org) const {
  return SpaceKey(Space::kKeyring, View(root_->OrgTag(org)));
}

absl::StatusOr<std::shared_ptr<const OrgKeys>> Keyrings::Get(absl::string_view org) {
  std::shared_ptr<const OrgKeys> keys = cache_.Find(org);
  if (keys != nullptr) return keys;
  absl::MutexLock lock(&change_mutex_);
  keys = cache_.Find(org);
  if (keys != nullptr) return keys;
  return LoadAndCache(org);
}

absl::StatusOr<std::shared_ptr<const OrgKeys>> Keyrings::Reload(absl::string_view org) {
  absl::MutexLock lock(&change_mutex_);
  return LoadAndCache(org);
}

absl::StatusOr<std::shared_ptr<const OrgKeys>> Keyrings::LoadAndCache(absl::string_view org) {
  const std::shared_ptr<const OrgKeys> cached = cache_.Find(org);
  absl::StatusOr<std::shared_ptr<const OrgKeys>> keys = LoadAt(*engine_->Snapshot(), org);
  if (!keys.ok()) {
    if (absl::IsNotFound(keys.status())) cache_.Erase(org);
    return keys;
  }
  // The same state again: what is cached also knows how much of its block of seals is left.
  if (cached != nullptr && cached->revision() == (*keys)->revision()) return cached;
  cache_.Put(*keys);
  return keys;
}

absl::StatusOr<std::shared_ptr<const OrgKeys>> Keyrings::LoadAt(const EngineSnapshot& snapshot,
                                                                absl::string_view org) const {
  ASSIGN_OR_RETURN(std::optional<EngineEntry> entry, snapshot.Get(KeyringKey(org)));
  if (!entry.has_value()) return NoKeyring(org);
  return Open(*entry);
}

absl::StatusOr<std::shared_ptr<const OrgKeys>> Keyrings::Open(const EngineEntry& entry) const {
  absl::StatusOr<SecretBytes> plaintext = root_->Open(entry.key, entry.value);
  if (!plaintext.ok()) return absl::DataLossError("a keyring does not authenticate: it was changed");
  ASSIGN_OR_RETURN(Keyring keyring, Keyring::Parse(plaintext->Expose()));
  if (KeyringKey(keyring.org) != entry.key) return absl::DataLossError("a keyring stands in another org's place");
  return OrgKeys::Make(std::move(keyring), entry.revision, engine_, root_, seal_block_);
}

absl::Status Keyrings::Write(Keyring keyring, Revision expected, const std::function<void(EngineBatch&)>& also) {
  const std::string key = KeyringKey(keyring.org);
  EngineBatch batch;
  batch.writes.push_back({key, root_->Seal(key, keyring.Serialize())});
  batch.preconditions.push_back({key, expected});
  if (also) also(batch);
  const absl::StatusOr<Revision> revision = engine_->Commit(batch, Durability::kSynced);
  if (!revision.ok()) {
    // Whether it was written may be unknown; the next use reads it again.
    cache_.Erase(keyring.org);
    return revision.status();
  }
  ASSIGN_OR_RETURN(std::shared_ptr<const OrgKeys> keys,
                   OrgKeys::Make(std::move(keyring), *revision, engine_, root_, seal_block_));
  cache_.Put(std::move(keys));
  return absl::OkStatus();
}

absl::Status Keyrings::Create(absl::string_view org, const std::function<void(EngineBatch&)>& also) {
  absl::MutexLock lock(&change_mutex_);
  ASSIGN_OR_RETURN(std::optional<EngineEntry> entry, engine_->Snapshot()->Get(KeyringKey(org)));
  if (entry.has_value()) {
    return absl::AlreadyExistsError(absl::StrCat("organization \"", org, "\" has a keyring already"));
  }
  const absl::Status status = Write(Keyring::Generate(org), /*expected=*/0, also);
  if (!absl::IsAborted(status)) return status;
  return absl::AlreadyExistsError(absl::StrCat("organization \"", org, "\" is being created or destroyed just now"));
}

absl::Status Keyrings::AddDataKey(absl::string_view org, std::optional<uint32_t> replaces) {
  absl::MutexLock lock(&change_mutex_);
  ASSIGN_OR_RETURN(std::shared_ptr<const OrgKeys> keys, LoadAndCache(org));
  if (replaces.has_value() && *replaces != keys->current_id()) return absl::OkStatus();
  Keyring next = keys->keyring().Clone();
  next.AddDataKey();
  return Write(std::move(next), keys->revision(), nullptr);
}

absl::Status Keyrings::DropOldDataKeys(const OrgKeys& keys, const std::function<void(EngineBatch&)>& also) {
  absl::MutexLock lock(&change_mutex_);
  Keyring next = keys.keyring().Clone();
  next.DropOldDataKeys();
  return Write(std::move(next), keys.revision(), also);
}

absl::Status Keyrings::Destroy(absl::string_view org, const std::function<void(EngineBatch&)>& also) {
  absl::MutexLock lock(&change_mutex_);
  ASSIGN_OR_RETURN(std::shared_ptr<const OrgKeys> keys, LoadAndCache(org));
  EngineBatch batch;
  batch.writes.push_back({keys->engine_key(), std::nullopt});
  batch.writes.push_back({SpaceKey(Space::kSealCount, View(root_->OrgTag(org))), std::nullopt});
  batch.preconditions.push_back({keys->engine_key(), keys->revision()});
  if (also) also(batch);
  const absl::Status status = engine_->Commit(batch, Durability::kSynced).status();
  cache_.Erase(org);
  return status;
}

}  // namespace keyferry::storage
