#include "storage/store_view.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "storage/envelope.h"
#include "storage/format.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

// Tables below this number belong to the system space.
constexpr uint8_t kFirstOrgTable = 16;

absl::Status BadRecord(const OrgKeys& keys, const EngineEntry& entry, const absl::Status& cause) {
  const int table = entry.key.size() == kRecordKeySize ? static_cast<uint8_t>(entry.key[kOrgPrefixSize]) : 0;
  return absl::DataLossError(absl::StrCat("a record of table ", table, " of organization \"", keys.org(),
                                          "\" does not open: ", cause.message(), ". Restore a backup"));
}

}  // namespace

absl::Status CheckSpace(Table table, absl::string_view org) {
  if (IsJournal(table)) return absl::OkStatus();
  const bool system_table = static_cast<uint8_t>(table) < kFirstOrgTable;
  if (system_table == org.empty()) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("table ", static_cast<int>(table), system_table ? " takes no" : " needs an", " organization"));
}

absl::StatusOr<Record> OpenEntry(const OrgKeys& keys, const EngineEntry& entry) {
  absl::StatusOr<SealedRecordHeader> header = ParseSealedRecord(entry.value);
  if (!header.ok()) return BadRecord(keys, entry, header.status());
  const Aead* aead = keys.Find(header->key_id);
  if (aead == nullptr) return absl::NotFoundError(absl::StrCat("no data key ", header->key_id));
  absl::StatusOr<SecretBytes> payload = OpenRecord(*aead, entry.key, entry.value);
  if (!payload.ok()) return BadRecord(keys, entry, payload.status());
  return Record{*std::move(payload), header->version, entry.revision};
}

std::optional<StoreChange::Touched> RecordOfEngineKey(absl::string_view engine_key) {
  if (engine_key.size() != kRecordKeySize || engine_key[0] != static_cast<char>(Space::kRecord)) return std::nullopt;
  // The id tag is a keyed hash of the whole key, under the org's own PRF key.
  const absl::string_view tag = engine_key.substr(kParentPrefixSize);
  static_assert(kTagSize == 2 * sizeof(uint64_t));
  return StoreChange::Touched{
      static_cast<Table>(engine_key[kOrgPrefixSize]),
      {ReadUint(tag, sizeof(uint64_t)), ReadUint(tag.substr(sizeof(uint64_t)), sizeof(uint64_t))}};
}

absl::StatusOr<Record> StoreViewImpl::Open(const OrgKeys& keys, const EngineEntry& entry) const {
  absl::StatusOr<Record> record = OpenWithAnyKeys(keys, entry);
  (record.ok() ? counters_->opens : counters_->failed_opens).Add();
  return record;
}

absl::StatusOr<Record> StoreViewImpl::OpenWithAnyKeys(const OrgKeys& keys, const EngineEntry& entry) const {
  absl::StatusOr<Record> record = OpenEntry(keys, entry);
  if (!absl::IsNotFound(record.status())) return record;
  // A rewrap finished after this view was taken: the keyring of that time still holds the key.
  absl::StatusOr<std::shared_ptr<const OrgKeys>> then = keyrings_->LoadAt(*snapshot_, keys.org());
  RETURN_IF_ERROR(then.status());
  record = OpenEntry(**then, entry);
  if (absl::IsNotFound(record.status())) return BadRecord(keys, entry, record.status());
  return record;
}

absl::StatusOr<StoreViewImpl::Place> StoreViewImpl::Find(const RecordKey& key) const {
  constexpr size_t kRemembered = 8;
  RETURN_IF_ERROR(CheckSpace(key.table, key.org));
  {
    absl::MutexLock lock(&mutex_);
    for (const Collection& known : collections_) {
      if (known.table == key.table && known.parent == key.parent && known.org == key.org) {
        return Place{known.keys, known.keys->RecordKeyBelow(known.prefix, key.id)};
      }
    }
  }
  ASSIGN_OR_RETURN(const std::shared_ptr<const OrgKeys> keys, keyrings_->Get(key.org));
  Collection collection{key.table, key.org, key.parent, keys, keys->ParentPrefix(key.table, key.parent)};
  Place place{keys, keys->RecordKeyBelow(collection.prefix, key.id)};
  absl::MutexLock lock(&mutex_);
  if (collections_.size() < kRemembered) {
    collections_.push_back(std::move(collection));
  } else {
    collections_[next_++ % kRemembered] = std::move(collection);
  }
  return place;
}

absl::StatusOr<std::optional<Record>> StoreViewImpl::Get(const RecordKey& key) const {
  ASSIGN_OR_RETURN(const Place place, Find(key));
  ASSIGN_OR_RETURN(const std::optional<EngineEntry> entry, snapshot_->Get(place.key.view()));
  if (!entry.has_value()) return std::optional<Record>();
  ASSIGN_OR_RETURN(Record record, Open(*place.keys, *entry));
  return std::optional<Record>(std::move(record));
}

absl::StatusOr<bool> StoreViewImpl::Contains(const RecordKey& key) const {
  ASSIGN_OR_RETURN(const Place place, Find(key));
  ASSIGN_OR_RETURN(const std::optional<EngineEntry> entry, snapshot_->Get(place.key.view()));
  return entry.has_value();
}

absl::StatusOr<WatchKey> StoreViewImpl::WatchKeyOf(const RecordKey& key) const {
  ASSIGN_OR_RETURN(const Place place, Find(key));
  return RecordOfEngineKey(place.key.view())->key;
}

absl::StatusOr<std::string> StoreViewImpl::PublicId(absl::string_view org, absl::string_view name) const {
  ASSIGN_OR_RETURN(const std::shared_ptr<const OrgKeys> keys, keyrings_->Get(org));
  return keys->PublicId(name);
}

absl::Status StoreViewImpl::Scan(Table table, absl::string_view org, absl::string_view parent,
                                 const std::function<bool(Record)>& visit) const {
  RETURN_IF_ERROR(CheckSpace(table, org));
  ASSIGN_OR_RETURN(const std::shared_ptr<const OrgKeys> keys, keyrings_->Get(org));
  const RecordKeyBytes key = keys->ParentPrefix(table, parent);
  return ScanPrefix(*keys, key.prefix(kParentPrefixSize), visit);
}

absl::Status StoreViewImpl::ScanAll(Table table, absl::string_view org,
                                    const std::function<bool(Record)>& visit) const {
  RETURN_IF_ERROR(CheckSpace(table, org));
  ASSIGN_OR_RETURN(const std::shared_ptr<const OrgKeys> keys, keyrings_->Get(org));
  const RecordKeyBytes key = keys->TablePrefix(table);
  return ScanPrefix(*keys, key.prefix(kTablePrefixSize), visit);
}

absl::Status StoreViewImpl::ScanPrefix(const OrgKeys& keys, absl::string_view prefix,
                                       const std::function<bool(Record)>& visit) const {
  absl::Status failure;
  RETURN_IF_ERROR(snapshot_->Scan(prefix, /*after=*/"", [&](const EngineEntry& entry) {
    absl::StatusOr<Record> record = Open(keys, entry);
    if (!record.ok()) {
      failure = record.status();
      return false;
    }
    return visit(*std::move(record));
  }));
  return failure;
}

}  // namespace keyferry::storage
