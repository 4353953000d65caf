#ifndef KEYFERRY_STORAGE_JOURNAL_CHAIN_H_
#define KEYFERRY_STORAGE_JOURNAL_CHAIN_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "storage/engine/engine.h"
#include "storage/journal.h"
#include "storage/org_keys.h"

namespace keyferry::storage {

// Links what commits append to journals, in the order in which they are committed: it knows the end of every journal
// that was appended to, and makes one block and the new head per journal for each group that the engine writes.
// Thread-safe.
//
// Ends are kept by the engine key of the head, which is of one keyring: an org that was destroyed and made again has
// another one. They are never dropped, about 200 bytes for each org that is in use.
class JournalChain {
 public:
  // What one batch appends to the journal of one org, or prunes from it. The batch must require the org's keyring to be
  // unchanged, and Prepare must have been called.
  struct Append {
    std::shared_ptr<const OrgKeys> keys;
    std::vector<std::string> entries;
    std::vector<Sha256Digest> digests;
    std::vector<const void*> contexts;
    size_t bytes = 0;
    // If set, the beginning of what is kept from now on, with the hash before it.
    uint64_t first_block = 0;
    uint64_t first_sequence = 0;
    Sha256Digest first_previous_hash{};
  };
  // How often a batch may seal for each Append.
  static constexpr uint64_t kSealsPerAppend = 3;
  // All entries of one Append together.
  static constexpr size_t kMaxAppendBytes = size_t{768} << 10;

  // Reads the end of the org's journal if it is not known yet. DATA_LOSS if it does not authenticate.
  absl::Status Prepare(const EngineSnapshot& snapshot, const OrgKeys& keys) ABSL_LOCKS_EXCLUDED(mutex_);

  // `listener` is called for each entry once it is written, in order for each org, before its commit returns; it must
  // not block. Call before the first commit.
  void SetListener(JournalListener listener) ABSL_LOCKS_EXCLUDED(mutex_);

  // For each group: BeginGroup, Grow for each Append in order, EndGroup, and GroupWritten once it is known how the
  // write ended. They add what is to be written to `more`.
  void BeginGroup() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Grow(const Append& append, std::vector<EngineBatch::Write>& more) ABSL_LOCKS_EXCLUDED(mutex_);
  void EndGroup(std::vector<EngineBatch::Write>& more) ABSL_LOCKS_EXCLUDED(mutex_);
  void GroupWritten(bool ok) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // The journal of one org in the group that is being written.
  struct Growing {
    std::shared_ptr<const OrgKeys> keys;
    JournalHead head;
    // The block that is being filled; empty if none is.
    std::string block;
    uint64_t block_sequence = 0;
  };

  static void CloseBlock(Growing& journal, std::vector<EngineBatch::Write>& more);

  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, JournalHead> ends_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Growing> group_ ABSL_GUARDED_BY(mutex_);
  std::vector<JournaledEntry> announced_ ABSL_GUARDED_BY(mutex_);
  JournalListener listener_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_JOURNAL_CHAIN_H_
