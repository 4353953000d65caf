#include "storage/engine/rocksdb/db_view.h"

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "storage/engine/batch_check.h"
#include "storage/engine/rocksdb/format.h"
#include "storage/engine/rocksdb/status.h"

namespace keyferry::storage {
namespace {

rocksdb::Slice ToSlice(absl::string_view text) { return rocksdb::Slice(text.data(), text.size()); }

absl::StatusOr<EngineEntry> ParseEntry(absl::string_view key, rocksdb::Slice stored, Revision newest) {
  if (stored.size() < kRevisionBytes) return absl::DataLossError("a stored value is shorter than its revision");
  EngineEntry entry;
  entry.revision = DecodeRevision(stored.data());
  if (entry.revision == 0 || entry.revision > newest) {
    return absl::DataLossError("a stored value has a revision that was never given");
  }
  entry.key.assign(key.data(), key.size());
  entry.value.assign(stored.data() + kRevisionBytes, stored.size() - kRevisionBytes);
  return entry;
}

}  // namespace

DbView::DbView(std::shared_ptr<DbHandle> handle, const rocksdb::Snapshot* snapshot, Revision revision)
    : handle_(std::move(handle)), snapshot_(snapshot), revision_(revision) {}

DbView::~DbView() { handle_->ReleaseSnapshot(snapshot_); }

absl::StatusOr<std::optional<EngineEntry>> DbView::Get(absl::string_view key) const {
  if (absl::Status status = CheckEngineKey(key); !status.ok()) return status;
  if (auto known = handle_->cache().Find(key, revision_); known.has_value()) return *std::move(known);
  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  rocksdb::PinnableSlice stored;
  const rocksdb::Status read = handle_->db().Get(options, handle_->db().DefaultColumnFamily(), ToSlice(key), &stored);
  if (read.IsNotFound()) {
    handle_->cache().Insert(key, revision_, std::nullopt);
    return std::nullopt;
  }
  if (!read.ok()) return FromRocksDb(read, "reading a key");
  absl::StatusOr<EngineEntry> entry = ParseEntry(key, stored, revision_);
  if (!entry.ok()) return entry.status();
  std::optional<EngineEntry> found(*std::move(entry));
  handle_->cache().Insert(key, revision_, found);
  return found;
}

absl::Status DbView::Scan(absl::string_view prefix, absl::string_view after,
                          const std::function<bool(const EngineEntry&)>& visit) const {
  const std::string end = PrefixEnd(prefix);
  const rocksdb::Slice end_slice(end);
  // The smallest key greater than `after`; with both empty it passes over the engine's own empty key.
  std::string start(after);
  start.push_back('\0');
  if (after < prefix) start.assign(prefix.data(), prefix.size());

  rocksdb::ReadOptions options;
  options.snapshot = snapshot_;
  if (!end.empty()) options.iterate_upper_bound = &end_slice;
  // A scan of everything would push out of the cache what requests need.
  options.fill_cache = !prefix.empty();
  const std::unique_ptr<rocksdb::Iterator> it(handle_->db().NewIterator(options));
  for (it->Seek(start); it->Valid(); it->Next()) {
    const absl::StatusOr<EngineEntry> entry =
        ParseEntry(absl::string_view(it->key().data(), it->key().size()), it->value(), revision_);
    if (!entry.ok()) return entry.status();
    if (!visit(*entry)) return absl::OkStatus();
  }
  return FromRocksDb(it->status(), "scanning");
}

}  // namespace keyferry::storage
