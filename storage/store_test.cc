#include "storage/store.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "gtest/gtest.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/open.h"
#include "storage/testing_store.h"

namespace keyferry::storage {
namespace {

class StoreTest : public testing::TestWithParam<EngineKind> {
 protected:
  StoreTest() { Open(); }

  void Open() {
    store_.reset();
    engine_.Reopen();
    auto store = OpenStoreOn(engine_.Borrow(), /*create=*/true, kek_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  void CreateOrg(absl::string_view org) { ASSERT_TRUE(store_->CreateKeyring(org).ok()); }
  std::multiset<std::string> ScanIds(Table table, absl::string_view org, absl::string_view parent) {
    std::multiset<std::string> found;
    const absl::Status status = store_->View()->Scan(table, org, parent, [&](Record record) {
      found.insert(std::string(record.payload.Expose()));
      return true;
    });
    EXPECT_TRUE(status.ok()) << status;
    return found;
  }

  FakeKeyProvider kek_{1};
  TestEngine engine_{GetParam()};
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Engines, StoreTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return EngineName(info.param); });

TEST_P(StoreTest, WhatWasCommittedIsReadAlsoAfterReopen) {
  CreateOrg("acme");
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "teams/eng", "TOKEN"), "s3cret", 7).ok());
  EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "teams/eng", "TOKEN")), "s3cret");
  Open();
  auto record = store_->View()->Get(ValueKey("acme", "teams/eng", "TOKEN"));
  ASSERT_TRUE(record.ok() && record->has_value()) << record.status();
  EXPECT_EQ((*record)->payload.Expose(), "s3cret");
  EXPECT_EQ((*record)->version, 7);
}

TEST_P(StoreTest, EveryMemberOfTheKeyTellsRecordsApart) {
  CreateOrg("acme");
  CreateOrg("acm");
  const std::vector<RecordKey> keys = {
      {Table::kCredentialValue, "acme", "teams/eng", "A"}, {Table::kPreviousValue, "acme", "teams/eng", "A"},
      {Table::kCredentialValue, "acm", "teams/eng", "A"},  {Table::kCredentialValue, "acme", "teams/en", "gA"},
      {Table::kCredentialValue, "acme", "", "A"},          {Table::kCredentialValue, "acme", "teams/eng", "AA"},
      {Table::kCredentialValue, "acme", "teams/engA", ""},
  };
  for (size_t i = 0; i < keys.size(); ++i) ASSERT_TRUE(PutOne(*store_, keys[i], std::to_string(i)).ok());
  for (size_t i = 0; i < keys.size(); ++i) EXPECT_EQ(ReadOne(*store_, keys[i]), std::to_string(i));
}

TEST_P(StoreTest, ScanSeesExactlyOneParentAndScanAllEveryParent) {
  CreateOrg("acme");
  CreateOrg("other");
  ASSERT_TRUE(PutOne(*store_, {Table::kCredential, "acme", "", "A"}, "org-A").ok());
  ASSERT_TRUE(PutOne(*store_, {Table::kCredential, "acme", "teams/eng", "A"}, "eng-A").ok());
  ASSERT_TRUE(PutOne(*store_, {Table::kCredential, "acme", "teams/eng", "B"}, "eng-B").ok());
  ASSERT_TRUE(PutOne(*store_, {Table::kCredentialUsage, "acme", "teams/eng", "B"}, "usage").ok());
  ASSERT_TRUE(PutOne(*store_, {Table::kCredential, "other", "teams/eng", "B"}, "other").ok());
  EXPECT_EQ(ScanIds(Table::kCredential, "acme", "teams/eng"), (std::multiset<std::string>{"eng-A", "eng-B"}));
  EXPECT_EQ(ScanIds(Table::kCredential, "acme", "teams/en"), std::multiset<std::string>{});
  std::multiset<std::string> all;
  ASSERT_TRUE(store_->View()
                  ->ScanAll(Table::kCredential, "acme",
                            [&](Record record) {
                              all.insert(std::string(record.payload.Expose()));
                              return true;
                            })
                  .ok());
  EXPECT_EQ(all, (std::multiset<std::string>{"org-A", "eng-A", "eng-B"}));
}

