#include "storage/engine/rocksdb/test_store.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyferry::storage {

TestStore::TestStore() : fs_(std::make_shared<FaultFs>()) {
  std::string pattern = absl::StrCat(testing::TempDir(), "/rocksdb-XXXXXX");
  EXPECT_NE(mkdtemp(pattern.data()), nullptr);
  dir_ = pattern;
}

TestStore::~TestStore() {
  engine_.reset();
  std::filesystem::remove_all(dir_);
}

absl::Status TestStore::TryOpen() {
  engine_.reset();
  RocksDbOptions options;
  options.path = dir_;
  options.create = true;
  options.memory_budget = size_t{32} << 20;
  options.file_system = fs_;
  absl::StatusOr<std::unique_ptr<Engine>> engine = OpenRocksDbEngine(options);
  if (!engine.ok()) return engine.status();
  engine_ = *std::move(engine);
  return absl::OkStatus();
}

void TestStore::Open() {
  const absl::Status opened = TryOpen();
  ASSERT_TRUE(opened.ok()) << opened;
  Check();
}

void TestStore::Crash(FaultFs::Unsynced data, bool entries_lost, unsigned seed) {
  fs_->CutPower();
  // Once a write has failed, closing does not try to flush; RocksDB would pause for a second after that fails.
  if (engine_ != nullptr) engine_->Commit(EngineBatch(), Durability::kSynced).status().IgnoreError();
  engine_.reset();
  fs_->LosePower(data, entries_lost, seed);
}

absl::Status TestStore::Commit(EngineBatch batch, Durability durability) {
  Contents next = states_[committed_];
  for (const EngineBatch::Write& write : batch.writes) {
    next.erase(write.key);
    if (write.value.has_value()) next[write.key] = *write.value;
  }
  states_.resize(committed_ + 1);
  states_.push_back(std::move(next));
  const absl::StatusOr<Revision> revision = engine_->Commit(batch, durability);
  if (!revision.ok()) return revision.status();
  ++committed_;
  EXPECT_EQ(*revision, left_out_ + committed_);
  if (durability == Durability::kSynced) acknowledged_ = committed_;
  return absl::OkStatus();
}

absl::Status TestStore::Put(const std::string& key, const std::string& value, Durability durability) {
  EngineBatch batch;
  batch.writes.push_back({key, value});
  return Commit(std::move(batch), durability);
}

absl::Status TestStore::Delete(const std::string& key) {
  EngineBatch batch;
  batch.writes.push_back({key, std::nullopt});
  return Commit(std::move(batch));
}

absl::Status TestStore::Sync() {
  absl::Status synced = engine_->Sync();
  if (synced.ok()) acknowledged_ = committed_;
  return synced;
}

void TestStore::Check() {
  const absl::StatusOr<Contents> contents = ReadAll();
  ASSERT_TRUE(contents.ok()) << contents.status();
  uint64_t state = tried();
  while (state > acknowledged_ && *contents != states_[state]) --state;
  ASSERT_TRUE(*contents == states_[state]) << "acknowledged writes are lost, or there are some that nobody made";
  const Revision revision = engine_->Snapshot()->revision();
  ASSERT_GE(revision, left_out_ + state) << "a revision would be given twice";
  // What was tried and is there goes on as if it had been acknowledged.
  states_.resize(state + 1);
  committed_ = state;
  acknowledged_ = state;
  left_out_ = revision - state;
}

absl::StatusOr<TestStore::Contents> TestStore::ReadAll() {
  Contents contents;
  const absl::Status scanned = engine_->Snapshot()->Scan("", "", [&](const EngineEntry& entry) {
    contents[entry.key] = entry.value;
    return true;
  });
  if (!scanned.ok()) return scanned;
  return contents;
}

std::vector<std::string> TestStore::Files(const std::string& beginning, const std::string& end) const {
  std::vector<std::string> names;
  for (const auto& file : std::filesystem::directory_iterator(dir_)) {
    const std::string name = file.path().filename().string();
    if (absl::StartsWith(name, beginning) && absl::EndsWith(name, end)) names.push_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool TestStore::AnyFileHolds(const std::string& bytes) const {
  for (const std::string& name : Files("", "")) {
    if (absl::StrContains(ReadWholeFile(Path(name)), bytes)) return true;
  }
  return false;
}

}  // namespace keyferry::storage
