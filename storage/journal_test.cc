#include "storage/journal.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/crypto/testing_key_provider.h"
#include "storage/format.h"
#include "storage/open.h"
#include "storage/testing_store.h"

namespace keyferry::storage {
namespace {

class JournalTest : public testing::TestWithParam<EngineKind> {
 protected:
  JournalTest() {
    Open();
    EXPECT_TRUE(store_->CreateKeyring("acme").ok());
  }

  void Open() {
    store_.reset();
    engine_.Reopen();
    auto store = OpenStoreOn(engine_.Borrow(), /*create=*/true, kek_);
    ASSERT_TRUE(store.ok()) << store.status();
    store_ = *std::move(store);
  }
  absl::Status Append(absl::string_view entry, absl::string_view org = "acme",
                      Durability durability = Durability::kSynced) {
    Mutation mutation;
    mutation.Append(std::string(org), std::string(entry));
    return store_->Commit(mutation, durability).status();
  }
  absl::Status AppendBuffered(absl::string_view entry, absl::string_view org = "acme") {
    return Append(entry, org, Durability::kBuffered);
  }
  void AppendMany(int count) {
    for (int i = 1; i <= count; ++i) ASSERT_TRUE(Append(absl::StrCat("entry ", i)).ok());
  }
  std::vector<std::string> Entries(absl::string_view org = "acme") {
    std::vector<std::string> entries;
    const auto damage =
        VerifyJournal(*store_->View(), org, [&](const JournalEntry& entry) { entries.push_back(entry.payload); });
    EXPECT_TRUE(damage.ok()) << damage.status();
    if (damage.ok() && damage->has_value()) entries.push_back(absl::StrCat("DAMAGE ", (*damage)->problem));
    return entries;
  }
  JournalHead Head(absl::string_view org = "acme") {
    const auto head = ReadJournalHead(*store_->View(), org);
    EXPECT_TRUE(head.ok()) << head.status();
    return head.value_or(JournalHead());
  }
  // The engine's entries of one table of the only org.
  std::vector<EngineEntry> Stored(Table table) {
    std::vector<EngineEntry> stored;
    EXPECT_TRUE(engine_.engine()
                    .Snapshot()
                    ->Scan(SpaceKey(Space::kRecord, ""), "",
                           [&](const EngineEntry& entry) {
                             if (entry.key[kOrgPrefixSize] == static_cast<char>(table)) stored.push_back(entry);
                             return true;
                           })
                    .ok());
    std::sort(stored.begin(), stored.end(), [](const auto& a, const auto& b) { return a.revision < b.revision; });
    return stored;
  }
  void Overwrite(const std::string& key, std::optional<std::string> value) {
    EngineBatch batch;
    batch.writes.push_back({key, std::move(value)});
    ASSERT_TRUE(engine_.engine().Commit(batch, Durability::kSynced).ok());
  }
  // Where the chain is said to break; 0 if nowhere.
  uint64_t BreaksAt() {
    const auto damage = VerifyJournal(*store_->View(), "acme", nullptr);
    EXPECT_TRUE(damage.ok()) << damage.status();
    return damage.ok() && damage->has_value() ? (*damage)->sequence : 0;
  }