TEST_P(StoreTest, StaleRevisionAbortsTheWholeMutation) {
  CreateOrg("acme");
  const RecordKey a = ValueKey("acme", "", "A"), b = ValueKey("acme", "", "B");
  const auto first = PutOne(*store_, a, "1", 1, Revision{0});
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(PutOne(*store_, a, "2", 1, Revision{0}).status().code(), absl::StatusCode::kAborted);
  Mutation mutation;
  mutation.Put(b, SecretBytes::CopyOf("b"), 1, Revision{0});
  mutation.Require(a, *first + 100);
  EXPECT_EQ(store_->Commit(mutation, Durability::kSynced).status().code(), absl::StatusCode::kAborted);
  EXPECT_EQ(ReadOne(*store_, b), "(absent)");
  EXPECT_EQ(ReadOne(*store_, a), "1");
  ASSERT_TRUE(PutOne(*store_, a, "2", 2, *first).ok());
  EXPECT_EQ(ReadOne(*store_, a), "2");
}

TEST_P(StoreTest, ViewIsNotAffectedByLaterCommits) {
  CreateOrg("acme");
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "old").ok());
  const std::unique_ptr<StoreView> view = store_->View();
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "new").ok());
  auto record = view->Get(ValueKey("acme", "", "A"));
  ASSERT_TRUE(record.ok() && record->has_value());
  EXPECT_EQ((*record)->payload.Expose(), "old");
  EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", "A")), "new");
}

