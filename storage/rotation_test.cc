// Data-key rotation beside writers, its resumption, seal counts, and destroyed keyrings.

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/envelope.h"
#include "storage/format.h"
#include "storage/open.h"
#include "storage/testing_store.h"

namespace keyferry::storage {
namespace {

class RotationTest : public testing::TestWithParam<EngineKind> {
 protected:
  RotationTest() {
    Open(StoreTuning());
    EXPECT_TRUE(store_->CreateKeyring("acme").ok());
  }

  void Open(const StoreTuning& tuning) {
    store_.reset();
    engine_.Reopen();
    auto store = StoreImpl::Open(engine_.Borrow(), /*create=*/true, kek_, tuning, nullptr);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  // How many stored records each data key has sealed.
  std::map<uint32_t, int> RecordsByKey() {
    std::map<uint32_t, int> count;
    EXPECT_TRUE(engine_.engine()
                    .Snapshot()
                    ->Scan(SpaceKey(Space::kRecord, ""), "",
                           [&](const EngineEntry& entry) {
                             ++count[ParseSealedRecord(entry.value)->key_id];
                             return true;
                           })
                    .ok());
    return count;
  }
  void WaitForPurge() {
    const absl::Status purged = store_->WaitForPurge(absl::Seconds(60));
    ASSERT_TRUE(purged.ok()) << purged;
  }
  std::string Key(int i) const { return absl::StrCat("K", i); }

  FakeKeyProvider kek_{1};
  TestEngine engine_{GetParam()};
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Engines, RotationTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return EngineName(info.param); });

TEST_P(RotationTest, WritersGoOnAndNothingIsLost) {
  constexpr int kWriters = 4, kRecords = 50, kRounds = 5;
  std::vector<std::thread> writers;
  std::atomic<int> failures{0};
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      for (int round = 1; round <= kRounds; ++round) {
        for (int i = 0; i < kRecords; ++i) {
          const RecordKey key = ValueKey("acme", absl::StrCat("teams/t", writer), Key(i));
          if (!PutOne(*store_, key, absl::StrCat(writer, "/", i, "/", round), round).ok()) ++failures;
        }
      }
    });
  }
  for (int rotation = 0; rotation < 5; ++rotation) ASSERT_TRUE(store_->RotateDataKey("acme").ok());
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(failures, 0);
  WaitForPurge();
  EXPECT_EQ(RecordsByKey(), (std::map<uint32_t, int>{{6, kWriters * kRecords}}));
  for (int writer = 0; writer < kWriters; ++writer) {
    for (int i = 0; i < kRecords; ++i) {
      EXPECT_EQ(ReadOne(*store_, ValueKey("acme", absl::StrCat("teams/t", writer), Key(i))),
                absl::StrCat(writer, "/", i, "/", kRounds));
    }
  }
  EXPECT_TRUE(store_->Verify().ok());
}

TEST_P(RotationTest, InterruptedRewrapGoesOnAfterReopen) {
  for (int i = 0; i < 300; ++i) ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", Key(i)), "v").ok());
  ASSERT_TRUE(store_->RotateDataKey("acme").ok());
  Open(StoreTuning());
  WaitForPurge();
  EXPECT_EQ(store_->GetKeyringInfo("acme")->key_count, 1);
  EXPECT_EQ(RecordsByKey(), (std::map<uint32_t, int>{{2, 300}}));
  for (int i = 0; i < 300; ++i) EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", Key(i))), "v");
}

TEST_P(RotationTest, ViewFromBeforeStillOpensItsRecords) {
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "old").ok());
  std::unique_ptr<StoreView> view = store_->View();
  ASSERT_TRUE(store_->RotateDataKey("acme").ok());
  // The rewrap itself does not wait for views; only the purge does.
  while (store_->GetKeyringInfo("acme")->key_count > 1) std::this_thread::yield();
  auto record = view->Get(ValueKey("acme", "", "A"));
  ASSERT_TRUE(record.ok() && record->has_value()) << record.status();
  EXPECT_EQ((*record)->payload.Expose(), "old");
}

TEST_P(RotationTest, SealCountIsNeverBelowTheTruthEvenAfterReopen) {
  StoreTuning tuning;
  tuning.seal_block = 10;
  Open(tuning);
  for (int i = 1; i <= 25; ++i) {
    ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "v").ok());
    ASSERT_GE(store_->GetKeyringInfo("acme")->seal_count, i);
  }
  EXPECT_EQ(store_->GetKeyringInfo("acme")->seal_count, 30);
  Open(tuning);
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "v").ok());
  EXPECT_EQ(store_->GetKeyringInfo("acme")->seal_count, 40);
}