  FakeKeyProvider kek_{1};
  TestEngine engine_{GetParam()};
  std::unique_ptr<Store> store_;
};

INSTANTIATE_TEST_SUITE_P(Engines, JournalTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return EngineName(info.param); });

TEST_P(JournalTest, KeepsEntriesInOrderAcrossReopen) {
  EXPECT_TRUE(Entries().empty());
  EXPECT_EQ(Head().last_sequence, 0);
  ASSERT_TRUE(Append("one").ok());
  ASSERT_TRUE(Append("two").ok());
  Open();
  ASSERT_TRUE(Append("three").ok());
  EXPECT_EQ(Entries(), (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(Head().last_sequence, 3);
  EXPECT_TRUE(store_->Verify().ok());
}

TEST_P(JournalTest, HashesAreThoseOfTheSpecification) {
  ASSERT_TRUE(Append("one").ok());
  // SHA-256(32 zero bytes | 00 00 00 00 00 00 00 01 | SHA-256("one")), computed with another program.
  EXPECT_EQ(absl::BytesToHexString(View(Head().hash)),
            "fc9cf8c10b1704af1f46a5dead5c3ac3747fd219b9e38ebcfb9f129701edfe58");
}

TEST_P(JournalTest, IsCommittedWithTheRecordsOfItsMutationOrNotAtAll) {
  Mutation mutation;
  mutation.Put(ValueKey("acme", "", "A"), SecretBytes::CopyOf("v"), 1, /*expected=*/0);
  mutation.Append("acme", "created A");
  ASSERT_TRUE(store_->Commit(mutation, Durability::kSynced).ok());
  EXPECT_TRUE(absl::IsAborted(store_->Commit(mutation, Durability::kSynced).status()));
  EXPECT_EQ(Entries(), std::vector<std::string>{"created A"});
}

TEST_P(JournalTest, OrgsAndTheSystemHaveJournalsOfTheirOwn) {
  ASSERT_TRUE(store_->CreateKeyring("other").ok());
  Mutation mutation;
  mutation.Append("acme", "a");
  mutation.Append("other", "o");
  mutation.Append("", "s");
  mutation.Append("acme", "b");
  ASSERT_TRUE(store_->Commit(mutation, Durability::kSynced).ok());
  EXPECT_EQ(Entries("acme"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(Entries("other"), std::vector<std::string>{"o"});
  EXPECT_EQ(Entries(""), std::vector<std::string>{"s"});
}

TEST_P(JournalTest, ConcurrentAppendsAreOneUnbrokenChain) {
  constexpr int kThreads = 8;
  constexpr int kEach = 50;
  std::vector<uint64_t> announced;
  store_->SetJournalListener([&](const JournaledEntry& entry) { announced.push_back(entry.sequence); });
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        Mutation mutation;
        mutation.Append("acme", absl::StrCat(t, "/", i));
        const Durability durability = i % 2 == 0 ? Durability::kSynced : Durability::kBuffered;
        EXPECT_TRUE(store_->Commit(mutation, durability).ok());
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(store_->Sync().ok());
  store_->SetJournalListener(nullptr);
  const std::vector<std::string> entries = Entries();
  EXPECT_EQ(entries.size(), kThreads * kEach);
  EXPECT_EQ(std::set<std::string>(entries.begin(), entries.end()).size(), kThreads * kEach);
  ASSERT_EQ(announced.size(), kThreads * kEach);
  for (size_t i = 0; i < announced.size(); ++i) EXPECT_EQ(announced[i], i + 1);
}

TEST_P(JournalTest, FindsTheBlockOfASequence) {
  AppendMany(20);
  Mutation mutation;
  for (int i = 21; i <= 25; ++i) mutation.Append("acme", absl::StrCat("entry ", i));
  ASSERT_TRUE(store_->Commit(mutation, Durability::kSynced).ok());
  const auto view = store_->View();
  for (uint64_t sequence = 1; sequence <= 25; ++sequence) {
    const auto block = FindJournalBlock(*view, "acme", Head(), sequence);
    ASSERT_TRUE(block.ok()) << block.status();
    EXPECT_EQ(block->entries[sequence - block->first_sequence].payload, absl::StrCat("entry ", sequence));
  }
  for (uint64_t sequence : {0, 26}) {
    EXPECT_TRUE(absl::IsOutOfRange(FindJournalBlock(*view, "acme", Head(), sequence).status()));
  }
}

TEST_P(JournalTest, DetectsAndLocatesADeletedBlock) {
  AppendMany(5);
  for (uint64_t deleted = 1; deleted <= 5; ++deleted) {
    const EngineEntry block = Stored(Table::kJournalBlock)[deleted - 1];
    Overwrite(block.key, std::nullopt);
    EXPECT_EQ(BreaksAt(), deleted);
    EXPECT_FALSE(store_->Verify().ok());
    // Back where it was, as the newest in the order of revisions: put all later ones behind it again.
    const auto later = Stored(Table::kJournalBlock);
    Overwrite(block.key, block.value);
    for (size_t i = deleted - 1; i < later.size(); ++i) Overwrite(later[i].key, later[i].value);
    EXPECT_EQ(BreaksAt(), 0);
  }
}

TEST_P(JournalTest, DetectsAndLocatesAnEditedBlock) {
  AppendMany(3);
  const EngineEntry block = Stored(Table::kJournalBlock)[1];
  for (size_t i = 0; i < block.value.size(); ++i) {
    std::string edited = block.value;
    edited[i] ^= 1;
    Overwrite(block.key, edited);
    EXPECT_EQ(BreaksAt(), 2) << "byte " << i;
  }
  Overwrite(block.key, block.value);
  EXPECT_EQ(BreaksAt(), 0);
}

TEST_P(JournalTest, DetectsReorderedBlocks) {
  AppendMany(4);
  const auto blocks = Stored(Table::kJournalBlock);
  Overwrite(blocks[1].key, blocks[2].value);
  Overwrite(blocks[2].key, blocks[1].value);
  EXPECT_EQ(BreaksAt(), 2);
}

TEST_P(JournalTest, DetectsATruncatedEndAndAnOlderHead) {
  AppendMany(3);
  const EngineEntry old_head = Stored(Table::kJournalHead)[0];
  ASSERT_TRUE(Append("entry 4").ok());
  const EngineEntry head = Stored(Table::kJournalHead)[0];
  const EngineEntry last = Stored(Table::kJournalBlock)[3];
  Overwrite(last.key, std::nullopt);
  EXPECT_EQ(BreaksAt(), 4);
  Overwrite(last.key, last.value);
  EXPECT_EQ(BreaksAt(), 0);
  // The head put back with its block taken away is an older state, which only a head that was noted elsewhere tells.
  Overwrite(last.key, std::nullopt);
  Overwrite(head.key, old_head.value);
  EXPECT_EQ(BreaksAt(), 0);
  EXPECT_EQ(Head().last_sequence, 3);
}

TEST_P(JournalTest, BufferedEntriesFollowTheHeadUntilASync) {
  ASSERT_TRUE(Append("one").ok());
  const std::string head = Stored(Table::kJournalHead)[0].value;
  for (const char* entry : {"two", "three"}) ASSERT_TRUE(AppendBuffered(entry).ok());
  EXPECT_EQ(Stored(Table::kJournalHead)[0].value, head);
  EXPECT_EQ(Head().last_sequence, 3);
  // It is brought up at the next start.
  Open();
  const std::string head_at_start = Stored(Table::kJournalHead)[0].value;
  EXPECT_NE(head_at_start, head);
  EXPECT_EQ(Head().last_sequence, 3);
  ASSERT_TRUE(AppendBuffered("four").ok());
  EXPECT_EQ(Stored(Table::kJournalHead)[0].value, head_at_start);
  EXPECT_EQ(Entries(), (std::vector<std::string>{"one", "two", "three", "four"}));
  ASSERT_TRUE(store_->Sync().ok());
  EXPECT_NE(Stored(Table::kJournalHead)[0].value, head_at_start);
  // From then on their end is as protected as that of synced ones.
  Overwrite(Stored(Table::kJournalBlock).back().key, std::nullopt);
  EXPECT_EQ(BreaksAt(), 4);
}

TEST_P(JournalTest, FollowsOnlyBlocksThatContinueTheChain) {
  for (const char* entry : {"one", "two", "three"}) ASSERT_TRUE(AppendBuffered(entry).ok());
  const auto blocks = Stored(Table::kJournalBlock);
  std::string edited = blocks[1].value;
  edited.back() ^= 1;
  Overwrite(blocks[1].key, edited);
  EXPECT_EQ(BreaksAt(), 2);
  EXPECT_TRUE(absl::IsDataLoss(ReadJournalHead(*store_->View(), "acme").status()));
  Overwrite(blocks[1].key, blocks[2].value);
  EXPECT_EQ(BreaksAt(), 2);
  // What stands behind a gap is not the log's.
  Overwrite(blocks[1].key, std::nullopt);
  EXPECT_EQ(Head().last_sequence, 1);
  JournalHead head;
  JournalBlock block;
  block.number = 1;
  block.first_sequence = 1;
  block.entries.resize(1);
  block.entries[0].sequence = 1;
  EXPECT_TRUE(head.Follow(block).ok());
  EXPECT_TRUE(absl::IsDataLoss(head.Follow(block)));
  block.number = 2;
  EXPECT_TRUE(absl::IsDataLoss(head.Follow(block)));
  block.first_sequence = block.entries[0].sequence = 2;
  block.previous_hash[0] = 1;
  EXPECT_TRUE(absl::IsDataLoss(head.Follow(block)));
}

TEST_P(JournalTest, BlocksWithoutAHeadAreNoJournal) {
  for (const char* entry : {"one", "two", "three"}) ASSERT_TRUE(AppendBuffered(entry).ok());
  Overwrite(Stored(Table::kJournalHead)[0].key, std::nullopt);
  Overwrite(Stored(Table::kJournalBlock).back().key, std::nullopt);
  EXPECT_TRUE(absl::IsDataLoss(ReadJournalHead(*store_->View(), "acme").status()));
  EXPECT_FALSE(store_->Verify().ok());
  // Nor once its beginning is gone.
  Overwrite(Stored(Table::kJournalBlock).front().key, std::nullopt);
  EXPECT_FALSE(store_->Verify().ok());
  Open();
  EXPECT_TRUE(absl::IsDataLoss(Append("four")));
}

TEST_P(JournalTest, TheHeadIsNeverFarBehind) {
  ASSERT_TRUE(AppendBuffered("entry").ok());
  ASSERT_EQ(Stored(Table::kJournalHead).size(), 1);
  const std::string head = Stored(Table::kJournalHead)[0].value;
  for (int i = 0; i < 63; ++i) ASSERT_TRUE(AppendBuffered("entry").ok());
  EXPECT_EQ(Stored(Table::kJournalHead)[0].value, head);
  ASSERT_TRUE(AppendBuffered("entry").ok());
  EXPECT_NE(Stored(Table::kJournalHead)[0].value, head);
}

TEST_P(JournalTest, ASyncSavesTheHeadsOfAllOrgsThatAreThere) {
  for (int i = 0; i < 100; ++i) {
    const std::string org = absl::StrCat("org", i);
    ASSERT_TRUE(store_->CreateKeyring(org).ok());
    for (const char* entry : {"first", "second"}) ASSERT_TRUE(AppendBuffered(entry, org).ok());
  }
  ASSERT_TRUE(store_->DestroyOrg("org50").ok());
  const auto values = [this] {
    std::set<std::string> values;
    for (const EngineEntry& head : Stored(Table::kJournalHead)) values.insert(head.value);
    return values;
  };
  const std::set<std::string> before = values();
  ASSERT_TRUE(store_->Sync().ok());
  std::set<std::string> after = values();
  EXPECT_EQ(after.size(), 99);
  after.insert(before.begin(), before.end());
  EXPECT_EQ(after.size(), 2 * 99) << "a head was left as it was";
  EXPECT_TRUE(store_->Verify().ok());
}

TEST_P(JournalTest, StaysVerifiableWhenItsBeginningIsPruned) {
  AppendMany(10);
  const auto block = ReadJournalBlock(*store_->View(), "acme", 6);
  ASSERT_TRUE(block.ok()) << block.status();
  Mutation prune;
  prune.PruneJournal("acme", block->number, block->first_sequence, block->previous_hash);
  ASSERT_TRUE(store_->Commit(prune, Durability::kSynced).ok());
  EXPECT_EQ(Stored(Table::kJournalBlock).size(), 5);
  ASSERT_TRUE(Append("entry 11").ok());
  Open();
  ASSERT_TRUE(Append("entry 12").ok());
  const std::vector<std::string> entries = Entries();
  ASSERT_EQ(entries.size(), 7);
  EXPECT_EQ(entries.front(), "entry 6");
  EXPECT_EQ(entries.back(), "entry 12");
  EXPECT_EQ(Head().first_sequence, 6);
  // The new beginning is as protected as the old one was.
  const auto blocks = Stored(Table::kJournalBlock);
  Overwrite(blocks.front().key, std::nullopt);
  EXPECT_EQ(BreaksAt(), 6);
}

TEST_P(JournalTest, SurvivesTheRotationOfDataKeys) {
  AppendMany(3);
  ASSERT_TRUE(store_->RotateDataKey("acme").ok());
  ASSERT_TRUE(Append("entry 4").ok());
  ASSERT_TRUE(store_->WaitForPurge(absl::Seconds(30)).ok());
  ASSERT_TRUE(Append("entry 5").ok());
  EXPECT_EQ(store_->GetKeyringInfo("acme")->key_count, 1);
  EXPECT_EQ(Entries().size(), 5);
  EXPECT_TRUE(store_->Verify().ok());
}

TEST_P(JournalTest, BeginsAnewForAnOrgThatWasDestroyed) {
  AppendMany(3);
  ASSERT_TRUE(store_->DestroyOrg("acme").ok());
  EXPECT_TRUE(absl::IsNotFound(Append("late")));
  ASSERT_TRUE(store_->CreateKeyring("acme").ok());
  ASSERT_TRUE(Append("first").ok());
  EXPECT_EQ(Head().last_sequence, 1);
  EXPECT_EQ(Entries(), std::vector<std::string>{"first"});
}

// In pieces of two blocks, with `meanwhile` between the first and the second; what it found, and in how many pieces.
class JournalCheckTest : public JournalTest {
 protected:
  std::string Check(const std::function<void()>& meanwhile = nullptr) {
    JournalCheck check("acme");
    int pieces = 0;
    for (bool done = false; !done; ++pieces) {
      if (pieces == 1 && meanwhile != nullptr) meanwhile();
      const absl::StatusOr<bool> followed = check.Follow(*store_->View(), 2, nullptr);
      if (!followed.ok()) return followed.status().ToString();
      done = *followed;
    }
    if (check.damage().has_value()) return absl::StrCat("breaks at ", check.damage()->sequence);
    return absl::StrCat("intact to ", check.last_sequence(), " in ", pieces);
  }
};

INSTANTIATE_TEST_SUITE_P(Engines, JournalCheckTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return EngineName(info.param); });

TEST_P(JournalCheckTest, FollowsAPieceAtATimeToTheEnd) {
  EXPECT_EQ(Check(), "intact to 0 in 1");
  AppendMany(7);
  EXPECT_EQ(Check(), "intact to 7 in 4");
  EXPECT_EQ(Check([&] { ASSERT_TRUE(Append("meanwhile").ok()); }), "intact to 8 in 4");
}

TEST_P(JournalCheckTest, FindsWhatIsDamagedBehindAndAheadOfIt) {
  AppendMany(7);
  const std::vector<EngineEntry> blocks = Stored(Table::kJournalBlock);
  for (const size_t gone : {2, 3, 5, 7}) {
    const EngineEntry& block = blocks[gone - 1];
    EXPECT_EQ(Check([&] { Overwrite(block.key, std::nullopt); }), absl::StrCat("breaks at ", gone));
    Overwrite(block.key, block.value);
  }
  // What it has left behind, the next one finds.
  EXPECT_EQ(Check([&] { Overwrite(blocks[0].key, std::nullopt); }), "intact to 7 in 4");
  EXPECT_EQ(Check(), "breaks at 1");
}

TEST_P(JournalCheckTest, WhatIsPrunedOrMadeAnewMeanwhileIsNoDamage) {
  AppendMany(7);
  const auto prune = [&](uint64_t first) {
    const JournalBlock before = *ReadJournalBlock(*store_->View(), "acme", first - 1);
    Mutation mutation;
    mutation.PruneJournal("acme", first, before.last_sequence() + 1, before.last_hash());
    mutation.Append("acme", "pruned");
    ASSERT_TRUE(store_->Commit(mutation, Durability::kSynced).ok());
  };
  EXPECT_EQ(Check([&] { prune(3); }), "intact to 8 in 4");
  EXPECT_EQ(Check([&] { prune(7); }), "intact to 9 in 3");
  EXPECT_EQ(Check([&] {
              ASSERT_TRUE(store_->DestroyOrg("acme").ok());
              ASSERT_TRUE(store_->CreateKeyring("acme").ok());
              AppendMany(3);
            }),
            "intact to 3 in 3");
}

TEST_P(JournalTest, RefusesWhatIsTooLarge) {
  EXPECT_TRUE(absl::IsInvalidArgument(Append(std::string((512 << 10) + 1, 'x'))));
  Mutation mutation;
  for (int i = 0; i < 4; ++i) mutation.Append("acme", std::string(200 << 10, 'x'));
  EXPECT_TRUE(absl::IsInvalidArgument(store_->Commit(mutation, Durability::kSynced).status()));
  EXPECT_TRUE(Entries().empty());
  EXPECT_TRUE(Append(std::string(512 << 10, 'x')).ok());
}

}  // namespace
}  // namespace keyferry::storage
