#ifndef KEYFERRY_STORAGE_STORE_H_
#define KEYFERRY_STORAGE_STORE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/crypto/key_provider.h"
#include "storage/crypto/sha256.h"
#include "storage/engine/engine.h"
#include "storage/mutation.h"
#include "storage/record.h"
#include "storage/store_statistics.h"
#include "storage/table.h"

namespace keyferry::storage {

// What changes call a record: equal for equal RecordKeys as long as the store is open, different for different ones.
// Says nothing of the key's text.
struct WatchKey {
  uint64_t high = 0;
  uint64_t low = 0;

  friend bool operator==(const WatchKey& a, const WatchKey& b) { return a.high == b.high && a.low == b.low; }
  // The bits are pseudo-random already.
  template <typename H>
  friend H AbslHashValue(H state, const WatchKey& key) {
    return H::combine(std::move(state), key.high);
  }
};

// One commit, as a watcher sees it: the records that it wrote, rewrapped or deleted.
struct StoreChange {
  struct Touched {
    Table table;
    WatchKey key;
  };
  Revision revision = 0;
  std::vector<Touched> records;
};

// A consistent view of the store. Thread-safe. Keep it for one request, not longer; it must not outlive the store.
//
// Errors: DATA_LOSS (a stored record does not authenticate; it is never returned), NOT_FOUND (the org has no keyring).
class StoreView {
 public:
  virtual ~StoreView() = default;
  virtual Revision revision() const = 0;

  // The record, or nullopt if it is absent.
  virtual absl::StatusOr<std::optional<Record>> Get(const RecordKey& key) const = 0;

  // Whether the record exists, without opening it.
  virtual absl::StatusOr<bool> Contains(const RecordKey& key) const = 0;

  // Calls `visit` for each record of `table` below (org, parent), in a fixed order that says nothing about the ids,
  // until it returns false. Records must name themselves in their payload: the id cannot be recovered from the key.
  virtual absl::Status Scan(Table table, absl::string_view org, absl::string_view parent,
                            const std::function<bool(Record)>& visit) const = 0;

  // The same for every parent of the org.
  virtual absl::Status ScanAll(Table table, absl::string_view org, const std::function<bool(Record)>& visit) const = 0;

  // What changes call the record, whether it exists or not.
  virtual absl::StatusOr<WatchKey> WatchKeyOf(const RecordKey& key) const = 0;

  // 16 bytes that stand for `name` towards the outside, e.g. in a URL: the same for as long as the org exists, on every
  // server of the store and whatever keys are rotated, and saying nothing of org or name. Whoever asks begins the name
  // with what it is for.
  virtual absl::StatusOr<std::string> PublicId(absl::string_view org, absl::string_view name) const = 0;
};

// An entry that was added to a journal. Valid during the call of the listener.
struct JournaledEntry {
  absl::string_view org;
  uint64_t sequence = 0;
  Sha256Digest hash;
  absl::string_view payload;
  // As given to Mutation::Append.
  const void* context = nullptr;
};
using JournalListener = std::function<void(const JournaledEntry&)>;

// What is known of one org's data keys.
struct KeyringInfo {
  uint32_t current_key_id = 0;
  // Keys that still open records; 1 unless a rewrap is under way.
  int key_count = 0;
  // Upper bound of the seals made with the current key.
  uint64_t seal_count = 0;
};

// The encrypted store: every record is sealed (AES-256-GCM-SIV) under its org's current data key and bound to its
// place, version and key. Thread-safe. storage/FORMAT.md specifies what is written to the byte.
//
// What it does not guarantee: an attacker who can write to the data directory can put an older state of a record, or of
// the whole directory, back in place of a newer one.
class Store {
 public:
  virtual ~Store() = default;

  virtual std::unique_ptr<StoreView> View() = 0;

  // A View taken after a synced commit has returned shows it; a buffered one may show a moment later, while another
  // caller's sync is under way.
  //
  // ABORTED: an expected revision does not hold; read again and retry (a rewrap also renews revisions). NOT_FOUND: an
  // org of the mutation has no keyring. Otherwise as Engine::Commit. Payloads of tables that hold values (table.h)
  // which this replaces or deletes are gone from every file within PurgeBound; WaitForPurge waits for it.
  virtual absl::StatusOr<Revision> Commit(const Mutation& mutation, Durability durability) = 0;

  // `listener` is called for each journal entry once it is written, in order for each org, before its commit returns.
  // It must not block and not call the store. Call while nothing commits; null for none.
  virtual void SetJournalListener(JournalListener listener) = 0;

  // Makes buffered commits durable.
  virtual absl::Status Sync() = 0;

  // Gives a new org its keyring. ALREADY_EXISTS if it has one. Call before the first commit for the org.
  virtual absl::Status CreateKeyring(absl::string_view org) = 0;
  // Destroys the org's keyring and removes all of its records. From the return on nothing of the org can be opened,
  // also not from a copy of the files made afterwards.
  virtual absl::Status DestroyOrg(absl::string_view org) = 0;
  virtual absl::StatusOr<KeyringInfo> GetKeyringInfo(absl::string_view org) = 0;
  // Adds a data key, seals with it from now on, and rewraps older records in the background, online; then destroys the
  // older keys. Interrupted work goes on after the next open.
  virtual absl::Status RotateDataKey(absl::string_view org) = 0;

  // Rewraps the root key under `next`, durably, while the store is in use. The old KEK opens nothing afterwards. The
  // bytes that it opens leave the files as deleted values do, once no view from before lives; see WaitForPurge.
  virtual absl::Status RotateKek(const KeyProvider& next) = 0;

  // OK if the KEK opens the store, as its next open will need. PERMISSION_DENIED if it is another one.
  virtual absl::Status CheckKek(const KeyProvider& key_provider) {
    return absl::UnimplementedError("this store has no KEK");
  }

  // Counts the commits that touched a table. Read it before a View: what was computed from that view is current while
  // the counter stands.
  virtual uint64_t Generation(Table table) const = 0;

  // Calls `on_change` for each commit after revision `after`, once it is durable, in order of revision and without
  // gaps, until the returned handle is destroyed (which waits for a running call, except from within it). By then a new
  // View shows the commit and Generation has counted it. Runs on a thread of the store, which it must not block.
  // OUT_OF_RANGE if the changes since `after` are no longer kept. The handle must not outlive the store.
  virtual absl::StatusOr<std::unique_ptr<EngineWatch>> Watch(Revision after,
                                                             std::function<void(const StoreChange&)> on_change) = 0;

  // Waits until everything that was deleted or replaced before the call is gone from the files, and no rewrap is
  // pending.
  virtual absl::Status WaitForPurge(absl::Duration timeout) = 0;

  // Opens every record of every org, follows every journal and checks the engine's checksums. DATA_LOSS says what is
  // wrong and where.
  virtual absl::Status Verify() = 0;

  // May read the directory, but waits for no commit.
  virtual StoreStatistics Statistics() { return StoreStatistics(); }
};

// The stated bound within which deleted values leave the files, while the machine keeps up.
constexpr absl::Duration PurgeBound() { return absl::Seconds(60); }

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_STORE_H_
