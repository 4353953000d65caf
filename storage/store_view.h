#ifndef KEYFERRY_STORAGE_STORE_VIEW_H_
#define KEYFERRY_STORAGE_STORE_VIEW_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "storage/counters.h"
#include "storage/keyrings.h"
#include "storage/store.h"

namespace keyferry::storage {

// What a store counts of its records.
struct RecordCounters {
  Counter seals;
  Counter opens;
  Counter failed_opens;
};

// Opens records of one engine snapshot. `keyrings` and `counters` must outlive it.
class StoreViewImpl : public StoreView {
 public:
  StoreViewImpl(std::shared_ptr<const EngineSnapshot> snapshot, Keyrings* keyrings, RecordCounters* counters)
      : snapshot_(std::move(snapshot)), keyrings_(keyrings), counters_(counters) {}

  Revision revision() const override { return snapshot_->revision(); }
  absl::StatusOr<std::optional<Record>> Get(const RecordKey& key) const override;
  absl::StatusOr<bool> Contains(const RecordKey& key) const override;
  absl::Status Scan(Table table, absl::string_view org, absl::string_view parent,
                    const std::function<bool(Record)>& visit) const override;
  absl::Status ScanAll(Table table, absl::string_view org, const std::function<bool(Record)>& visit) const override;
  absl::StatusOr<WatchKey> WatchKeyOf(const RecordKey& key) const override;
  absl::StatusOr<std::string> PublicId(absl::string_view org, absl::string_view name) const override;

 private:
  // A collection that was looked into: one request asks for many records of few collections.
  struct Collection {
    Table table;
    std::string org;
    std::string parent;
    std::shared_ptr<const OrgKeys> keys;
    RecordKeyBytes prefix;
  };
  struct Place {
    std::shared_ptr<const OrgKeys> keys;
    RecordKeyBytes key;
  };

  absl::StatusOr<Place> Find(const RecordKey& key) const ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Record> Open(const OrgKeys& keys, const EngineEntry& entry) const;
  absl::StatusOr<Record> OpenWithAnyKeys(const OrgKeys& keys, const EngineEntry& entry) const;
  absl::Status ScanPrefix(const OrgKeys& keys, absl::string_view prefix,
                          const std::function<bool(Record)>& visit) const;

  const std::shared_ptr<const EngineSnapshot> snapshot_;
  Keyrings* const keyrings_;
  RecordCounters* const counters_;
  mutable absl::Mutex mutex_;
  // The last few, oldest overwritten first.
  mutable std::vector<Collection> collections_ ABSL_GUARDED_BY(mutex_);
  mutable size_t next_ ABSL_GUARDED_BY(mutex_) = 0;
};

// Opens one record with the org's keys. NOT_FOUND if they do not hold its data key; DATA_LOSS if it does not
// authenticate, with the table in the message.
absl::StatusOr<Record> OpenEntry(const OrgKeys& keys, const EngineEntry& entry);

// The record that an engine key stands for, nullopt if it is none of a record.
std::optional<StoreChange::Touched> RecordOfEngineKey(absl::string_view engine_key);

// INVALID_ARGUMENT unless system tables are used with an empty org and all others with one. Journals have both.
absl::Status CheckSpace(Table table, absl::string_view org);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_STORE_VIEW_H_
