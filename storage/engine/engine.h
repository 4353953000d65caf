#ifndef KEYFERRY_STORAGE_ENGINE_ENGINE_H_
#define KEYFERRY_STORAGE_ENGINE_ENGINE_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "storage/engine/statistics.h"

namespace keyferry::storage {

// Counts committed batches of one store, from 1, without gaps. 0 stands for "never written".
using Revision = uint64_t;

// A key's value and the revision of the batch that last wrote it.
struct EngineEntry {
  std::string key;
  std::string value;
  Revision revision = 0;
};

// When Commit returns.
enum class Durability {
  // After the batch survives kill -9 and power loss. Batches of concurrent callers share one sync.
  kSynced,
  // After the batch survives kill -9. It survives power loss once a later synced batch, or Sync, has returned.
  kBuffered,
};

// A set of writes that is applied whole or not at all. Order within a batch does not matter: at most one write per key.
struct EngineBatch {
  struct Write {
    std::string key;
    // Absent: delete the key. Deleting an absent key is not an error.
    std::optional<std::string> value;
  };
  // Fails the whole batch with ABORTED unless the key's current revision is `revision` (0: the key is absent).
  struct Precondition {
    std::string key;
    Revision revision = 0;
  };
  std::vector<Write> writes;
  std::vector<Precondition> preconditions;

  // What a CommitHook needs to know of the batch; the engine only hands it on. Must outlive the commit.
  class Attachment {
   public:
    virtual ~Attachment() = default;
  };
  const Attachment* attachment = nullptr;
};

// Adds writes that depend on the order in which batches are committed, like the next link of a chain. Called by one
// thread at a time. A hook must not call the engine.
class CommitHook {
 public:
  virtual ~CommitHook() = default;

  // `accepted` are batches whose preconditions hold and that are about to be written together, in order of revision.
  // Appends to `more` what is written with the last of them, or fails them all, with nothing written.
  virtual absl::Status Extend(absl::Span<const EngineBatch* const> accepted, std::vector<EngineBatch::Write>& more) = 0;

  // How the write after the last Extend that returned OK ended. On an error it is not known whether it was applied; the
  // engine takes no more.
  virtual void Written(bool ok) = 0;
};

// One committed batch, as a watcher sees it: the keys that it wrote or deleted, without values.
struct EngineChange {
  Revision revision = 0;
  std::vector<std::string> keys;
};

// A consistent view of the whole store at one revision, unaffected by later commits. Thread-safe. It holds resources
// (deleted data stays in files while a view from before the delete lives): keep it for one request, not longer.
class EngineSnapshot {
 public:
  virtual ~EngineSnapshot() = default;

  virtual Revision revision() const = 0;

  // The entry, or nullopt if the key is absent. DATA_LOSS if what is stored fails the engine's checksums.
  virtual absl::StatusOr<std::optional<EngineEntry>> Get(absl::string_view key) const = 0;

  // Calls `visit` for each entry whose key starts with `prefix` and is greater than `after`, in order of key, until
  // it returns false. An empty `after` starts at the first.
  virtual absl::Status Scan(absl::string_view prefix, absl::string_view after,
                            const std::function<bool(const EngineEntry&)>& visit) const = 0;
};

// An ordered key-value store with atomic batches, per-key revisions, snapshots and a change feed; small enough that a
// local (RocksDB) and a distributed one (etcd) fit it. Keys are 1 byte to 1 KiB, values up to 1 MiB. Thread-safe.
//
// Errors: ABORTED (a precondition does not hold; nothing was written), INVALID_ARGUMENT (sizes), DATA_LOSS (stored
// bytes fail their checksums), RESOURCE_EXHAUSTED (disk full), UNAVAILABLE (I/O failed). Once a write or sync has
// failed, so that durability is in doubt, every later Commit fails with FAILED_PRECONDITION until the store is
// reopened; reads go on.
class Engine {
 public:
  virtual ~Engine() = default;

  // The newest state that holds no synced batch that is not yet durable. A batch is in it once its Commit has returned;
  // a buffered one, while a synced batch before it is still being synced, only together with that one. A view taken
  // after a Commit failed with ABORTED shows what it collided with.
  virtual std::shared_ptr<const EngineSnapshot> Snapshot() = 0;

  // Call while nothing commits. Null for none; otherwise `hook` must outlive the commits that follow.
  virtual void SetCommitHook(CommitHook* hook) = 0;

  // Applies the batch and returns its revision. A synced batch becomes visible to Snapshot only once it is durable.
  // Batches of concurrent callers are written together, each with a revision of its own.
  virtual absl::StatusOr<Revision> Commit(const EngineBatch& batch, Durability durability) = 0;

  // Makes every batch that was committed before the call durable.
  virtual absl::Status Sync() = 0;

  // Calls `on_change` for each batch committed after revision `after`, once it is durable, in order of revision and
  // without gaps, on a thread of the engine, until the returned handle is destroyed; destruction waits for a running
  // call, except from within it. `on_change` must not block. OUT_OF_RANGE if changes since `after` are no longer kept
  // (read a snapshot and watch from its revision).
  virtual absl::StatusOr<std::unique_ptr<class EngineWatch>> Watch(
      Revision after, std::function<void(const EngineChange&)> on_change) = 0;

  // Returns once no file of the store holds a value that any of `keys` had before its current one. DEADLINE_EXCEEDED
  // if a snapshot from before still lives after `timeout`; then call again.
  virtual absl::Status Purge(absl::Span<const std::string> keys, absl::Duration timeout) = 0;

  // Reads everything that is stored and checks the engine's checksums. DATA_LOSS names the file.
  virtual absl::Status Verify() = 0;

  // May read the directory, but waits for no commit.
  virtual EngineStatistics Statistics() { return EngineStatistics(); }
};

// Ends a watch when destroyed.
class EngineWatch {
 public:
  virtual ~EngineWatch() = default;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ENGINE_H_
