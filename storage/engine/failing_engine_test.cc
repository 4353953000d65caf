#include "storage/engine/failing_engine.h"

#include "gtest/gtest.h"

namespace keyferry::storage {
namespace {

TEST(FailingEngineTest, EveryCallFails) {
  FailingEngine engine(absl::DataLossError("broken"));
  const absl::StatusCode expected = absl::StatusCode::kDataLoss;
  EXPECT_EQ(engine.Commit({}, Durability::kSynced).status().code(), expected);
  EXPECT_EQ(engine.Sync().code(), expected);
  EXPECT_EQ(engine.Watch(0, [](const EngineChange&) {}).status().code(), expected);
  EXPECT_EQ(engine.Purge({}, absl::Seconds(1)).code(), expected);
  EXPECT_EQ(engine.Verify().code(), expected);
  EXPECT_EQ(engine.Snapshot()->Get("k").status().code(), expected);
  EXPECT_EQ(engine.Snapshot()->Scan("", "", [](const EngineEntry&) { return true; }).code(), expected);
}

}  // namespace
}  // namespace keyferry::storage
