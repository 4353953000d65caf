#ifndef KEYFERRY_STORAGE_COMMIT_EXTENSION_H_
#define KEYFERRY_STORAGE_COMMIT_EXTENSION_H_

#include <optional>
#include <string>
#include <vector>

#include "storage/engine/engine.h"
#include "storage/journal_chain.h"
#include "storage/purger.h"

namespace keyferry::storage {

// What the store adds to each group of batches that the engine writes: the journals' new blocks and heads, and one
// marker for all that is to be purged.
class CommitExtension : public CommitHook {
 public:
  struct Attachment : EngineBatch::Attachment {
    std::vector<JournalChain::Append> appends;
    // Their journals' heads are written as well: where the batch will be synced.
    bool save_heads = false;
    // Engine keys whose earlier bytes must leave the files.
    std::vector<std::string> replaced;
  };

  // Both must outlive the commits.
  CommitExtension(JournalChain* chain, Purger* purger) : chain_(chain), purger_(purger) {}

  absl::Status Extend(absl::Span<const EngineBatch* const> accepted, std::vector<EngineBatch::Write>& more) override;
  void Written(bool ok) override;

 private:
  JournalChain* const chain_;
  Purger* const purger_;
  // Of the group that is being written.
  std::optional<Purger::Marker> marker_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_COMMIT_EXTENSION_H_
