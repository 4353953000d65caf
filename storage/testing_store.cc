#include "storage/testing_store.h"

#include <stdlib.h>

#include <cstdlib>
#include <utility>

#include "storage/engine/memory/memory_engine.h"
#include "storage/engine/rocksdb/rocksdb_engine.h"

namespace keyferry::storage {
namespace {

class BorrowedEngine : public Engine {
 public:
  BorrowedEngine(Engine* engine, TestEngine* owner) : engine_(engine), owner_(owner) {}
  std::shared_ptr<const EngineSnapshot> Snapshot() override { return engine_->Snapshot(); }
  void SetCommitHook(CommitHook* hook) override { engine_->SetCommitHook(hook); }
  absl::StatusOr<Revision> Commit(const EngineBatch& batch, Durability durability) override {
    owner_->RunHook();
    return engine_->Commit(batch, durability);
  }
  absl::Status Sync() override { return engine_->Sync(); }
  absl::StatusOr<std::unique_ptr<EngineWatch>> Watch(Revision after,
                                                     std::function<void(const EngineChange&)> on_change) override {
    return engine_->Watch(after, std::move(on_change));
  }
  absl::Status Purge(absl::Span<const std::string> keys, absl::Duration timeout) override {
    return engine_->Purge(keys, timeout);
  }
  absl::Status Verify() override { return engine_->Verify(); }
  EngineStatistics Statistics() override { return engine_->Statistics(); }

 private:
  Engine* const engine_;
  TestEngine* const owner_;
};

}  // namespace

std::string EngineName(EngineKind kind) { return kind == EngineKind::kMemory ? "Memory" : "RocksDb"; }

std::string MakeTestDirectory() {
  const char* base = std::getenv("TEST_TMPDIR");
  std::string path = std::string(base == nullptr ? "/tmp" : base) + "/store.XXXXXX";
  if (mkdtemp(path.data()) == nullptr) std::abort();
  return path;
}

TestEngine::TestEngine(EngineKind kind, std::shared_ptr<rocksdb::FileSystem> file_system)
    : kind_(kind), file_system_(std::move(file_system)) {
  if (kind_ == EngineKind::kRocksDb) directory_ = MakeTestDirectory();
  Reopen();
}

TestEngine::~TestEngine() = default;

void TestEngine::BeforeNextCommit(std::function<void()> hook) {
  absl::MutexLock lock(&mutex_);
  hook_ = std::move(hook);
}

void TestEngine::RunHook() {
  std::function<void()> hook;
  {
    absl::MutexLock lock(&mutex_);
    hook.swap(hook_);
  }
  if (hook) hook();
}

std::unique_ptr<Engine> TestEngine::Borrow() { return std::make_unique<BorrowedEngine>(engine_.get(), this); }

void TestEngine::Reopen(const std::function<void()>& closed) {
  if (kind_ == EngineKind::kMemory) {
    if (engine_ == nullptr) engine_ = NewMemoryEngine();
    return;
  }
  engine_ = nullptr;
  if (closed != nullptr) closed();
  RocksDbOptions options;
  options.path = directory_ + "/db";
  options.create = true;
  options.memory_budget = size_t{16} << 20;
  options.file_system = file_system_;
  absl::StatusOr<std::unique_ptr<Engine>> engine = OpenRocksDbEngine(options);
  if (!engine.ok()) std::abort();
  engine_ = *std::move(engine);
}

RecordKey ValueKey(absl::string_view org, absl::string_view parent, absl::string_view id) {
  return {Table::kCredentialValue, std::string(org), std::string(parent), std::string(id)};
}

absl::StatusOr<Revision> PutOne(Store& store, const RecordKey& key, absl::string_view payload, uint64_t version,
                                std::optional<Revision> expected) {
  Mutation mutation;
  mutation.Put(key, SecretBytes::CopyOf(payload), version, expected);
  return store.Commit(mutation, Durability::kSynced);
}

absl::StatusOr<Revision> DeleteOne(Store& store, const RecordKey& key) {
  Mutation mutation;
  mutation.Delete(key, std::nullopt);
  return store.Commit(mutation, Durability::kSynced);
}

std::string ReadOne(Store& store, const RecordKey& key) {
  const absl::StatusOr<std::optional<Record>> record = store.View()->Get(key);
  if (!record.ok()) return std::string(record.status().ToString());
  if (!record->has_value()) return "(absent)";
  return std::string((*record)->payload.Expose());
}

}  // namespace keyferry::storage
