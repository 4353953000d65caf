#include "storage/journal.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/format.h"
#include "storage/status_macros.h"

namespace keyferry::storage {
namespace {

constexpr size_t kHeadSize = 4 * 8 + 2 * kSha256Size;
constexpr size_t kBlockHeaderSize = 2 * 8 + kSha256Size;

Sha256Digest ReadDigest(absl::string_view bytes) {
  Sha256Digest digest;
  std::memcpy(digest.data(), bytes.data(), digest.size());
  return digest;
}

absl::Status BadBlock(uint64_t number, absl::string_view problem) {
  return absl::DataLossError(absl::StrCat("block ", number, " of a journal ", problem));
}

absl::StatusOr<JournalHead> ReadStoredHead(const StoreView& view, absl::string_view org) {
  ASSIGN_OR_RETURN(const std::optional<Record> record, view.Get(JournalHeadKey(org)));
  if (record.has_value()) return JournalHead::Parse(record->payload.Expose());
  bool has_blocks = false;
  RETURN_IF_ERROR(view.Scan(Table::kJournalBlock, org, /*parent=*/"", [&](const Record&) {
    has_blocks = true;
    return false;
  }));
  if (has_blocks) return MissingJournalHead();
  return JournalHead();
}

}  // namespace

Sha256Digest ChainHash(const Sha256Digest& previous, uint64_t sequence, const Sha256Digest& entry_digest) {
  std::string number;
  AppendUint64(sequence, number);
  return Sha256({View(previous), number, View(entry_digest)});
}

absl::Status MissingJournalHead() {
  return absl::DataLossError("the head of a journal is missing, although there are blocks");
}

std::string JournalHead::Serialize() const {
  std::string out;
  out.reserve(kHeadSize);
  AppendUint64(last_block, out);
  AppendUint64(last_sequence, out);
  out.append(hash.data(), hash.size());
  AppendUint64(first_block, out);
  AppendUint64(first_sequence, out);
  out.append(first_previous_hash.data(), first_previous_hash.size());
  return out;
}

absl::StatusOr<JournalHead> JournalHead::Parse(absl::string_view bytes) {
  if (bytes.size() != kHeadSize) return absl::DataLossError("the head of a journal is malformed");
  JournalHead head;
  head.last_block = ReadUint(bytes, 8);
  head.last_sequence = ReadUint(bytes.substr(8), 8);
  head.hash = ReadDigest(bytes.substr(16));
  head.first_block = ReadUint(bytes.substr(48), 8);
  head.first_sequence = ReadUint(bytes.substr(56), 8);
  head.first_previous_hash = ReadDigest(bytes.substr(64));
  return head;
}

absl::Status JournalHead::Follow(const JournalBlock& block) {
  if (block.number != last_block + 1) return BadBlock(last_block + 1, "says that it is another one");
  if (block.first_sequence != last_sequence + 1) {
    return BadBlock(block.number, absl::StrCat("begins with entry ", block.first_sequence));
  }
  if (block.previous_hash != hash) return BadBlock(block.number, "does not follow the entry before it");
  last_block = block.number;
  last_sequence = block.last_sequence();
  hash = block.last_hash();
  return absl::OkStatus();
}

std::string BeginJournalBlock(uint64_t number, uint64_t first_sequence, const Sha256Digest& previous_hash) {
  std::string block;
  AppendUint64(number, block);
  AppendUint64(first_sequence, block);
  block.append(previous_hash.data(), previous_hash.size());
  return block;
}

void AppendJournalEntry(absl::string_view entry, std::string& block) {
  AppendUint32(static_cast<uint32_t>(entry.size()), block);
  block.append(entry.data(), entry.size());
}

absl::StatusOr<JournalBlock> JournalBlock::Parse(absl::string_view bytes) {
  if (bytes.size() < kBlockHeaderSize) return BadBlock(0, "is truncated");
  JournalBlock block;
  block.number = ReadUint(bytes, 8);
  block.first_sequence = ReadUint(bytes.substr(8), 8);
  block.previous_hash = ReadDigest(bytes.substr(16));
  Sha256Digest hash = block.previous_hash;
  for (absl::string_view rest = bytes.substr(kBlockHeaderSize); !rest.empty();) {
    if (rest.size() < 4) return BadBlock(block.number, "is truncated");
    const size_t size = ReadUint(rest, 4);
    rest.remove_prefix(4);
    if (rest.size() < size) return BadBlock(block.number, "is truncated");
    JournalEntry entry;
    entry.sequence = block.first_sequence + block.entries.size();
    entry.payload.assign(rest.data(), size);
    hash = ChainHash(hash, entry.sequence, Sha256({entry.payload}));
    entry.hash = hash;
    block.entries.push_back(std::move(entry));
    rest.remove_prefix(size);
  }
  if (block.entries.empty()) return BadBlock(block.number, "is empty");
  return block;
}

RecordKey JournalHeadKey(absl::string_view org) {
  return {Table::kJournalHead, std::string(org), "", std::string(kJournalHeadId)};
}

RecordKey JournalBlockKey(absl::string_view org, uint64_t number) {
  return {Table::kJournalBlock, std::string(org), "", JournalBlockId(number)};
}

absl::StatusOr<JournalHead> ReadJournalHead(const StoreView& view, absl::string_view org) {
  ASSIGN_OR_RETURN(JournalHead head, ReadStoredHead(view, org));
  while (true) {
    ASSIGN_OR_RETURN(const bool more, view.Contains(JournalBlockKey(org, head.last_block + 1)));
    if (!more) return head;
    ASSIGN_OR_RETURN(const JournalBlock block, ReadJournalBlock(view, org, head.last_block + 1));
    RETURN_IF_ERROR(head.Follow(block));
  }
}

absl::StatusOr<JournalBlock> ReadJournalBlock(const StoreView& view, absl::string_view org, uint64_t number) {
  ASSIGN_OR_RETURN(const std::optional<Record> record, view.Get(JournalBlockKey(org, number)));
  if (!record.has_value()) return BadBlock(number, "is missing");
  ASSIGN_OR_RETURN(JournalBlock block, JournalBlock::Parse(record->payload.Expose()));
  if (block.number != number || record->version != number) return BadBlock(number, "says that it is another one");
  return block;
}

absl::StatusOr<JournalBlock> FindJournalBlock(const StoreView& view, absl::string_view org, const JournalHead& head,
                                              uint64_t sequence) {
  uint64_t low = head.first_block;
  uint64_t high = head.last_block;
  if (sequence < head.first_sequence || sequence > head.last_sequence || low > high) {
    return absl::OutOfRangeError(absl::StrCat("the journal does not keep entry ", sequence));
  }
  while (true) {
    const uint64_t middle = low + (high - low) / 2;
    ASSIGN_OR_RETURN(JournalBlock block, ReadJournalBlock(view, org, middle));
    if (sequence < block.first_sequence) {
      high = middle - 1;
    } else if (sequence > block.last_sequence()) {
      low = middle + 1;
    } else {
      return block;
    }
    if (low > high) return absl::DataLossError("the blocks of a journal are not in order");
  }
}

absl::StatusOr<std::optional<JournalDamage>> VerifyJournal(const StoreView& view, absl::string_view org,
                                                           const std::function<void(const JournalEntry&)>& visit) {
  JournalCheck check{std::string(org)};
  RETURN_IF_ERROR(check.Follow(view, std::numeric_limits<size_t>::max(), visit).status());
  return check.damage();
}

bool JournalCheck::Break(uint64_t sequence, std::string problem) {
  damage_ = JournalDamage{sequence, std::move(problem)};
  return true;
}

// Whether what has been followed is still what the journal holds before the next block.
absl::StatusOr<bool> JournalCheck::Continues(const StoreView& view, const JournalHead& stored) const {
  if (!begun_ || end_.last_block + 1 < stored.first_block) return false;
  if (end_.last_block + 1 == stored.first_block) {
    return end_.last_sequence + 1 == stored.first_sequence && end_.hash == stored.first_previous_hash;
  }
  const absl::StatusOr<JournalBlock> block = ReadJournalBlock(view, org_, end_.last_block);
  if (absl::IsDataLoss(block.status())) return false;
  RETURN_IF_ERROR(block.status());
  return block->last_sequence() == end_.last_sequence && block->last_hash() == end_.hash;
}

absl::StatusOr<bool> JournalCheck::Follow(const StoreView& view, size_t blocks,
                                          const std::function<void(const JournalEntry&)>& visit) {
  const absl::StatusOr<JournalHead> stored = ReadStoredHead(view, org_);
  if (absl::IsDataLoss(stored.status())) return Break(0, std::string(stored.status().message()));
  RETURN_IF_ERROR(stored.status());
  ASSIGN_OR_RETURN(const bool continues, Continues(view, *stored));
  if (!continues) {
    end_ = JournalHead();
    end_.last_block = stored->first_block - 1;
    end_.last_sequence = stored->first_sequence - 1;
    end_.hash = stored->first_previous_hash;
    begun_ = true;
  }
  while (true) {
    if (end_.last_block == stored->last_block) {
      if (end_.last_sequence != stored->last_sequence) {
        return Break(end_.last_sequence + 1,
                     absl::StrCat("the head names entry ", stored->last_sequence, " as the last one"));
      }
      if (end_.hash != stored->hash) {
        return Break(end_.last_sequence, "the last entry is not the one that the head names");
      }
    }
    if (end_.last_block >= stored->last_block) {
      ASSIGN_OR_RETURN(const bool more, view.Contains(JournalBlockKey(org_, end_.last_block + 1)));
      if (!more) return true;
    }
    if (blocks-- == 0) return false;
    const uint64_t sequence = end_.last_sequence + 1;
    const absl::StatusOr<JournalBlock> block = ReadJournalBlock(view, org_, end_.last_block + 1);
    const absl::Status followed = block.ok() ? end_.Follow(*block) : block.status();
    if (absl::IsDataLoss(followed)) return Break(sequence, std::string(followed.message()));
    RETURN_IF_ERROR(followed);
    if (visit == nullptr) continue;
    for (const JournalEntry& entry : block->entries) visit(entry);
  }
}

}  // namespace keyferry::storage
