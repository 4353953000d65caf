#include "server/audit/audit_retention.h"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/audit/audit_rules.h"
#include "server/credentials/testing_world.h"
#include "storage/journal.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"
#include "storage/store.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

constexpr absl::Duration kKeep = absl::Hours(24 * 30);

// Forwards to another store, and does something before each commit.
class HookedStore : public storage::Store {
 public:
  HookedStore(storage::Store* store, std::function<void()> before_commit)
      : store_(store), before_commit_(std::move(before_commit)) {}
  std::unique_ptr<storage::StoreView> View() override { return store_->View(); }
  absl::StatusOr<storage::Revision> Commit(const storage::Mutation& mutation, storage::Durability durability) override {
    before_commit_();
    return store_->Commit(mutation, durability);
  }
  void SetJournalListener(storage::JournalListener) override {}
  absl::Status Sync() override { return store_->Sync(); }
  absl::Status CreateKeyring(absl::string_view org) override { return store_->CreateKeyring(org); }
  absl::Status DestroyOrg(absl::string_view org) override { return store_->DestroyOrg(org); }
  absl::StatusOr<storage::KeyringInfo> GetKeyringInfo(absl::string_view org) override {
    return store_->GetKeyringInfo(org);
  }
  absl::Status RotateDataKey(absl::string_view org) override { return store_->RotateDataKey(org); }
  absl::Status RotateKek(const storage::KeyProvider& next) override { return store_->RotateKek(next); }
  uint64_t Generation(storage::Table table) const override { return store_->Generation(table); }
  absl::StatusOr<std::unique_ptr<storage::EngineWatch>> Watch(
      storage::Revision after, std::function<void(const storage::StoreChange&)> on_change) override {
    return store_->Watch(after, std::move(on_change));
  }
  absl::Status WaitForPurge(absl::Duration timeout) override { return store_->WaitForPurge(timeout); }
  absl::Status Verify() override { return store_->Verify(); }

 private:
  storage::Store* const store_;
  const std::function<void()> before_commit_;
};

class AuditRetentionTest : public testing::TestWithParam<EngineKind> {
 protected:
  void Log(const std::string& method, const std::string& org = "acme") {
    CallRecord record;
    record.org = org;
    record.entry.set_method(method);
    record.entry.mutable_time()->set_seconds(absl::ToUnixSeconds(world_.now));
    ASSERT_TRUE(world_.audit->Store(record).ok());
  }
  void LogMany(int count) {
    for (int i = 1; i <= count; ++i) Log(absl::StrCat("S/M", i));
  }
  uint64_t Prune() {
    AuditRetention retention(world_.store.get(), world_.clock(), kKeep);
    const auto pruned = retention.RunOnce();
    EXPECT_TRUE(pruned.ok()) << pruned.status();
    return pruned.ok() ? *pruned : 0;
  }
  // The methods that are kept; fails unless the chain holds.
  std::vector<std::string> Kept(const std::string& org = "acme") {
    std::vector<std::string> methods;
    const auto damage = storage::VerifyJournal(*world_.store->View(), org, [&](const storage::JournalEntry& stored) {
      v1::AuditEntry entry;
      EXPECT_TRUE(entry.ParseFromString(stored.payload));
      methods.push_back(entry.method());
    });
    EXPECT_TRUE(damage.ok() && !damage->has_value()) << (damage.ok() ? (*damage)->problem : damage.status().ToString());
    return methods;
  }

