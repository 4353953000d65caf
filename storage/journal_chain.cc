#include "storage/journal_chain.h"

#include <optional>
#include <utility>

#include "absl/strings/str_format.h"
#include "storage/envelope.h"
#include "storage/status_macros.h"
#include "storage/store_view.h"

namespace keyferry::storage {
namespace {

// A block is closed at this size, well below what an engine takes.
constexpr size_t kBlockBytes = size_t{256} << 10;
// How many blocks may follow the stored head: what reading the end of a journal costs at most.
constexpr uint64_t kMaxUnsavedBlocks = 64;

std::string Seal(const OrgKeys& keys, absl::string_view engine_key, uint64_t version, absl::string_view payload) {
  return SealRecord(keys.current(), keys.current_id(), engine_key, version, SecretBytes::CopyOf(payload));
}

}  // namespace

absl::StatusOr<JournalChain::End> JournalChain::ReadEnd(const EngineSnapshot& snapshot, const OrgKeys& keys) {
  ASSIGN_OR_RETURN(const std::optional<EngineEntry> entry, snapshot.Get(keys.journal_head_key()));
  End end;
  if (entry.has_value()) {
    ASSIGN_OR_RETURN(const Record record, OpenEntry(keys, *entry));
    ASSIGN_OR_RETURN(end.head, JournalHead::Parse(record.payload.Expose()));
  } else {
    const RecordKeyBytes blocks = keys.ParentPrefix(Table::kJournalBlock, "");
    bool has_blocks = false;
    RETURN_IF_ERROR(snapshot.Scan(blocks.prefix(kParentPrefixSize), /*after=*/"", [&](const EngineEntry&) {
      has_blocks = true;
      return false;
    }));
    if (has_blocks) return MissingJournalHead();
  }
  end.saved_block = end.head.last_block;
  while (true) {
    ASSIGN_OR_RETURN(const std::optional<EngineEntry> next,
                     snapshot.Get(keys.JournalBlockKey(end.head.last_block + 1)));
    if (!next.has_value()) return end;
    ASSIGN_OR_RETURN(const Record record, OpenEntry(keys, *next));
    ASSIGN_OR_RETURN(const JournalBlock block, JournalBlock::Parse(record.payload.Expose()));
    RETURN_IF_ERROR(end.head.Follow(block));
  }
}

absl::Status JournalChain::Prepare(const EngineSnapshot& snapshot, const OrgKeys& keys) {
  const std::string& head_key = keys.journal_head_key();
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (ends_.contains(head_key)) return absl::OkStatus();
  }
  // Whoever appends has prepared before, so an end that is not known was not changed since the store was opened.
  ASSIGN_OR_RETURN(const End end, ReadEnd(snapshot, keys));
  absl::MutexLock lock(&mutex_);
  ends_.try_emplace(head_key, end);
  return absl::OkStatus();
}

absl::Status JournalChain::Resume(const EngineSnapshot& snapshot, const OrgKeys& keys) {
  ASSIGN_OR_RETURN(const End end, ReadEnd(snapshot, keys));
  if (end.saved_block == end.head.last_block) return absl::OkStatus();
  absl::MutexLock lock(&mutex_);
  ends_.try_emplace(keys.journal_head_key(), end);
  unsaved_.try_emplace(keys.journal_head_key(), keys.org());
  return absl::OkStatus();
}

void JournalChain::SetListener(JournalListener listener) {
  absl::MutexLock lock(&mutex_);
  listener_ = std::move(listener);
}

void JournalChain::CloseBlock(Growing& journal, std::vector<EngineBatch::Write>& more) {
  if (journal.block.empty()) return;
  std::string key = journal.keys->JournalBlockKey(journal.head.last_block);
  std::string sealed = Seal(*journal.keys, key, journal.head.last_block, journal.block);
  more.push_back({std::move(key), std::move(sealed)});
  journal.block.clear();
}

void JournalChain::BeginGroup() {
  absl::MutexLock lock(&mutex_);
  group_.clear();
  announced_.clear();
}

absl::Status JournalChain::Grow(const Append& append, bool save_head, std::vector<EngineBatch::Write>& more) {
  absl::MutexLock lock(&mutex_);
  const std::string& head_key = append.keys->journal_head_key();
  const auto [grown, added] = group_.try_emplace(head_key);
  Growing& journal = grown->second;
  if (added) {
    const auto end = ends_.find(head_key);
    if (end == ends_.end()) return absl::InternalError("the end of a journal is not known");
    journal.head = end->second.head;
    journal.saved_block = end->second.saved_block;
  }
  journal.keys = append.keys;
  journal.save_head |= save_head;
  JournalHead& head = journal.head;
  for (size_t i = 0; i < append.entries.size(); ++i) {
    const std::string& entry = append.entries[i];
    if (journal.block.size() + entry.size() > kBlockBytes) CloseBlock(journal, more);
    if (journal.block.empty()) {
      ++head.last_block;
      journal.block = BeginJournalBlock(head.last_block, head.last_sequence + 1, head.hash);
    }
    ++head.last_sequence;
    head.hash = ChainHash(head.hash, head.last_sequence, append.digests[i]);
    AppendJournalEntry(entry, journal.block);
    if (listener_ != nullptr) {
      announced_.push_back({append.keys->org(), head.last_sequence, head.hash, entry, append.contexts[i]});
    }
  }
  if (append.first_block > head.first_block) {
    journal.save_head = true;
    head.first_block = append.first_block;
    head.first_sequence = append.first_sequence;
    head.first_previous_hash = append.first_previous_hash;
  }
  return absl::OkStatus();
}

void JournalChain::EndGroup(std::vector<EngineBatch::Write>& more) {
  absl::MutexLock lock(&mutex_);
  for (auto& [head_key, journal] : group_) {
    CloseBlock(journal, more);
    // The first block comes with a head, so that the head cannot be taken away unseen.
    const bool first = journal.saved_block == 0;
    if (first || journal.head.last_block - journal.saved_block >= kMaxUnsavedBlocks) journal.save_head = true;
    if (!journal.save_head) continue;
    journal.saved_block = journal.head.last_block;
    more.push_back({head_key, Seal(*journal.keys, head_key, journal.head.last_sequence, journal.head.Serialize())});
  }
}

void JournalChain::GroupWritten(bool ok) {
  absl::MutexLock lock(&mutex_);
  if (ok) {
    for (auto& [head_key, journal] : group_) {
      ends_[head_key] = {journal.head, journal.saved_block};
      if (journal.save_head) {
        unsaved_.erase(head_key);
      } else {
        unsaved_.try_emplace(head_key, journal.keys->org());
      }
    }
    if (listener_ != nullptr) {
      for (const JournaledEntry& entry : announced_) listener_(entry);
    }
  }
  group_.clear();
  announced_.clear();
}

std::vector<std::string> JournalChain::Unsaved() {
  std::vector<std::string> orgs;
  absl::MutexLock lock(&mutex_);
  for (const auto& [head_key, org] : unsaved_) orgs.push_back(org);
  return orgs;
}

void JournalChain::Forget(absl::string_view org) {
  absl::MutexLock lock(&mutex_);
  for (auto it = unsaved_.begin(); it != unsaved_.end();) {
    if (it->second == org) {
      unsaved_.erase(it++);
    } else {
      ++it;
    }
  }
}

}  // namespace keyferry::storage