TEST_P(StoreTest, OrgWithoutKeyringIsNotFound) {
  EXPECT_EQ(PutOne(*store_, ValueKey("nobody", "", "A"), "1").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->View()->Get(ValueKey("nobody", "", "A")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->GetKeyringInfo("nobody").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->RotateDataKey("nobody").code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(store_->DestroyOrg("nobody").code(), absl::StatusCode::kNotFound);
}

TEST_P(StoreTest, SecondKeyringOfAnOrgIsRefused) {
  CreateOrg("acme");
  EXPECT_EQ(store_->CreateKeyring("acme").code(), absl::StatusCode::kAlreadyExists);
  EXPECT_EQ(store_->CreateKeyring("").code(), absl::StatusCode::kInvalidArgument);
}

TEST_P(StoreTest, TablesStandInTheirSpace) {
  CreateOrg("acme");
  EXPECT_EQ(PutOne(*store_, {Table::kOrg, "acme", "", "acme"}, "x").status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(PutOne(*store_, {Table::kUser, "", "", "ada"}, "x").status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_TRUE(PutOne(*store_, {Table::kOrg, "", "", "acme"}, "x").ok());
}

TEST_P(StoreTest, OneMutationSpansSystemAndOrg) {
  CreateOrg("acme");
  Mutation mutation;
  mutation.Put({Table::kTokenIndex, "", "", "00ff"}, SecretBytes::CopyOf("index"), 1, Revision{0});
  mutation.Put({Table::kToken, "acme", "users/ada", "t1"}, SecretBytes::CopyOf("token"), 1, Revision{0});
  ASSERT_TRUE(store_->Commit(mutation, Durability::kBuffered).ok());
  EXPECT_EQ(ReadOne(*store_, {Table::kTokenIndex, "", "", "00ff"}), "index");
  EXPECT_EQ(ReadOne(*store_, {Table::kToken, "acme", "users/ada", "t1"}), "token");
}

TEST_P(StoreTest, GenerationCountsCommitsOfItsTableOnly) {
  CreateOrg("acme");
  const uint64_t users = store_->Generation(Table::kUser), teams = store_->Generation(Table::kTeam);
  ASSERT_TRUE(PutOne(*store_, {Table::kUser, "acme", "", "ada"}, "x").ok());
  EXPECT_GT(store_->Generation(Table::kUser), users);
  EXPECT_EQ(store_->Generation(Table::kTeam), teams);
}

TEST_P(StoreTest, WatchNamesWhatEachCommitTouched) {
  CreateOrg("acme");
  CreateOrg("other");
  const std::unique_ptr<StoreView> view = store_->View();
  const auto key_of = [&](const RecordKey& key) { return *view->WatchKeyOf(key); };
  EXPECT_TRUE(key_of(ValueKey("acme", "", "A")) == key_of(ValueKey("acme", "", "A")));
  EXPECT_FALSE(key_of(ValueKey("acme", "", "A")) == key_of(ValueKey("other", "", "A")));
  EXPECT_FALSE(key_of(ValueKey("acme", "", "A")) == key_of(ValueKey("acme", "users/ada", "A")));
  EXPECT_FALSE(key_of(ValueKey("acme", "", "A")) == key_of({Table::kCredential, "acme", "", "A"}));
  EXPECT_FALSE(view->WatchKeyOf(ValueKey("nowhere", "", "A")).ok());

  absl::Mutex mutex;
  std::vector<StoreChange> changes;
  bool as_promised = true;
  auto watch = store_->Watch(view->revision(), [&](const StoreChange& change) {
    // Other commits come before, like the one that counts seals.
    const bool of_user = std::any_of(change.records.begin(), change.records.end(),
                                     [](const auto& touched) { return touched.table == Table::kUser; });
    const bool seen =
        store_->View()->revision() >= change.revision && (!of_user || store_->Generation(Table::kUser) > 0);
    absl::MutexLock lock(&mutex);
    as_promised = as_promised && seen;
    changes.push_back(change);
  });
  ASSERT_TRUE(watch.ok()) << watch.status();
  Mutation mutation;
  mutation.Put(ValueKey("acme", "", "A"), SecretBytes::CopyOf("1"), 1, std::nullopt);
  mutation.Put({Table::kUser, "acme", "", "ada"}, SecretBytes::CopyOf("ada"), 1, std::nullopt);
  ASSERT_TRUE(store_->Commit(mutation, Durability::kSynced).ok());
  ASSERT_TRUE(DeleteOne(*store_, ValueKey("acme", "", "A")).ok());
  const auto deleted = [&] {
    return !changes.empty() && changes.back().records.size() == 1 &&
           changes.front().revision != changes.back().revision;
  };
  mutex.LockWhen(absl::Condition(&deleted));
  mutex.Unlock();
  watch->reset();
  EXPECT_TRUE(as_promised);
  EXPECT_TRUE(changes.back().records[0].key == key_of(ValueKey("acme", "", "A")));
  EXPECT_EQ(changes.back().records[0].table, Table::kCredentialValue);
  size_t users = 0;
  for (const StoreChange& change : changes) {
    for (const StoreChange::Touched& touched : change.records) {
      if (touched.key == key_of({Table::kUser, "acme", "", "ada"})) ++users;
    }
  }
  EXPECT_EQ(users, 1);
}

TEST_P(StoreTest, DestroyedOrgOpensNothingAndItsNameCanBeUsedAgain) {
  CreateOrg("acme");
  CreateOrg("other");
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "1").ok());
  ASSERT_TRUE(PutOne(*store_, ValueKey("other", "", "A"), "kept").ok());
  const absl::Status destroyed = store_->DestroyOrg("acme");
  ASSERT_TRUE(destroyed.ok()) << destroyed;
  EXPECT_EQ(store_->View()->Get(ValueKey("acme", "", "A")).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(PutOne(*store_, ValueKey("acme", "", "A"), "2").status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ReadOne(*store_, ValueKey("other", "", "A")), "kept");
  CreateOrg("acme");
  EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", "A")), "(absent)");
  EXPECT_TRUE(store_->Verify().ok());
}

TEST_P(StoreTest, DataKeyRotationKeepsEveryRecordAndLeavesOneKey) {
  CreateOrg("acme");
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "K" + std::to_string(i)), "v" + std::to_string(i), 3).ok());
  }
  ASSERT_TRUE(store_->RotateDataKey("acme").ok());
  const absl::Status purged = store_->WaitForPurge(absl::Seconds(60));
  ASSERT_TRUE(purged.ok()) << purged;
  const auto info = store_->GetKeyringInfo("acme");
  ASSERT_TRUE(info.ok());
  EXPECT_EQ(info->current_key_id, 2);
  EXPECT_EQ(info->key_count, 1);
  Open();
  for (int i = 0; i < 200; ++i) {
    EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", "K" + std::to_string(i))), "v" + std::to_string(i));
  }
  EXPECT_TRUE(store_->Verify().ok());
}

