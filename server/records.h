#ifndef KEYFERRY_SERVER_RECORDS_H_
#define KEYFERRY_SERVER_RECORDS_H_

#include <optional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/records/typed.h"
#include "storage/store.h"

namespace keyferry::server {

// A decoded record with what a precondition on it needs.
template <typename T>
struct Stored {
  T record;
  storage::Revision revision = 0;
  uint64_t version = 0;
};

// The record at `key`, or nullopt. Errors are the store's own: turn them with FromStore before they leave the server.
template <typename T>
absl::StatusOr<std::optional<Stored<T>>> ReadRecord(const storage::StoreView& view, const storage::RecordKey& key) {
  absl::StatusOr<std::optional<storage::Record>> found = view.Get(key);
  if (!found.ok()) return found.status();
  if (!found->has_value()) return std::optional<Stored<T>>();
  Stored<T> stored;
  absl::Status status = storage::ParseSecretInto((*found)->payload, stored.record);
  if (!status.ok()) return status;
  stored.revision = (*found)->revision;
  stored.version = (*found)->version;
  return std::optional<Stored<T>>(std::move(stored));
}

// Every record of `table` below (org, parent), in no useful order.
template <typename T>
absl::StatusOr<std::vector<Stored<T>>> ScanRecords(const storage::StoreView& view, storage::Table table,
                                                   absl::string_view org, absl::string_view parent) {
  std::vector<Stored<T>> all;
  absl::Status decoded;
  absl::Status scanned = view.Scan(table, org, parent, [&](storage::Record record) {
    Stored<T> stored;
    decoded = storage::ParseSecretInto(record.payload, stored.record);
    stored.revision = record.revision;
    stored.version = record.version;
    all.push_back(std::move(stored));
    return decoded.ok();
  });
  if (!scanned.ok()) return scanned;
  if (!decoded.ok()) return decoded;
  return all;
}

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RECORDS_H_
