#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_GROUP_WRITER_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_GROUP_WRITER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "rocksdb/write_batch.h"
#include "storage/engine/change_feed.h"
#include "storage/engine/engine.h"
#include "storage/engine/rocksdb/db_handle.h"

namespace keyferry::storage {

// Writes groups of batches, each group as one RocksDB batch that is not synced. Used by one thread at a time.
class GroupWriter {
 public:
  // `newest` is the bound that the database holds for revisions. Changes are appended to `feed`, which must outlive
  // this.
  GroupWriter(std::shared_ptr<DbHandle> handle, ChangeFeed* feed, Revision newest)
      : handle_(std::move(handle)), feed_(feed), last_(newest), bound_(newest) {}

  void set_hook(CommitHook* hook) { hook_ = hook; }

  // One batch of a group, and what became of it: OK with its revision, or why it was not written.
  struct Item {
    const EngineBatch* batch = nullptr;
    absl::Status status;
    Revision revision = 0;
  };

  // Applies the batches in order, as if one by one. An error means that RocksDB may have written them or not, so that
  // nothing may be written any more; every item that was accepted has it as well.
  absl::Status Write(absl::Span<Item* const> items);

  // After the last group: brings the bound down to the newest revision. A failure only leaves some out.
  void Close();

  // The newest revision that was written.
  Revision last() const { return last_; }

 private:
  absl::StatusOr<bool> Holds(const EngineBatch::Precondition& precondition) const;
  absl::Status Accept(Item& item);
  absl::Status Add(const EngineBatch::Write& write, Revision revision, EngineChange& change);
  absl::Status Extend();
  absl::Status WriteAccepted();
  // Before anybody can see what was written.
  void UpdateCache();

  const std::shared_ptr<DbHandle> handle_;
  ChangeFeed* const feed_;
  CommitHook* hook_ = nullptr;
  Revision last_;
  // What the database says that no revision is above.
  Revision bound_;

  // The group that is being written.
  rocksdb::WriteBatch writes_;
  std::vector<Item*> accepted_;
  std::vector<EngineChange> changes_;
  // What the hook added.
  std::vector<EngineBatch::Write> more_;
  // What earlier batches of the group make of their keys: the revision, 0 for a deletion.
  absl::flat_hash_map<absl::string_view, Revision> written_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_GROUP_WRITER_H_