TEST_P(StoreTest, CheckKekTellsTheOneThatOpensTheStoreFromOthers) {
  const FakeKeyProvider next(2);
  EXPECT_TRUE(store_->CheckKek(kek_).ok());
  EXPECT_EQ(store_->CheckKek(next).code(), absl::StatusCode::kPermissionDenied);
  ASSERT_TRUE(store_->RotateKek(next).ok());
  EXPECT_TRUE(store_->CheckKek(next).ok());
  EXPECT_EQ(store_->CheckKek(kek_).code(), absl::StatusCode::kPermissionDenied);
}

TEST_P(StoreTest, StatisticsCountRecordsAndCommits) {
  CreateOrg("acme");
  const StoreStatistics before = store_->Statistics();
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "1").ok());
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "B"), "2").ok());
  EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", "A")), "1");
  Mutation late;
  late.Put(ValueKey("acme", "", "A"), SecretBytes::CopyOf("3"), 1, Revision{0});
  EXPECT_EQ(store_->Commit(late, Durability::kSynced).status().code(), absl::StatusCode::kAborted);
  const StoreStatistics after = store_->Statistics();
  EXPECT_EQ(after.seals - before.seals, 3u);
  EXPECT_EQ(after.opens - before.opens, 1u);
  EXPECT_EQ(after.failed_opens, 0u);
  EXPECT_EQ(after.commits - before.commits, 2u);
  EXPECT_EQ(after.aborted_commits - before.aborted_commits, 1u);
  EXPECT_EQ(after.failed_commits, 0u);
  if (GetParam() != EngineKind::kRocksDb) return;
  EXPECT_GE(after.engine.batches, 2u);
  EXPECT_GE(after.engine.write_latency.count(), 2u);
  EXPECT_GE(after.engine.sync_latency.count(), 1u);
  EXPECT_GT(after.engine.log_file_bytes, 0u);
  EXPECT_GT(after.engine.file_system_bytes, after.engine.file_system_free_bytes);
  EXPECT_FALSE(after.engine.failed);
}

TEST_P(StoreTest, KekRotationShutsTheOldKekOut) {
  CreateOrg("acme");
  ASSERT_TRUE(PutOne(*store_, ValueKey("acme", "", "A"), "1").ok());
  const FakeKeyProvider next(2);
  const absl::Status rotated = store_->RotateKek(next);
  ASSERT_TRUE(rotated.ok()) << rotated;
  EXPECT_EQ(ReadOne(*store_, ValueKey("acme", "", "A")), "1");
  store_.reset();
  engine_.Reopen();
  const auto old = OpenStoreOn(engine_.Borrow(), /*create=*/true, kek_);
  EXPECT_EQ(old.status().code(), absl::StatusCode::kPermissionDenied);
  EXPECT_NE(old.status().message().find("fake KEK 1"), absl::string_view::npos) << old.status();
  auto store = OpenStoreOn(engine_.Borrow(), /*create=*/false, next);
  ASSERT_TRUE(store.ok()) << store.status();
  EXPECT_EQ(ReadOne(**store, ValueKey("acme", "", "A")), "1");
}

// As while a backup is being made.
TEST_P(StoreTest, KekRotationDoesNotWaitForViewsFromBefore) {
  const FakeKeyProvider next(2);
  {
    const std::unique_ptr<StoreView> view = store_->View();
    ASSERT_TRUE(store_->RotateKek(next).ok());
    EXPECT_TRUE(store_->CheckKek(next).ok());
    EXPECT_EQ(store_->CheckKek(kek_).code(), absl::StatusCode::kPermissionDenied);
    EXPECT_EQ(store_->WaitForPurge(absl::ZeroDuration()).code(), absl::StatusCode::kDeadlineExceeded);
  }
  const absl::Status purged = store_->WaitForPurge(absl::Minutes(5));
  EXPECT_TRUE(purged.ok()) << purged;
}

}  // namespace
}  // namespace keyferry::storage
