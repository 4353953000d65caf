#ifndef KEYFERRY_STORAGE_TESTING_STORE_H_
#define KEYFERRY_STORAGE_TESTING_STORE_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/engine/engine.h"
#include "storage/store.h"
#include "storage/store_impl.h"

namespace rocksdb {
class FileSystem;
}  // namespace rocksdb

namespace keyferry::storage {

// Testonly. Which engine a test runs on.
enum class EngineKind { kMemory, kRocksDb };
std::string EngineName(EngineKind kind);

// An engine that several stores use one after the other, as a process that is started again would: opening a store on
// Borrow() and destroying it leaves the engine's content.
class TestEngine {
 public:
  // `file_system` replaces the one below RocksDB.
  explicit TestEngine(EngineKind kind, std::shared_ptr<rocksdb::FileSystem> file_system = nullptr);
  ~TestEngine();

  // Runs `hook` once, just before the next commit of a borrowed engine reaches the engine. Its own commits do not
  // count.
  void BeforeNextCommit(std::function<void()> hook) ABSL_LOCKS_EXCLUDED(mutex_);
  void RunHook() ABSL_LOCKS_EXCLUDED(mutex_);

  // Forwards to the engine and outlives nothing: destroy the store before the TestEngine.
  std::unique_ptr<Engine> Borrow();
  Engine& engine() { return *engine_; }
  // Closes the database and opens it again (RocksDB only; the memory engine stays). `closed` runs in between.
  void Reopen(const std::function<void()>& closed = nullptr);
  // Of the database; empty for the memory engine.
  const std::string& directory() const { return directory_; }

 private:
  const EngineKind kind_;
  const std::shared_ptr<rocksdb::FileSystem> file_system_;
  absl::Mutex mutex_;
  std::function<void()> hook_ ABSL_GUARDED_BY(mutex_);
  std::string directory_;
  std::unique_ptr<Engine> engine_;
};

// A new, empty directory below $TEST_TMPDIR, mode 0700.
std::string MakeTestDirectory();

RecordKey ValueKey(absl::string_view org, absl::string_view parent, absl::string_view id);

// Commits one record, synced.
absl::StatusOr<Revision> PutOne(Store& store, const RecordKey& key, absl::string_view payload, uint64_t version = 1,
                                std::optional<Revision> expected = std::nullopt);
absl::StatusOr<Revision> DeleteOne(Store& store, const RecordKey& key);
// The record's payload, "(absent)", or the error's text.
std::string ReadOne(Store& store, const RecordKey& key);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_TESTING_STORE_H_