TEST_P(RotationTest, DataKeyIsReplacedAtTheSealLimitByItself) {
  StoreTuning tuning;
  tuning.seal_block = 10;
  tuning.seal_limit = 50;
  Open(tuning);
  for (int i = 0; i < 45; ++i) ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "v").ok());
  WaitForPurge();
  const auto info = store_->GetKeyringInfo("acme");
  EXPECT_EQ(info->current_key_id, 2);
  EXPECT_EQ(info->key_count, 1);
  EXPECT_LT(info->seal_count, 50);
  EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", "A")), "v");
}

// The commit is sealed with key 1 and reaches the engine when key 1 is gone.
TEST_P(RotationTest, CommitThatARotationOvertakesIsSealedAgain) {
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "before").ok());
  engine_.BeforeNextCommit([this] {
    ASSERT_TRUE(store_->RotateDataKey("acme").ok());
    while (store_->GetKeyringInfo("acme")->key_count > 1) std::this_thread::yield();
  });
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "B"), "during").ok());
  EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", "A")), "before");
  EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", "B")), "during");
  EXPECT_EQ(RecordsByKey(), (std::map<uint32_t, int>{{2, 2}}));
}

TEST_P(RotationTest, CommitThatADestructionOvertakesLeavesNothing) {
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "before").ok());
  engine_.BeforeNextCommit([this] { ASSERT_TRUE(store_->DestroyOrg("acme").ok()); });
  EXPECT_EQ(PutOne(*store_, ValueKey("acme", "", "B"), "during").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(RecordsByKey().size(), 0);
}

TEST_P(RotationTest, CommitThatADestructionAndANewOrgOvertakeIsForTheNewOrg) {
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "before").ok());
  engine_.BeforeNextCommit([this] {
    ASSERT_TRUE(store_->DestroyOrg("acme").ok());
    ASSERT_TRUE(store_->CreateKeyring("acme").ok());
  });
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "B"), "during").ok());
  EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", "B")), "during");
  EXPECT_TRUE(store_->Verify().ok());
}

// A commit prepared with the old key must not land after the old key is destroyed: it is sealed again.
TEST_P(RotationTest, ManyRotationsBesideOneWriterNeverLeaveAnUnreadableRecord) {
  std::atomic<bool> stop{false};
  std::thread rotator([&] {
    while (!stop) EXPECT_TRUE(store_->RotateDataKey("acme").ok());
  });
  for (int i = 0; i < 300; ++i) {
    const absl::Status status = PutOne(*store_, ValueKey("acme", "", Key(i % 7)), absl::StrCat(i)).status();
    ASSERT_TRUE(status.ok() || absl::IsAborted(status)) << status;
  }
  stop = true;
  rotator.join();
  WaitForPurge();
  const absl::Status verified = store_->Verify();
  EXPECT_TRUE(verified.ok()) << verified;
}

TEST_P(RotationTest, CopyOfTheOldRecordsIsWorthlessWithoutTheDestroyedKeyring) {
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "secret").ok());
  std::vector<EngineEntry> copy;
  ASSERT_TRUE(engine_.engine()
                  .Snapshot()
                  ->Scan(SpaceKey(Space::kRecord, ""), "",
                         [&](const EngineEntry& entry) {
                           copy.push_back(entry);
                           return true;
                         })
                  .ok());
  ASSERT_TRUE(store_->DestroyOrg("acme").ok());
  ASSERT_TRUE(store_->CreateKeyring("acme").ok());
  EngineBatch batch;
  for (const EngineEntry& entry : copy) batch.writes.push_back({entry.key, entry.value});
  ASSERT_TRUE(engine_.engine().Commit(batch, Durability::kSynced).ok());
  EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", "A")), "(absent)");
  int opened = 0;
  const auto status = store_->View()->ScanAll(Table::kCredentialValue, "acme", [&](Record) { return ++opened > 0; });
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_EQ(opened, 0);
}

// The state that a crash leaves between the destroyed keyring and the last deleted record.
TEST_P(RotationTest, InterruptedDestructionIsFinishedAtOpen) {
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "secret").ok());
  std::string org_tag;
  ASSERT_TRUE(engine_.engine()
                  .Snapshot()
                  ->Scan(SpaceKey(Space::kRecord, ""), "",
                         [&](const EngineEntry& entry) {
                           org_tag = entry.key.substr(1, kTagSize);
                           return false;
                         })
                  .ok());
  EngineBatch batch;
  batch.writes.push_back({SpaceKey(Space::kKeyring, org_tag), std::nullopt});
  batch.writes.push_back({SpaceKey(Space::kDestroyedOrg, org_tag), std::string()});
  store_.reset();
  ASSERT_TRUE(engine_.engine().Commit(batch, Durability::kSynced).ok());
  Open(StoreTuning());
  EXPECT_EQ(RecordsByKey().size(), 0);
  EXPECT_TRUE(store_->CreateKeyring("acme").ok());
}

}  // namespace
}  // namespace keyferry::storage
