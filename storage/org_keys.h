#ifndef KEYFERRY_STORAGE_ORG_KEYS_H_
#define KEYFERRY_STORAGE_ORG_KEYS_H_

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/aead.h"
#include "storage/crypto/keyring.h"
#include "storage/crypto/prf.h"
#include "storage/engine/engine.h"
#include "storage/format.h"
#include "storage/seal_counter.h"
#include "storage/table.h"

namespace keyferry::storage {

// A record's key in the engine, on the stack.
class RecordKeyBytes {
 public:
  absl::string_view view() const { return absl::string_view(bytes_.data(), bytes_.size()); }
  absl::string_view prefix(size_t size) const { return view().substr(0, size); }

 private:
  friend class OrgKeys;
  std::array<char, kRecordKeySize> bytes_;
};

// One state of an org's keyring, ready to use: expanded keys and the PRF. Immutable but for the seal counter.
// Thread-safe.
class OrgKeys {
 public:
  static absl::StatusOr<std::shared_ptr<const OrgKeys>> Make(Keyring keyring, Revision revision, Engine* engine,
                                                             const RootKeys* root, uint64_t seal_block);

  const std::string& org() const { return keyring_.org; }
  const Keyring& keyring() const { return keyring_; }
  // The commit that wrote the keyring. Every commit that seals with these keys requires it to be unchanged.
  Revision revision() const { return revision_; }
  // The keyring's own key in the engine.
  const std::string& engine_key() const { return engine_key_; }
  uint32_t current_id() const { return aeads_.back().id; }
  size_t key_count() const { return aeads_.size(); }
  SealCounter& seal_counter() const { return seal_counter_; }

  // kRecord | org tag | table | parent tag | id tag. The id tag of a journal's block is its number, so that what is
  // written one after the other stands side by side.
  RecordKeyBytes RecordKeyFor(Table table, absl::string_view parent, absl::string_view id) const;
  // The same, from a ParentPrefix that was made before.
  RecordKeyBytes RecordKeyBelow(RecordKeyBytes parent_prefix, absl::string_view id) const;
  // Only the first kParentPrefixSize bytes are set.
  RecordKeyBytes ParentPrefix(Table table, absl::string_view parent) const;
  // Only the first kTablePrefixSize bytes are set.
  RecordKeyBytes TablePrefix(Table table) const;

  // Of StoreView.
  std::string PublicId(absl::string_view name) const;

  // Of the org's journal (journal.h).
  const std::string& journal_head_key() const { return journal_head_key_; }
  std::string JournalBlockKey(uint64_t number) const;

  const Aead& current() const { return *aeads_.back().aead; }
  // Null if the keyring does not hold it (any more).
  const Aead* Find(uint32_t key_id) const;

 private:
  struct Expanded {
    uint32_t id;
    std::unique_ptr<const Aead> aead;
  };

  OrgKeys(Keyring keyring, Revision revision, std::vector<Expanded> aeads, const Prf::Tag& org_tag, Engine* engine,
          const RootKeys* root, uint64_t seal_block);

  RecordKeyBytes BlockKey(uint64_t number) const;

  const Keyring keyring_;
  const Revision revision_;
  const std::vector<Expanded> aeads_;
  const Prf::Tag org_tag_;
  const std::string engine_key_;
  const Prf prf_;
  const RecordKeyBytes journal_blocks_;
  const std::string journal_head_key_;
  mutable SealCounter seal_counter_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ORG_KEYS_H_
