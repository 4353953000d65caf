// Random operations on the store against a plain map, with reopening, rotations and destroyed orgs in between.

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <tuple>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/testing_store.h"

namespace keyferry::storage {
namespace {

constexpr int kSteps = 1500;

struct Stored {
  std::string payload;
  uint64_t version;
  Revision revision;
};
using ModelKey = std::tuple<Table, std::string, std::string, std::string>;

struct Param {
  EngineKind engine;
  unsigned seed;
};

class ModelTest : public testing::TestWithParam<Param> {
 protected:
  ModelTest() { Open(); }

  void Open() {
    store_.reset();
    engine_.Reopen();
    StoreTuning tuning;
    tuning.keyring_cache = 2;  // Below the number of orgs, so that keyrings come and go.
    tuning.seal_block = 8;
    tuning.seal_limit = 200;
    tuning.purge_delay = absl::Milliseconds(1);
    auto store = StoreImpl::Open(engine_.Borrow(), /*create=*/true, FakeKeyProvider(kek_), tuning, nullptr);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }

  uint32_t Pick(uint32_t below) { return static_cast<uint32_t>(random_() % below); }
  RecordKey PickKey() {
    const Table tables[] = {Table::kCredentialValue, Table::kCredential, Table::kMcpServer};
    const char* parents[] = {"", "teams/eng", "users/ada"};
    return {tables[Pick(3)], absl::StrCat("org", Pick(4)), parents[Pick(3)], absl::StrCat("id", Pick(5))};
  }
  static ModelKey ToModel(const RecordKey& key) { return {key.table, key.org, key.parent, key.id}; }

  // Revisions may rise by a rewrap, which changes nothing else; so a precondition is read from the store.
  Revision CurrentRevision(const RecordKey& key) {
    auto record = store_->View()->Get(key);
    return record.ok() && record->has_value() ? (*record)->revision : 0;
  }

  void Mutate() {
    Mutation mutation;
    std::map<ModelKey, std::optional<Stored>> changes;
    bool expect_not_found = false, stale = false;
    for (uint32_t i = 0; i <= Pick(4); ++i) {
      const RecordKey key = PickKey();
      if (!changes.emplace(ToModel(key), std::nullopt).second) continue;
      std::optional<Revision> expected;
      if (Pick(2) == 0) expected = CurrentRevision(key);
      if (Pick(20) == 0) {
        expected = 999999999;
        stale = true;
      }
      expect_not_found |= orgs_.count(key.org) == 0;
      if (Pick(3) == 0) {
        mutation.Delete(key, expected);
        continue;
      }
      Stored value{absl::StrCat("value ", random_(), std::string(Pick(300), 'x')), random_(), 0};
      mutation.Put(key, SecretBytes::CopyOf(value.payload), value.version, expected);
      changes[ToModel(key)] = std::move(value);
    }
    const auto revision = store_->Commit(mutation, Pick(2) == 0 ? Durability::kSynced : Durability::kBuffered);
    if (expect_not_found) {
      ASSERT_EQ(revision.status().code(), absl::StatusCode::kNotFound) << revision.status();
      return;
    }
    if (stale) {
      ASSERT_EQ(revision.status().code(), absl::StatusCode::kAborted) << revision.status();
      return;
    }
    // A rewrap in the background may have overtaken a precondition.
    if (absl::IsAborted(revision.status())) {
      ++overtaken_;
      return;
    }
    ASSERT_TRUE(revision.ok()) << revision.status();
    for (auto& [key, value] : changes) {
      if (value.has_value()) {
        model_[key] = *value;
      } else {
        model_.erase(key);
      }
    }
  }

  void CreateOrDestroyOrg() {
    const std::string org = absl::StrCat("org", Pick(4));
    if (orgs_.count(org) == 0) {
      ASSERT_TRUE(store_->CreateKeyring(org).ok());
      orgs_.insert(org);
      return;
    }
    EXPECT_EQ(store_->CreateKeyring(org).code(), absl::StatusCode::kAlreadyExists);
    if (Pick(4) != 0) return;
    const absl::Status status = store_->DestroyOrg(org);
    ASSERT_TRUE(status.ok()) << status;
    orgs_.erase(org);
    for (auto it = model_.begin(); it != model_.end();) {
      it = std::get<1>(it->first) == org ? model_.erase(it) : std::next(it);
    }
  }

  void CheckAll() {
    // A buffered commit may show only with the synced one before it, which a rewrap in the background may be making.
    ASSERT_TRUE(store_->Sync().ok());
    const std::unique_ptr<StoreView> view = store_->View();
    size_t found = 0;
    for (const std::string& org : orgs_) {
      for (const Table table : {Table::kCredentialValue, Table::kCredential, Table::kMcpServer}) {
        ASSERT_TRUE(view->ScanAll(table, org,
                                  [&](Record) {
                                    ++found;
                                    return true;
                                  })
                        .ok());
      }
    }
    EXPECT_EQ(found, model_.size());
    for (const auto& [key, stored] : model_) {
      const RecordKey record_key{std::get<0>(key), std::get<1>(key), std::get<2>(key), std::get<3>(key)};
      auto record = view->Get(record_key);
      ASSERT_TRUE(record.ok() && record->has_value()) << record.status();
      EXPECT_EQ((*record)->payload.Expose(), stored.payload);
      EXPECT_EQ((*record)->version, stored.version);
    }
  }

  void Step() {
    switch (Pick(40)) {
      case 0:
      case 1:
        return CreateOrDestroyOrg();
      case 2:
        return Open();
      case 3:
        if (orgs_.empty()) return;
        ASSERT_TRUE(store_->RotateDataKey(*orgs_.begin()).ok());
        return;
      case 4: {
        ++kek_;
        const absl::Status status = store_->RotateKek(FakeKeyProvider(kek_));
        ASSERT_TRUE(status.ok()) << status;
        return;
      }
      case 5:
        return CheckAll();
      default:
        return Mutate();
    }
  }

  std::mt19937 random_{GetParam().seed};
  uint8_t kek_ = 1;
  int overtaken_ = 0;
  TestEngine engine_{GetParam().engine};
  std::unique_ptr<Store> store_;
  std::set<std::string> orgs_;
  std::map<ModelKey, Stored> model_;
};

INSTANTIATE_TEST_SUITE_P(Seeds, ModelTest,
                         testing::Values(Param{EngineKind::kMemory, 1}, Param{EngineKind::kMemory, 2},
                                         Param{EngineKind::kMemory, 3}, Param{EngineKind::kRocksDb, 1},
                                         Param{EngineKind::kRocksDb, 4}),
                         [](const auto& info) {
                           return absl::StrCat(EngineName(info.param.engine), "Seed", info.param.seed);
                         });

TEST_P(ModelTest, RandomOperationsLeaveWhatTheModelSays) {
  for (int step = 0; step < kSteps; ++step) {
    ASSERT_NO_FATAL_FAILURE(Step()) << "seed " << GetParam().seed << ", step " << step;
  }
  EXPECT_LT(overtaken_, kSteps / 10);
  CheckAll();
  const absl::Status purged = store_->WaitForPurge(absl::Seconds(60));
  EXPECT_TRUE(purged.ok()) << purged;
  const absl::Status verified = store_->Verify();
  EXPECT_TRUE(verified.ok()) << verified;
  Open();
  CheckAll();
}

}  // namespace
}  // namespace keyferry::storage
