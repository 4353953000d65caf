#include "storage/org_keys.h"

#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

absl::string_view View(const Prf::Tag& tag) { return absl::string_view(tag.data(), tag.size()); }

}  // namespace

absl::StatusOr<std::shared_ptr<const OrgKeys>> OrgKeys::Make(Keyring keyring, Revision revision, Engine* engine,
                                                             const RootKeys* root, uint64_t seal_block) {
  std::vector<Expanded> aeads;
  for (const DataKey& data_key : keyring.data_keys) {
    ASSIGN_OR_RETURN(std::unique_ptr<const Aead> aead, Aead::Create(data_key.key));
    aeads.push_back({data_key.id, std::move(aead)});
  }
  const Prf::Tag org_tag = root->OrgTag(keyring.org);
  return std::shared_ptr<const OrgKeys>(
      new OrgKeys(std::move(keyring), revision, std::move(aeads), org_tag, engine, root, seal_block));
}

OrgKeys::OrgKeys(Keyring keyring, Revision revision, std::vector<Expanded> aeads, const Prf::Tag& org_tag,
                 Engine* engine, const RootKeys* root, uint64_t seal_block)
    : keyring_(std::move(keyring)),
      revision_(revision),
      aeads_(std::move(aeads)),
      org_tag_(org_tag),
      engine_key_(SpaceKey(Space::kKeyring, View(org_tag))),
      prf_(keyring_.prf_key),
      journal_blocks_(ParentPrefix(Table::kJournalBlock, "")),
      journal_head_key_(RecordKeyFor(Table::kJournalHead, "", kJournalHeadId).view()),
      seal_counter_(engine, root, org_tag, keyring_.current_id(), seal_block) {}

RecordKeyBytes OrgKeys::TablePrefix(Table table) const {
  RecordKeyBytes key;
  key.bytes_[0] = static_cast<char>(Space::kRecord);
  std::memcpy(&key.bytes_[1], org_tag_.data(), kTagSize);
  key.bytes_[kOrgPrefixSize] = static_cast<char>(table);
  return key;
}

RecordKeyBytes OrgKeys::ParentPrefix(Table table, absl::string_view parent) const {
  RecordKeyBytes key = TablePrefix(table);
  const char domain[] = {kParentDomain, static_cast<char>(table)};
  const Prf::Tag tag = prf_.Compute({absl::string_view(domain, sizeof(domain)), parent});
  std::memcpy(&key.bytes_[kTablePrefixSize], tag.data(), kTagSize);
  return key;
}

RecordKeyBytes OrgKeys::RecordKeyFor(Table table, absl::string_view parent, absl::string_view id) const {
  return RecordKeyBelow(ParentPrefix(table, parent), id);
}

RecordKeyBytes OrgKeys::RecordKeyBelow(RecordKeyBytes key, absl::string_view id) const {
  uint64_t block = 0;
  if (key.bytes_[kOrgPrefixSize] == static_cast<char>(Table::kJournalBlock) && absl::SimpleHexAtoi(id, &block)) {
    return BlockKey(block);
  }
  // The parent tag stands for table and parent, so equal ids below different parents have unrelated tags.
  const Prf::Tag tag =
      prf_.Compute({absl::string_view(&kIdDomain, 1), key.view().substr(kTablePrefixSize, kTagSize), id});
  std::memcpy(&key.bytes_[kParentPrefixSize], tag.data(), kTagSize);
  return key;
}

std::string OrgKeys::PublicId(absl::string_view name) const {
  return std::string(View(prf_.Compute({absl::string_view(&kPublicIdDomain, 1), name})));
}

RecordKeyBytes OrgKeys::BlockKey(uint64_t number) const {
  RecordKeyBytes key = journal_blocks_;
  char* const tag = &key.bytes_[kParentPrefixSize];
  for (size_t i = 0; i < sizeof(number); ++i) tag[i] = static_cast<char>(number >> (8 * (sizeof(number) - 1 - i)));
  std::memcpy(tag + sizeof(number), &key.bytes_[kTablePrefixSize], kTagSize - sizeof(number));
  return key;
}

std::string OrgKeys::JournalBlockKey(uint64_t number) const { return std::string(BlockKey(number).view()); }

const Aead* OrgKeys::Find(uint32_t key_id) const {
  for (auto it = aeads_.rbegin(); it != aeads_.rend(); ++it) {
    if (it->id == key_id) return it->aead.get();
  }
  return nullptr;
}

}  // namespace keyferry::storage
