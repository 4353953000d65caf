#include "storage/engine/rocksdb/group_writer.h"

#include <optional>
#include <utility>

#include "rocksdb/db.h"
#include "storage/engine/rocksdb/format.h"
#include "storage/engine/rocksdb/status.h"

namespace keyferry::storage {
namespace {

rocksdb::Slice ToSlice(absl::string_view text) { return rocksdb::Slice(text.data(), text.size()); }

}  // namespace

absl::StatusOr<bool> GroupWriter::Holds(const EngineBatch::Precondition& precondition) const {
  if (const auto in_group = written_.find(precondition.key); in_group != written_.end()) {
    return in_group->second == precondition.revision;
  }
  if (const std::optional<Revision> known = handle_->cache().FindRevision(precondition.key, last_)) {
    return *known == precondition.revision;
  }
  rocksdb::PinnableSlice stored;
  const rocksdb::Status read = handle_->db().Get(rocksdb::ReadOptions(), handle_->db().DefaultColumnFamily(),
                                                 ToSlice(precondition.key), &stored);
  if (read.IsNotFound()) return precondition.revision == 0;
  if (!read.ok()) return FromRocksDb(read, "checking a precondition");
  if (stored.size() < kRevisionBytes) return absl::DataLossError("a stored value is shorter than its revision");
  EngineEntry entry;
  entry.revision = DecodeRevision(stored.data());
  entry.value.assign(stored.data() + kRevisionBytes, stored.size() - kRevisionBytes);
  // Keyrings are asked for by every commit and by hardly anybody else.
  handle_->cache().Insert(precondition.key, last_, entry);
  return entry.revision == precondition.revision;
}

absl::Status GroupWriter::Add(const EngineBatch::Write& write, Revision revision, EngineChange& change) {
  change.keys.push_back(write.key);
  const rocksdb::Slice key = ToSlice(write.key);
  if (!write.value.has_value()) return FromRocksDb(writes_.Delete(key), "building a batch");
  char prefix[kRevisionBytes];
  EncodeRevision(revision, prefix);
  const rocksdb::Slice value[] = {rocksdb::Slice(prefix, sizeof(prefix)), ToSlice(*write.value)};
  return FromRocksDb(writes_.Put(rocksdb::SliceParts(&key, 1), rocksdb::SliceParts(value, 2)), "building a batch");
}

absl::Status GroupWriter::Accept(Item& item) {
  for (const EngineBatch::Precondition& precondition : item.batch->preconditions) {
    absl::StatusOr<bool> holds = Holds(precondition);
    if (!holds.ok()) return holds.status();
    if (!*holds) return absl::AbortedError("a key was changed by another commit");
  }
  item.revision = last_ + accepted_.size() + 1;
  EngineChange change;
  change.revision = item.revision;
  change.keys.reserve(item.batch->writes.size());
  writes_.SetSavePoint();
  for (const EngineBatch::Write& write : item.batch->writes) {
    if (absl::Status added = Add(write, item.revision, change); !added.ok()) {
      writes_.RollbackToSavePoint().PermitUncheckedError();
      return added;
    }
  }
  writes_.PopSavePoint().PermitUncheckedError();
  for (const EngineBatch::Write& write : item.batch->writes) {
    written_[write.key] = write.value.has_value() ? item.revision : 0;
  }
  accepted_.push_back(&item);
  changes_.push_back(std::move(change));
  return absl::OkStatus();
}

absl::Status GroupWriter::Extend() {
  if (hook_ == nullptr) return absl::OkStatus();
  std::vector<const EngineBatch*> batches;
  batches.reserve(accepted_.size());
  for (const Item* item : accepted_) batches.push_back(item->batch);
  if (absl::Status extended = hook_->Extend(batches, more_); !extended.ok()) return extended;
  for (const EngineBatch::Write& write : more_) {
    if (absl::Status added = Add(write, accepted_.back()->revision, changes_.back()); !added.ok()) {
      hook_->Written(/*ok=*/false);
      return added;
    }
  }
  return absl::OkStatus();
}

absl::Status GroupWriter::WriteAccepted() {
  rocksdb::WriteOptions options;
  options.sync = false;
  const Revision newest = accepted_.back()->revision;
  rocksdb::Status written;
  if (newest > bound_) {
    bound_ = newest + kRevisionsAhead;
    written = writes_.Put(ToSlice(kMetaKey), EncodeMeta(bound_));
  }
  if (written.ok()) written = handle_->db().Write(options, &writes_);
  if (hook_ != nullptr) hook_->Written(written.ok());
  return FromRocksDb(written, "writing");
}

void GroupWriter::UpdateCache() {
  EntryCache& cache = handle_->cache();
  for (const Item* item : accepted_) {
    for (const EngineBatch::Write& write : item->batch->writes) cache.Update(write.key, item->revision, write.value);
  }
  for (const EngineBatch::Write& write : more_) cache.Update(write.key, last_, write.value);
}

absl::Status GroupWriter::Write(absl::Span<Item* const> items) {
  writes_.Clear();
  accepted_.clear();
  changes_.clear();
  written_.clear();
  more_.clear();
  for (Item* item : items) item->status = Accept(*item);
  if (accepted_.empty()) return absl::OkStatus();
  if (absl::Status extended = Extend(); !extended.ok()) {
    for (Item* item : accepted_) item->status = extended;
    return absl::OkStatus();
  }
  if (absl::Status written = WriteAccepted(); !written.ok()) {
    for (Item* item : accepted_) item->status = written;
    return written;
  }
  last_ = accepted_.back()->revision;
  UpdateCache();
  for (EngineChange& change : changes_) feed_->Append(std::move(change));
  return absl::OkStatus();
}

void GroupWriter::Close() {
  if (bound_ == last_) return;
  // It comes to the files with the flush at the end, or not at all.
  rocksdb::WriteOptions options;
  options.disableWAL = true;
  handle_->db().Put(options, ToSlice(kMetaKey), EncodeMeta(last_)).PermitUncheckedError();
}

}  // namespace keyferry::storage
