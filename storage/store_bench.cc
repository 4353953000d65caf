// What the store costs above its floor, a raw RocksDB of the same bytes, in the same run. Prints ratios.

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/table.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/testing_store.h"

namespace keyferry::storage {
namespace {

constexpr int kRecords = 10000;
constexpr size_t kValueSize = 100;

std::string Id(int i) { return absl::StrCat("CREDENTIAL_", i); }

Store& FilledStore() {
  static TestEngine* const engine = new TestEngine(EngineKind::kRocksDb);
  static Store* const store = [] {
    auto opened = StoreImpl::Open(engine->Borrow(), /*create=*/true, FakeKeyProvider(1), StoreTuning(), nullptr);
    if (!opened.ok() || !(*opened)->CreateKeyring("acme").ok()) std::abort();
    for (int i = 0; i < kRecords; ++i) {
      Mutation mutation;
      mutation.Put(ValueKey("acme", "teams/eng", Id(i)), SecretBytes(kValueSize), 1, Revision{0});
      if (!(*opened)->Commit(mutation, Durability::kBuffered).ok()) std::abort();
    }
    if (!(*opened)->Sync().ok()) std::abort();
    return opened->release();
  }();
  return *store;
}

rocksdb::DB& FilledRocksDb() {
  static rocksdb::DB* const db = [] {
    rocksdb::Options options;
    options.create_if_missing = true;
    options.compression = rocksdb::kNoCompression;
    rocksdb::BlockBasedTableOptions table;
    table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
    options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
    rocksdb::DB* opened = nullptr;
    if (!rocksdb::DB::Open(options, MakeTestDirectory() + "/raw", &opened).ok()) std::abort();
    for (int i = 0; i < kRecords; ++i) {
      if (!opened->Put({}, absl::StrCat("acme/teams/eng/", Id(i)), std::string(kValueSize + 49, 'v')).ok())
        std::abort();
    }
    return opened;
  }();
  return *db;
}

void BM_RawRocksDbGet(benchmark::State& state) {
  rocksdb::DB& db = FilledRocksDb();
  int i = 0;
  std::string value;
  for (auto _ : state) {
    i = (i + 7919) % kRecords;
    if (!db.Get({}, absl::StrCat("acme/teams/eng/", Id(i)), &value).ok()) std::abort();
    benchmark::DoNotOptimize(value);
  }
}
BENCHMARK(BM_RawRocksDbGet);

void BM_OpenOneByName(benchmark::State& state) {
  Store& store = FilledStore();
  int i = 0;
  for (auto _ : state) {
    i = (i + 7919) % kRecords;
    auto record = store.View()->Get(ValueKey("acme", "teams/eng", Id(i)));
    if (!record.ok() || !record->has_value()) std::abort();
    benchmark::DoNotOptimize(*record);
  }
}
BENCHMARK(BM_OpenOneByName);

void BM_OpenOneByNameWithinAView(benchmark::State& state) {
  const std::unique_ptr<StoreView> view = FilledStore().View();
  int i = 0;
  for (auto _ : state) {
    i = (i + 7919) % kRecords;
    auto record = view->Get(ValueKey("acme", "teams/eng", Id(i)));
    if (!record.ok() || !record->has_value()) std::abort();
    benchmark::DoNotOptimize(*record);
  }
}
BENCHMARK(BM_OpenOneByNameWithinAView);

void BM_RawRocksDbSyncedPut(benchmark::State& state) {
  rocksdb::DB& db = FilledRocksDb();
  rocksdb::WriteOptions synced;
  synced.sync = true;
  int i = 0;
  for (auto _ : state) {
    i = (i + 7919) % kRecords;
    if (!db.Put(synced, absl::StrCat("acme/teams/eng/", Id(i)), std::string(kValueSize + 49, 'v')).ok()) std::abort();
  }
}
BENCHMARK(BM_RawRocksDbSyncedPut)->Threads(1)->Threads(64)->UseRealTime();

void BM_SyncedRotate(benchmark::State& state) {
  Store& store = FilledStore();
  int i = 0;
  for (auto _ : state) {
    i = (i + 7919) % kRecords;
    Mutation mutation;
    mutation.Put(ValueKey("acme", "teams/eng", Id(i)), SecretBytes(kValueSize), 2, std::nullopt);
    if (!store.Commit(mutation, Durability::kSynced).ok()) std::abort();
  }
}
BENCHMARK(BM_SyncedRotate)->Threads(1)->Threads(64)->UseRealTime();

}  // namespace
}  // namespace keyferry::storage

BENCHMARK_MAIN();
