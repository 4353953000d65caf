#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "storage/engine/conformance.h"

namespace keyferry::storage {
namespace {

struct ModelEntry {
  std::string value;
  Revision revision;
  bool operator==(const ModelEntry& other) const { return value == other.value && revision == other.revision; }
};
using Model = std::map<std::string, ModelEntry>;

// Random operations, the same for the same seed.
class Player {
 public:
  explicit Player(unsigned seed) : random_(seed) {}

  int Below(int bound) { return std::uniform_int_distribution<int>(0, bound - 1)(random_); }

  std::string Key() {
    std::string key(1 + Below(3), 'a');
    for (char& c : key) c = "ab\xff"[Below(3)];
    return key;
  }

  EngineBatch Batch(const Model& model) {
    EngineBatch batch;
    std::map<std::string, std::optional<std::string>> writes;
    for (int i = Below(4); i >= 0; --i) {
      writes[Key()] = Below(3) == 0 ? std::nullopt : std::make_optional(std::string(Below(200), 'a' + Below(26)));
    }
    for (auto& [key, value] : writes) batch.writes.push_back({key, value});
    for (int i = Below(3); i > 0; --i) {
      const std::string key = Key();
      const auto it = model.find(key);
      const Revision right = it == model.end() ? 0 : it->second.revision;
      batch.preconditions.push_back({key, Below(4) == 0 ? right + 1 : right});
    }
    return batch;
  }

 private:
  std::mt19937 random_;
};

bool Applies(const EngineBatch& batch, const Model& model) {
  for (const EngineBatch::Precondition& precondition : batch.preconditions) {
    const auto it = model.find(precondition.key);
    if ((it == model.end() ? 0 : it->second.revision) != precondition.revision) return false;
  }
  return true;
}

void Apply(const EngineBatch& batch, Revision revision, Model& model) {
  for (const EngineBatch::Write& write : batch.writes) {
    model.erase(write.key);
    if (write.value.has_value()) model[write.key] = {*write.value, revision};
  }
}

Model ReadAll(const EngineSnapshot& view, absl::string_view prefix, absl::string_view after) {
  Model found;
  const absl::Status status = view.Scan(prefix, after, [&](const EngineEntry& entry) {
    found[entry.key] = {entry.value, entry.revision};
    return true;
  });
  EXPECT_TRUE(status.ok()) << status;
  return found;
}

Model Restrict(const Model& model, const std::string& prefix, const std::string& after) {
  Model some;
  for (const auto& [key, entry] : model) {
    if (key.compare(0, prefix.size(), prefix) == 0 && key > after) some[key] = entry;
  }
  return some;
}

class ModelRun {
 public:
  ModelRun(Engine& engine, unsigned seed) : engine_(engine), player_(seed) {}

  void Step() {
    switch (player_.Below(20)) {
      case 0:
        views_.emplace_back(engine_.Snapshot(), model_);
        if (views_.size() > 5) views_.erase(views_.begin() + player_.Below(5));
        break;
      case 1:
        if (!views_.empty()) CheckView(views_[player_.Below(views_.size())]);
        break;
      case 2:
        EXPECT_TRUE(engine_.Sync().ok());
        break;
      case 3:
        if (player_.Below(10) == 0) PurgeSome();
        break;
      default:
        CommitOne();
    }
  }

  void CheckNow() { CheckView({engine_.Snapshot(), model_}); }

 private:
  using View = std::pair<std::shared_ptr<const EngineSnapshot>, Model>;

  void CommitOne() {
    const EngineBatch batch = player_.Batch(model_);
    const Durability durability = player_.Below(4) == 0 ? Durability::kSynced : Durability::kBuffered;
    const absl::StatusOr<Revision> revision = engine_.Commit(batch, durability);
    if (Applies(batch, model_)) {
      ASSERT_TRUE(revision.ok()) << revision.status();
      ASSERT_EQ(*revision, ++newest_);
      Apply(batch, *revision, model_);
    } else {
      ASSERT_EQ(revision.status().code(), absl::StatusCode::kAborted);
    }
  }

  void PurgeSome() {
    views_.clear();
    const std::vector<std::string> keys = {player_.Key(), player_.Key(), player_.Key()};
    const absl::Status purged = engine_.Purge(keys, absl::Seconds(60));
    EXPECT_TRUE(purged.ok()) << purged;
  }

  void CheckView(const View& view) {
    const std::string prefix = player_.Below(2) == 0 ? "" : player_.Key();
    const std::string after = player_.Below(2) == 0 ? "" : player_.Key();
    EXPECT_TRUE(ReadAll(*view.first, prefix, after) == Restrict(view.second, prefix, after));
    const std::string key = player_.Key();
    const absl::StatusOr<std::optional<EngineEntry>> entry = view.first->Get(key);
    ASSERT_TRUE(entry.ok()) << entry.status();
    const auto it = view.second.find(key);
    ASSERT_EQ(entry->has_value(), it != view.second.end());
    if (entry->has_value()) {
      EXPECT_TRUE((ModelEntry{(*entry)->value, (*entry)->revision} == it->second));
    }
  }

  Engine& engine_;
  Player player_;
  Model model_;
  Revision newest_ = 0;
  std::vector<View> views_;
};

TEST_P(EngineConformanceTest, RandomOperationsMatchAModel) {
  constexpr unsigned kSeed = 20240611;
  SCOPED_TRACE(absl::StrCat("seed ", kSeed));
  ModelRun run(engine(), kSeed);
  for (int step = 0; step < 3000 && !HasFatalFailure(); ++step) {
    SCOPED_TRACE(absl::StrCat("step ", step));
    run.Step();
  }
  run.CheckNow();
}

}  // namespace
}  // namespace keyferry::storage
