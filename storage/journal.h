#ifndef KEYFERRY_STORAGE_JOURNAL_H_
#define KEYFERRY_STORAGE_JOURNAL_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/crypto/sha256.h"
#include "storage/store.h"

namespace keyferry::storage {

// An organization's journal: entries that are only ever added at its end (Mutation::Append), each chained to the one
// before it. Entries stand in numbered blocks. The head names the newest of them at the last synced commit or sync;
// what buffered commits have added since follows it. Pruning takes whole blocks away from its beginning.
//
// The hash of entry n is SHA-256(hash of entry n - 1 | n as 8 bytes, big-endian | SHA-256(entry n)); that of entry 0 is
// 32 zero bytes.
Sha256Digest ChainHash(const Sha256Digest& previous, uint64_t sequence, const Sha256Digest& entry_digest);

struct JournalBlock;

// Both ends of a journal. All 0 while it is empty.
struct JournalHead {
  // Number and last sequence of the newest block.
  uint64_t last_block = 0;
  uint64_t last_sequence = 0;
  // Of the newest entry.
  Sha256Digest hash{};
  // Number and first sequence of the oldest block that is kept; last_block + 1 and last_sequence + 1 if none is.
  uint64_t first_block = 1;
  uint64_t first_sequence = 1;
  // Of the entry before that.
  Sha256Digest first_previous_hash{};

  std::string Serialize() const;
  // DATA_LOSS if this is not what Serialize wrote.
  static absl::StatusOr<JournalHead> Parse(absl::string_view bytes);

  // Makes `block` the newest one. DATA_LOSS if it does not follow the one that is.
  absl::Status Follow(const JournalBlock& block);
};

struct JournalEntry {
  uint64_t sequence = 0;
  Sha256Digest hash{};
  std::string payload;
};

// One block, its hashes computed from its own beginning.
struct JournalBlock {
  uint64_t number = 0;
  uint64_t first_sequence = 0;
  Sha256Digest previous_hash{};
  std::vector<JournalEntry> entries;

  // DATA_LOSS if it is not of the form of a block (storage/FORMAT.md, "Journal").
  static absl::StatusOr<JournalBlock> Parse(absl::string_view bytes);

  const Sha256Digest& last_hash() const { return entries.back().hash; }
  uint64_t last_sequence() const { return entries.back().sequence; }
};

// The beginning of a block's payload; entries are appended to it with AppendJournalEntry.
std::string BeginJournalBlock(uint64_t number, uint64_t first_sequence, const Sha256Digest& previous_hash);
void AppendJournalEntry(absl::string_view entry, std::string& block);

// The first block comes with a head, so one without the other was tampered with.
absl::Status MissingJournalHead();

RecordKey JournalHeadKey(absl::string_view org);
RecordKey JournalBlockKey(absl::string_view org, uint64_t number);

// The stored head and the blocks that follow it. Errors as StoreView::Get, DATA_LOSS also if the head is missing. An
// org whose journal is empty has a head all the same.
absl::StatusOr<JournalHead> ReadJournalHead(const StoreView& view, absl::string_view org);
// DATA_LOSS if the block is missing or is not the one of that number.
absl::StatusOr<JournalBlock> ReadJournalBlock(const StoreView& view, absl::string_view org, uint64_t number);
// The block that holds `sequence`, which the head's range must have; by bisection.
absl::StatusOr<JournalBlock> FindJournalBlock(const StoreView& view, absl::string_view org, const JournalHead& head,
                                              uint64_t sequence);

// Where a chain breaks.
struct JournalDamage {
  // The first sequence that is not what the chain says.
  uint64_t sequence = 0;
  std::string problem;
};

// Recomputes the chain from the oldest block that is kept to the end, calling `visit` for each entry (it may be null).
// What is wrong, or nullopt; an error only where the store cannot be read.
absl::StatusOr<std::optional<JournalDamage>> VerifyJournal(const StoreView& view, absl::string_view org,
                                                           const std::function<void(const JournalEntry&)>& visit);

// The same a piece at a time, each in a view of its own, so that none stands for as long as a long journal takes. What
// is pruned meanwhile is passed over; where what was followed is not there any more, as that of an org that was made
// anew, it begins at the beginning. Not thread-safe.
class JournalCheck {
 public:
  explicit JournalCheck(std::string org) : org_(std::move(org)) {}

  // Follows at most `blocks` more, in a view that is not older than the one before. False while there is more to
  // follow; true at the end, or where the chain breaks. An error only where the store cannot be read.
  absl::StatusOr<bool> Follow(const StoreView& view, size_t blocks,
                              const std::function<void(const JournalEntry&)>& visit);

  // After Follow has answered true.
  const std::optional<JournalDamage>& damage() const { return damage_; }
  // What the head, which has been checked, says.
  uint64_t last_sequence() const { return end_.last_sequence; }

 private:
  bool Break(uint64_t sequence, std::string problem);
  absl::StatusOr<bool> Continues(const StoreView& view, const JournalHead& stored) const;

  const std::string org_;
  // The end of what has been followed.
  JournalHead end_;
  bool begun_ = false;
  std::optional<JournalDamage> damage_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_JOURNAL_H_
