#ifndef KEYFERRY_STORAGE_MUTATION_H_
#define KEYFERRY_STORAGE_MUTATION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "storage/crypto/secret_bytes.h"
#include "storage/crypto/sha256.h"
#include "storage/engine/engine.h"
#include "storage/record.h"

namespace keyferry::storage {

// What one commit changes. Applied whole or not at all.
class Mutation {
 public:
  // Seals and writes. `expected` is the revision that the record must still have (0: it must be absent); nullopt: any.
  // `version` is authenticated with the record and shown by Record::version.
  void Put(RecordKey key, SecretBytes payload, uint64_t version, std::optional<Revision> expected);
  void Delete(RecordKey key, std::optional<Revision> expected);
  // Only checks.
  void Require(RecordKey key, Revision expected);
  // Adds an entry, at most 512 KiB, to the end of the org's journal (journal.h); org "" is the system's. `context` is
  // handed on to the listener alone, and must outlive the commit.
  void Append(std::string org, std::string entry, const void* context = nullptr);
  // Takes the blocks before `first_block` away from the org's journal. `first_sequence` is that block's, and
  // `previous_hash` what it says was before it.
  void PruneJournal(std::string org, uint64_t first_block, uint64_t first_sequence, const Sha256Digest& previous_hash);

  bool empty() const { return changes_.empty() && appends_.empty() && prunes_.empty(); }

  struct Change {
    RecordKey key;
    enum Kind { kPut, kDelete, kRequire } kind;
    SecretBytes payload;
    uint64_t version = 0;
    std::optional<Revision> expected;
  };
  const std::vector<Change>& changes() const { return changes_; }

  struct JournalAppend {
    std::string org;
    std::string entry;
    const void* context = nullptr;
  };
  const std::vector<JournalAppend>& appends() const { return appends_; }

  struct JournalPrune {
    std::string org;
    uint64_t first_block = 0;
    uint64_t first_sequence = 0;
    Sha256Digest previous_hash;
  };
  const std::vector<JournalPrune>& prunes() const { return prunes_; }

 private:
  std::vector<Change> changes_;
  std::vector<JournalAppend> appends_;
  std::vector<JournalPrune> prunes_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_MUTATION_H_
