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
// that was appended to, and makes one block per journal for each group that the engine writes, and the new head where
// the group will be synced. Thread-safe.
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

  // While the store is opened: finds out whether the head was left behind, and remembers it if so. Errors as Prepare's.
  absl::Status Resume(const EngineSnapshot& snapshot, const OrgKeys& keys) ABSL_LOCKS_EXCLUDED(mutex_);

  // `listener` is called for each entry once it is written, in order for each org, before its commit returns; it must
  // not block. Call before the first commit.
  void SetListener(JournalListener listener) ABSL_LOCKS_EXCLUDED(mutex_);

  // For each group: BeginGroup, Grow for each Append in order, EndGroup, and GroupWritten once it is known how the
  // write ended. They add what is to be written to `more`.
  // `save_head`: the journal's head is written even if little was added to it since it was last.
  void BeginGroup() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Grow(const Append& append, bool save_head, std::vector<EngineBatch::Write>& more)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void EndGroup(std::vector<EngineBatch::Write>& more) ABSL_LOCKS_EXCLUDED(mutex_);
  void GroupWritten(bool ok) ABSL_LOCKS_EXCLUDED(mutex_);

  // The orgs whose stored head is behind, among those whose journal is known.
  std::vector<std::string> Unsaved() ABSL_LOCKS_EXCLUDED(mutex_);
  // The org is gone; its head cannot be written.
  void Forget(absl::string_view org) ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct End {
    JournalHead head;
    // The newest block that the stored head knows.
    uint64_t saved_block = 0;
  };

  // The journal of one org in the group that is being written.
  struct Growing {
    std::shared_ptr<const OrgKeys> keys;
    JournalHead head;
    uint64_t saved_block = 0;
    bool save_head = false;
    // The block that is being filled; empty if none is.
    std::string block;
  };

  static absl::StatusOr<End> ReadEnd(const EngineSnapshot& snapshot, const OrgKeys& keys);
  static void CloseBlock(Growing& journal, std::vector<EngineBatch::Write>& more);

  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, End> ends_ ABSL_GUARDED_BY(mutex_);
  // Keys of those heads, and their orgs.
  absl::flat_hash_map<std::string, std::string> unsaved_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, Growing> group_ ABSL_GUARDED_BY(mutex_);
  std::vector<JournaledEntry> announced_ ABSL_GUARDED_BY(mutex_);
  JournalListener listener_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_JOURNAL_CHAIN_H_
