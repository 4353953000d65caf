#include "storage/mutation.h"

#include <utility>

namespace keyferry::storage {

void Mutation::Put(RecordKey key, SecretBytes payload, uint64_t version, std::optional<Revision> expected) {
  changes_.push_back({std::move(key), Change::kPut, std::move(payload), version, expected});
}

void Mutation::Delete(RecordKey key, std::optional<Revision> expected) {
  changes_.push_back({std::move(key), Change::kDelete, SecretBytes(), 0, expected});
}

void Mutation::Require(RecordKey key, Revision expected) {
  changes_.push_back({std::move(key), Change::kRequire, SecretBytes(), 0, expected});
}

void Mutation::Append(std::string org, std::string entry, const void* context) {
  appends_.push_back({std::move(org), std::move(entry), context});
}

void Mutation::PruneJournal(std::string org, uint64_t first_block, uint64_t first_sequence,
                            const Sha256Digest& previous_hash) {
  prunes_.push_back({std::move(org), first_block, first_sequence, previous_hash});
}

}  // namespace keyferry::storage
