#ifndef KEYFERRY_STORAGE_ENGINE_ROCKSDB_TEST_STORE_H_
#define KEYFERRY_STORAGE_ENGINE_ROCKSDB_TEST_STORE_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "gtest/gtest.h"
#include "storage/engine/engine.h"
#include "storage/engine/rocksdb/fault_fs.h"
#include "storage/engine/rocksdb/rocksdb_engine.h"

namespace keyferry::storage {

// A RocksDB engine in a directory of its own over a FaultFs, with the history of what was written, so that what it
// holds can be checked. Its states are numbered by the commits before them.
class TestStore {
 public:
  using Contents = std::map<std::string, std::string>;

  TestStore();
  ~TestStore();

  FaultFs& fs() { return *fs_; }
  Engine& engine() { return *engine_; }
  const std::string& dir() const { return dir_; }
  std::string Path(const std::string& name) const { return dir_ + "/" + name; }

  // Opens it, made anew if need be. Open() also checks that nothing that was acknowledged is lost and that what is
  // there is exactly the state at one revision.
  absl::Status TryOpen();
  void Open();
  void Close() { engine_.reset(); }
  // Ends it as a kill or a power loss would: nothing more reaches the disk.
  void Crash(FaultFs::Unsynced data, bool entries_lost, unsigned seed = 1);

  // Commits, and records the outcome. The engine's status is handed back.
  absl::Status Commit(EngineBatch batch, Durability durability = Durability::kSynced);
  absl::Status Put(const std::string& key, const std::string& value, Durability durability = Durability::kSynced);
  absl::Status Delete(const std::string& key);
  absl::Status Sync();

  // Fails the test unless the engine holds one of these states, neither older than what was acknowledged as durable nor
  // newer than what was tried, and its revision is not below the newest of that state.
  void Check();

  // Everything the engine holds, or the first error of reading it.
  absl::StatusOr<Contents> ReadAll();
  const Contents& StateAt(uint64_t state) const { return states_[state]; }
  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t tried() const { return states_.size() - 1; }

  // Names of the files with this beginning and end.
  std::vector<std::string> Files(const std::string& beginning, const std::string& end) const;
  // Whether any file of the directory holds these bytes.
  bool AnyFileHolds(const std::string& bytes) const;

 private:
  std::string dir_;
  std::shared_ptr<FaultFs> fs_;
  std::unique_ptr<Engine> engine_;
  // The last may be one that was tried and not acknowledged.
  std::vector<Contents> states_{Contents()};
  uint64_t committed_ = 0;
  uint64_t acknowledged_ = 0;
  // Revisions that crashes have left out.
  Revision left_out_ = 0;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_ROCKSDB_TEST_STORE_H_
