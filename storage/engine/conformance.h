#ifndef KEYFERRY_STORAGE_ENGINE_CONFORMANCE_H_
#define KEYFERRY_STORAGE_ENGINE_CONFORMANCE_H_

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"
#include "storage/engine/engine.h"

namespace keyferry::storage {

// Makes a new, empty engine; `dir` is an empty directory that only this test uses.
struct EngineFactory {
  std::string name;
  std::function<std::unique_ptr<Engine>(const std::string& dir)> open;
};

// The suite that every engine passes: INSTANTIATE_TEST_SUITE_P(..., EngineConformanceTest, testing::Values(factory)).
class EngineConformanceTest : public testing::TestWithParam<EngineFactory> {
 protected:
  void SetUp() override;
  void TearDown() override;

  using Expected = std::map<std::string, std::string>;

  Engine& engine() { return *engine_; }

  // Each expects success.
  Revision Put(absl::string_view key, absl::string_view value);
  Revision Delete(absl::string_view key);
  Revision Commit(const EngineBatch& batch, Durability durability = Durability::kSynced);

  // In a view taken now.
  std::optional<EngineEntry> Get(absl::string_view key) { return GetIn(*engine().Snapshot(), key); }

  static std::optional<EngineEntry> GetIn(const EngineSnapshot& view, absl::string_view key);
  static Expected ScanIn(const EngineSnapshot& view, absl::string_view prefix = "", absl::string_view after = "");

 private:
  std::string dir_;
  std::unique_ptr<Engine> engine_;
};

// Batches of one write.
EngineBatch PutBatch(absl::string_view key, absl::string_view value);
EngineBatch DeleteBatch(absl::string_view key);

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_ENGINE_CONFORMANCE_H_
