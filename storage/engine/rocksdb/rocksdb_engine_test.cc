#include "storage/engine/rocksdb/rocksdb_engine.h"

#include "gtest/gtest.h"
#include "storage/engine/conformance.h"

namespace keyferry::storage {
namespace {

std::unique_ptr<Engine> OpenNew(const std::string& dir) {
  RocksDbOptions options;
  options.path = dir;
  options.create = true;
  absl::StatusOr<std::unique_ptr<Engine>> engine = OpenRocksDbEngine(options);
  EXPECT_TRUE(engine.ok()) << engine.status();
  return engine.ok() ? *std::move(engine) : nullptr;
}

INSTANTIATE_TEST_SUITE_P(RocksDb, EngineConformanceTest, testing::Values(EngineFactory{"RocksDb", &OpenNew}),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace keyferry::storage
