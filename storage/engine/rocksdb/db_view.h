#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_VIEW_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_VIEW_H_

#include <functional>
#include <memory>
#include <optional>

#include "rocksdb/db.h"
#include "storage/engine/engine.h"
#include "storage/engine/rocksdb/db_handle.h"

namespace keyferry::storage {

// A RocksDB snapshot as the engine's users see it.
class DbView : public EngineSnapshot {
 public:
  // Takes over `snapshot`, which shows the state at `revision`.
  DbView(std::shared_ptr<DbHandle> handle, const rocksdb::Snapshot* snapshot, Revision revision);
  ~DbView() override;

  rocksdb::SequenceNumber sequence() const { return snapshot_->GetSequenceNumber(); }

  Revision revision() const override { return revision_; }
  absl::StatusOr<std::optional<EngineEntry>> Get(absl::string_view key) const override;
  absl::Status Scan(absl::string_view prefix, absl::string_view after,
                    const std::function<bool(const EngineEntry&)>& visit) const override;

 private:
  const std::shared_ptr<DbHandle> handle_;
  const rocksdb::Snapshot* const snapshot_;
  const Revision revision_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_DB_VIEW_H_
