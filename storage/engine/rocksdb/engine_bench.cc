// Measures the engine against raw RocksDB with the same options on the same disk in the same run. Prints one line
// `name value unit ratio` per measurement; the ratio is to the raw one.
//
//   engine_bench DIR [--large]   DIR must not exist; it is removed again. --large: 2,000,000 keys, reopen and memory.

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "rocksdb/db.h"
#include "rocksdb/write_batch.h"
#include "storage/engine/rocksdb/db_options.h"
#include "storage/engine/rocksdb/rocksdb_engine.h"

namespace keyferry::storage {
namespace {

constexpr size_t kBudget = size_t{192} << 20;
constexpr size_t kKeyBytes = 49;
constexpr size_t kValueBytes = 300;

// Spread like the hashes that the store uses as keys.
std::string KeyOf(uint64_t i) {
  std::string key = absl::StrFormat("%016x%016x", i * 0x9e3779b97f4a7c15u, i);
  key.resize(kKeyBytes, 'k');
  return key;
}

std::string ValueOf(uint64_t i) {
  std::string value = absl::StrCat(i);
  value.resize(kValueBytes, static_cast<char>('a' + i % 26));
  return value;
}

[[noreturn]] void Die(const std::string& what) {
  std::cerr << "engine_bench: " << what << "\n";
  std::exit(1);
}

void Check(bool ok, const std::string& what) {
  if (!ok) Die(what);
}

void Print(const std::string& name, double value, const char* unit, double ratio) {
  std::cout << absl::StrFormat("%s %.3f %s %.2f\n", name, value, unit, ratio) << std::flush;
}

std::unique_ptr<Engine> OpenEngine(const std::string& dir, bool create) {
  RocksDbOptions options;
  options.path = dir;
  options.create = create;
  options.memory_budget = kBudget;
  absl::StatusOr<std::unique_ptr<Engine>> engine = OpenRocksDbEngine(options);
  if (!engine.ok()) Die(engine.status().ToString());
  return *std::move(engine);
}

std::unique_ptr<rocksdb::DB> OpenRaw(const std::string& dir) {
  rocksdb::Options options = EngineDbOptions(kBudget);
  options.create_if_missing = true;
  // Raw writers come in parallel.
  options.allow_concurrent_memtable_write = true;
  options.enable_write_thread_adaptive_yield = true;
  rocksdb::DB* db = nullptr;
  Check(rocksdb::DB::Open(options, dir, &db).ok(), "opening raw RocksDB");
  return std::unique_ptr<rocksdb::DB>(db);
}

// Operations per second of `writers` threads that each call `write(i)` for the given time, with distinct i.
double Rate(int writers, absl::Duration time, const std::function<void(uint64_t)>& write) {
  static std::atomic<uint64_t> next{0};
  std::atomic<uint64_t> done{0};
  const absl::Time start = absl::Now();
  const absl::Time end = start + time;
  std::vector<std::thread> threads;
  for (int t = 0; t < writers; ++t) {
    threads.emplace_back([&] {
      while (absl::Now() < end) {
        write(next++);
        ++done;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return done / absl::ToDoubleSeconds(absl::Now() - start);
}

// Rounds of both, taking turns, as a shared disk is not equally fast all the time; the median of each.
void BenchCommits(Engine& engine, rocksdb::DB& raw, int writers) {
  const auto commit = [&](uint64_t i) {
    EngineBatch batch;
    batch.writes.push_back({KeyOf(i), ValueOf(i)});
    Check(engine.Commit(batch, Durability::kSynced).ok(), "commit");
  };
  const auto put = [&](uint64_t i) {
    rocksdb::WriteOptions options;
    options.sync = true;
    Check(raw.Put(options, KeyOf(i), ValueOf(i)).ok(), "put");
  };
  std::vector<double> engine_rates;
  std::vector<double> raw_rates;
  for (int round = 0; round < 7; ++round) {
    raw_rates.push_back(Rate(writers, absl::Seconds(1), put));
    engine_rates.push_back(Rate(writers, absl::Seconds(1), commit));
  }
  std::sort(engine_rates.begin(), engine_rates.end());
  std::sort(raw_rates.begin(), raw_rates.end());
  Print(absl::StrCat("raw_put_synced_", writers), raw_rates[3], "1/s", 1);
  Print(absl::StrCat("commit_synced_", writers), engine_rates[3], "1/s", engine_rates[3] / raw_rates[3]);
}

double NanosEach(uint64_t count, const std::function<void(uint64_t)>& read) {
  const absl::Time start = absl::Now();
  for (uint64_t i = 0; i < count; ++i) read(i * 7919 % count);
  return absl::ToDoubleNanoseconds(absl::Now() - start) / count;
}

void BenchGets(const std::string& dir) {
  constexpr uint64_t kKeys = 100000;
  const auto engine = OpenEngine(dir + "/get_engine", /*create=*/true);
  const auto raw = OpenRaw(dir + "/get_raw");
  for (uint64_t i = 0; i < kKeys; ++i) {
    EngineBatch batch;
    batch.writes.push_back({KeyOf(i), ValueOf(i)});
    Check(engine->Commit(batch, Durability::kBuffered).ok(), "commit");
    Check(raw->Put(rocksdb::WriteOptions(), KeyOf(i), ValueOf(i)).ok(), "put");
  }
  Check(engine->Sync().ok(), "sync");
  Check(engine->Purge({KeyOf(0)}, absl::Minutes(1)).ok(), "flush");
  Check(raw->CompactRange({}, nullptr, nullptr).ok(), "compact");
  std::vector<double> engine_times;
  std::vector<double> raw_times;
  for (int round = 0; round < 7; ++round) {
    raw_times.push_back(NanosEach(kKeys, [&](uint64_t i) {
      std::string value;
      Check(raw->Get(rocksdb::ReadOptions(), KeyOf(i), &value).ok(), "get");
    }));
    engine_times.push_back(NanosEach(kKeys, [&](uint64_t i) {
      const auto entry = engine->Snapshot()->Get(KeyOf(i));
      Check(entry.ok() && entry->has_value(), "get");
    }));
  }
  std::sort(engine_times.begin(), engine_times.end());
  std::sort(raw_times.begin(), raw_times.end());
  Print("raw_get", raw_times[3], "ns", 1);
  Print("snapshot_get", engine_times[3], "ns", engine_times[3] / raw_times[3]);
}

double ResidentMiB() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmRSS:", 0) == 0) return std::stod(line.substr(6)) / 1024;
  }
  return 0;
}

void BenchLarge(const std::string& dir) {
  constexpr uint64_t kKeys = 2000000;
  const std::string path = dir + "/large";
  absl::Time start = absl::Now();
  auto engine = OpenEngine(path, /*create=*/true);
  EngineBatch batch;
  for (uint64_t i = 0; i < kKeys; ++i) {
    batch.writes.push_back({KeyOf(i), ValueOf(i)});
    if (batch.writes.size() < 4) continue;
    Check(engine->Commit(batch, Durability::kBuffered).ok(), "commit");
    batch.writes.clear();
  }
  Check(engine->Sync().ok(), "sync");
  Print("load_2m", absl::ToDoubleSeconds(absl::Now() - start), "s", 0);
  Print("load_2m_resident", ResidentMiB(), "MiB", 0);
  start = absl::Now();
  engine.reset();
  Print("close", absl::ToDoubleSeconds(absl::Now() - start), "s", 0);
  start = absl::Now();
  engine = OpenEngine(path, /*create=*/false);
  Print("reopen", absl::ToDoubleSeconds(absl::Now() - start), "s", 0);
  Check(engine->Verify().ok(), "verify");
  Print("reopen_and_verify", absl::ToDoubleSeconds(absl::Now() - start), "s", 0);
  Print("reopen_and_verify_resident", ResidentMiB(), "MiB", 0);
  start = absl::Now();
  Check(engine->Purge({KeyOf(1000)}, absl::Minutes(5)).ok(), "purge");
  Print("purge_one_of_2m", absl::ToDoubleSeconds(absl::Now() - start), "s", 0);
  const double each = NanosEach(kKeys / 4, [&](uint64_t i) {
    const auto entry = engine->Snapshot()->Get(KeyOf(i * 4));
    Check(entry.ok() && entry->has_value(), "get");
  });
  Print("snapshot_get_of_2m", each, "ns", 0);
  Print("reads_resident", ResidentMiB(), "MiB", 0);
}

int Run(int argc, char** argv) {
  if (argc < 2) Die("usage: engine_bench DIR [--large]");
  const std::string dir = argv[1];
  Check(std::filesystem::create_directory(dir), "cannot make " + dir);
  if (argc > 2 && std::string(argv[2]) == "--large") {
    BenchLarge(dir);
  } else {
    const auto engine = OpenEngine(dir + "/engine", /*create=*/true);
    const auto raw = OpenRaw(dir + "/raw");
    BenchCommits(*engine, *raw, 1);
    BenchCommits(*engine, *raw, 64);
    BenchGets(dir);
  }
  std::filesystem::remove_all(dir);
  return 0;
}

}  // namespace
}  // namespace keyferry::storage

int main(int argc, char** argv) { return keyferry::storage::Run(argc, argv); }
