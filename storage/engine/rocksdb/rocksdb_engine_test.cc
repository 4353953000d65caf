#include "storage/engine/rocksdb/rocksdb_engine.h"

#include <filesystem>

#include "absl/strings/match.h"
#include "gtest/gtest.h"
#include "storage/engine/conformance.h"
#include "storage/engine/rocksdb/fault_fs.h"

namespace keyferry::storage {
namespace {

absl::StatusOr<std::unique_ptr<Engine>> OpenIn(const std::string& dir, bool create) {
  RocksDbOptions options;
  options.path = dir;
  options.create = create;
  options.memory_budget = size_t{32} << 20;
  return OpenRocksDbEngine(options);
}

std::unique_ptr<Engine> OpenNew(const std::string& dir) {
  absl::StatusOr<std::unique_ptr<Engine>> engine = OpenIn(dir, /*create=*/true);
  EXPECT_TRUE(engine.ok()) << engine.status();
  return engine.ok() ? *std::move(engine) : nullptr;
}

INSTANTIATE_TEST_SUITE_P(RocksDb, EngineConformanceTest, testing::Values(EngineFactory{"RocksDb", &OpenNew}),
                         [](const auto& info) { return info.param.name; });

class OpenTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "/open-XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    dir_ = pattern;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void ExpectError(absl::StatusCode code, absl::string_view text, bool create = true) {
    const absl::Status status = OpenIn(dir_, create).status();
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_TRUE(absl::StrContains(status.message(), text)) << status;
  }

  std::string dir_;
};

TEST_F(OpenTest, MissingDatabaseIsNotFound) {
  ExpectError(absl::StatusCode::kNotFound, dir_, /*create=*/false);
  EXPECT_TRUE(std::filesystem::is_empty(dir_)) << "a failed open left something";
  EXPECT_EQ(OpenIn(dir_ + "/none", /*create=*/false).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(OpenTest, EverythingIsThereAfterReopening) {
  {
    const auto engine = OpenNew(dir_);
    ASSERT_TRUE(engine->Commit(PutBatch("synced", "1"), Durability::kSynced).ok());
    ASSERT_TRUE(engine->Commit(PutBatch("buffered", "2"), Durability::kBuffered).ok());
    ASSERT_TRUE(engine->Commit(PutBatch("deleted", "3"), Durability::kSynced).ok());
    ASSERT_TRUE(engine->Commit(DeleteBatch("deleted"), Durability::kBuffered).ok());
  }
  for (const bool create : {false, true}) {
    absl::StatusOr<std::unique_ptr<Engine>> engine = OpenIn(dir_, create);
    ASSERT_TRUE(engine.ok()) << engine.status();
    const auto view = (*engine)->Snapshot();
    EXPECT_EQ(view->revision(), 4u);
    EXPECT_EQ((*view->Get("synced"))->revision, 1u);
    EXPECT_EQ((*view->Get("buffered"))->value, "2");
    EXPECT_FALSE(view->Get("deleted")->has_value());
    EXPECT_TRUE((*engine)->Verify().ok());
    EXPECT_EQ((*engine)->Watch(3, [](const EngineChange&) {}).status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_TRUE((*engine)->Watch(4, [](const EngineChange&) {}).ok());
  }
}

TEST_F(OpenTest, OpenDatabaseIsInUse) {
  const auto engine = OpenNew(dir_);
  ExpectError(absl::StatusCode::kFailedPrecondition, "in use");
  EXPECT_TRUE(engine->Commit(PutBatch("k", "v"), Durability::kSynced).ok());
}

TEST_F(OpenTest, ViewsKeepTheDatabaseOpen) {
  auto engine = OpenNew(dir_);
  ASSERT_TRUE(engine->Commit(PutBatch("k", "v"), Durability::kSynced).ok());
  auto view = engine->Snapshot();
  engine.reset();
  EXPECT_EQ((*view->Get("k"))->value, "v");
  ExpectError(absl::StatusCode::kFailedPrecondition, "in use");
  view.reset();
  EXPECT_TRUE(OpenIn(dir_, /*create=*/false).ok());
}

TEST_F(OpenTest, MissingCurrentFileDoesNotStartAnew) {
  {
    const auto engine = OpenNew(dir_);
    ASSERT_TRUE(engine->Commit(PutBatch("k", "v"), Durability::kSynced).ok());
  }
  const std::string current = ReadWholeFile(dir_ + "/CURRENT");
  std::filesystem::remove(dir_ + "/CURRENT");
  ExpectError(absl::StatusCode::kDataLoss, "CURRENT", /*create=*/true);
  ExpectError(absl::StatusCode::kDataLoss, "CURRENT", /*create=*/false);
  WriteWholeFile(dir_ + "/CURRENT", current);
  EXPECT_TRUE(OpenIn(dir_, /*create=*/false).ok()) << "the refused open changed something";
}

}  // namespace
}  // namespace keyferry::storage