  World world_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Engines, AuditRetentionTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(AuditRetentionTest, OldEntriesGoAndTheRestIsStillAChain) {
  LogMany(5);
  const auto old_head = *storage::ReadJournalHead(*world_.store->View(), "acme");
  world_.now += kKeep + absl::Hours(1);
  Log("S/New");
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  EXPECT_EQ(Prune(), 5);
  EXPECT_EQ(Kept(), (std::vector<std::string>{"S/New", "keyferryd/PruneAudit"}));
  EXPECT_TRUE(world_.store->Verify().ok());
  EXPECT_EQ(Prune(), 0) << "nothing is due, and no entry says so";
  EXPECT_EQ(Kept().size(), 2);
  // A head that was noted before still fits where the kept chain begins.
  AuditRules rules(world_.store.get(), &world_.pages);
  v1::VerifyAuditLogRequest request;
  request.set_parent("orgs/acme");
  request.mutable_expected()->set_sequence(static_cast<int64_t>(old_head.last_sequence));
  request.mutable_expected()->set_hash(old_head.hash.data(), old_head.hash.size());
  auto verified = rules.VerifyAuditLog(world_.As("root"), request);
  ASSERT_TRUE(verified.ok()) << verified.status();
  EXPECT_TRUE(verified->intact()) << verified->problem();
  EXPECT_EQ(verified->entry_count(), 2);
  request.mutable_expected()->set_hash(std::string(32, 'x'));
  verified = rules.VerifyAuditLog(world_.As("root"), request);
  EXPECT_FALSE(verified->intact());
  EXPECT_EQ(verified->broken_sequence(), 6);
  // One from before that cannot be checked any more, and does not pass.
  request.mutable_expected()->set_sequence(2);
  EXPECT_EQ(DetailOf(rules.VerifyAuditLog(world_.As("root"), request).status()).field(), "expected.sequence");
}

TEST_P(AuditRetentionTest, YoungEntriesAndTheNewestBlockStay) {
  LogMany(3);
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  world_.now += kKeep - absl::Seconds(1);
  EXPECT_EQ(Prune(), 0);
  world_.now += absl::Seconds(2);
  EXPECT_EQ(Prune(), 2);
  EXPECT_EQ(Kept(), (std::vector<std::string>{"S/M3", "keyferryd/PruneAudit"}));
}

TEST_P(AuditRetentionTest, WhatIsNotCountedYetStays) {
  LogMany(3);
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  LogMany(3);
  world_.now += kKeep + absl::Hours(1);
  EXPECT_EQ(Prune(), 3);
  EXPECT_EQ(Kept().front(), "S/M1");
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  EXPECT_EQ(Prune(), 3);
}

TEST_P(AuditRetentionTest, TheSystemsJournalIsPrunedToo) {
  for (int i = 0; i < 4; ++i) Log("S/Unknown", "");
  world_.now += kKeep + absl::Hours(1);
  EXPECT_EQ(Prune(), 3);
  EXPECT_EQ(Kept(""), (std::vector<std::string>{"S/Unknown", "keyferryd/PruneAudit"}));
}

TEST_P(AuditRetentionTest, MoreThanOneCommitTakes) {
  LogMany(1200);
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  world_.now += kKeep + absl::Hours(1);
  EXPECT_EQ(Prune(), 1200);
  EXPECT_EQ(Kept(), (std::vector<std::string>{"keyferryd/PruneAudit", "keyferryd/PruneAudit"}));
  int blocks = 0;
  ASSERT_TRUE(world_.store->View()
                  ->ScanAll(storage::Table::kJournalBlock, "acme",
                            [&](storage::Record) {
                              ++blocks;
                              return true;
                            })
                  .ok());
  EXPECT_EQ(blocks, 2) << "pruned blocks left the store";
}

TEST_P(AuditRetentionTest, AnOrgThatWasMadeAnewMeanwhileKeepsItsOwnJournal) {
  LogMany(4);
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  world_.now += kKeep + absl::Hours(1);
  bool remade = false;
  HookedStore store(world_.store.get(), [this, &remade] {
    if (std::exchange(remade, true)) return;
    // As DeleteOrg and a new org of the same name do.
    const storage::RecordKey key{storage::Table::kOrg, "", "", "acme"};
    ASSERT_TRUE(world_.store->DestroyOrg("acme").ok());
    ASSERT_TRUE(storage::DeleteOne(*world_.store, key).ok());
    ASSERT_TRUE(world_.store->CreateKeyring("acme").ok());
    storage::records::OrgRecord record;
    record.set_id("acme");
    storage::Mutation mutation;
    mutation.Put(key, storage::SerializeSecret(record), /*version=*/1, /*expected=*/0);
    ASSERT_TRUE(world_.store->Commit(mutation, storage::Durability::kSynced).ok());
    Log("S/Remade");
  });
  AuditRetention retention(&store, world_.clock(), kKeep);
  const auto pruned = retention.RunOnce();
  EXPECT_TRUE(pruned.ok()) << pruned.status();
  EXPECT_TRUE(remade);
  EXPECT_EQ(Kept(), std::vector<std::string>{"S/Remade"});
  EXPECT_TRUE(world_.store->Verify().ok());
}

TEST_P(AuditRetentionTest, ADamagedJournalIsLeftAsItIs) {
  LogMany(4);
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  ASSERT_TRUE(storage::DeleteOne(*world_.store, storage::JournalBlockKey("acme", 2)).ok());
  for (int i = 0; i < 3; ++i) Log("S/Unknown", "");
  world_.now += kKeep + absl::Hours(1);
  AuditRetention retention(world_.store.get(), world_.clock(), kKeep);
  EXPECT_TRUE(absl::IsDataLoss(retention.RunOnce().status()));
  EXPECT_EQ(storage::ReadJournalHead(*world_.store->View(), "acme")->first_sequence, 1);
  EXPECT_EQ(Kept("").size(), 2) << "the others are pruned all the same";
}

}  // namespace
}  // namespace keyferry::server
