#include "storage/engine/conformance.h"

#include <filesystem>

#include "absl/strings/str_cat.h"

namespace keyferry::storage {

// An engine whose test instantiates nothing would pass by running nothing; GoogleTest reports that as a failure.
void EngineConformanceTest::SetUp() {
  std::string pattern = absl::StrCat(testing::TempDir(), "/engine-XXXXXX");
  ASSERT_NE(mkdtemp(pattern.data()), nullptr);
  dir_ = pattern;
  engine_ = GetParam().open(dir_);
  ASSERT_NE(engine_, nullptr);
}

void EngineConformanceTest::TearDown() {
  engine_.reset();
  std::filesystem::remove_all(dir_);
}

Revision EngineConformanceTest::Commit(const EngineBatch& batch, Durability durability) {
  const absl::StatusOr<Revision> revision = engine().Commit(batch, durability);
  EXPECT_TRUE(revision.ok()) << revision.status();
  return revision.value_or(0);
}

Revision EngineConformanceTest::Put(absl::string_view key, absl::string_view value) {
  return Commit(PutBatch(key, value));
}

Revision EngineConformanceTest::Delete(absl::string_view key) { return Commit(DeleteBatch(key)); }

std::optional<EngineEntry> EngineConformanceTest::GetIn(const EngineSnapshot& view, absl::string_view key) {
  absl::StatusOr<std::optional<EngineEntry>> entry = view.Get(key);
  EXPECT_TRUE(entry.ok()) << entry.status();
  return entry.ok() ? *std::move(entry) : std::nullopt;
}

EngineConformanceTest::Expected EngineConformanceTest::ScanIn(const EngineSnapshot& view, absl::string_view prefix,
                                                              absl::string_view after) {
  Expected entries;
  std::string last;
  const absl::Status status = view.Scan(prefix, after, [&](const EngineEntry& entry) {
    EXPECT_LT(last, entry.key) << "not in order of key";
    EXPECT_GT(entry.revision, 0u);
    EXPECT_LE(entry.revision, view.revision());
    last = entry.key;
    entries[entry.key] = entry.value;
    return true;
  });
  EXPECT_TRUE(status.ok()) << status;
  return entries;
}

EngineBatch PutBatch(absl::string_view key, absl::string_view value) {
  EngineBatch batch;
  batch.writes.push_back({std::string(key), std::string(value)});
  return batch;
}

EngineBatch DeleteBatch(absl::string_view key) {
  EngineBatch batch;
  batch.writes.push_back({std::string(key), std::nullopt});
  return batch;
}

}  // namespace keyferry::storage
