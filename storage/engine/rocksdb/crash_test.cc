#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"
#include "rocksdb/env.h"
#include "storage/engine/rocksdb/fault_fs.h"
#include "storage/engine/rocksdb/test_store.h"

namespace keyferry::storage {
namespace {

using Fault = FaultFs::Fault;
using Unsynced = FaultFs::Unsynced;

// Batches of two keys with one value, so that half a batch shows; every kind of file work RocksDB does comes up: log,
// flush, compaction, manifest, deletion of files. Ends at the first error, which is handed back.
absl::Status Work(TestStore& store) {
  for (int i = 0; i < 24; ++i) {
    EngineBatch batch;
    const std::string value = absl::StrCat("value ", i, std::string(100 * (i % 5), 'x'));
    batch.writes.push_back({absl::StrCat("left", i % 7), value});
    batch.writes.push_back({absl::StrCat("right", i % 7), value});
    if (i % 4 == 3) batch.writes.push_back({absl::StrCat("gone", i - 1), std::nullopt});
    if (i % 4 == 2) batch.writes.push_back({absl::StrCat("gone", i), value});
    const Durability durability = i % 3 == 1 ? Durability::kBuffered : Durability::kSynced;
    if (absl::Status status = store.Commit(batch, durability); !status.ok()) return status;
    if (i % 8 == 6) {
      // A file that cannot be deleted makes a purge late; that stops no commit.
      const absl::Status purged = store.engine().Purge({"left1", "gone2"}, absl::Milliseconds(100));
      if (!purged.ok() && purged.code() != absl::StatusCode::kDeadlineExceeded) return purged;
    }
  }
  return store.Sync();
}

bool IsClear(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable || status.code() == absl::StatusCode::kResourceExhausted ||
         status.code() == absl::StatusCode::kFailedPrecondition;
}

struct Case {
  const char* name;
  Fault fault;
  Unsynced unsynced;
  bool entries_lost;
};

class CrashTest : public testing::TestWithParam<Case> {
 protected:
  // Opens, works, and gets the fault at operation `n` on the way; then opens again and works on. Whether there are so
  // many operations.
  static bool Survive(uint64_t n) {
    SCOPED_TRACE(absl::StrCat("fault at operation ", n));
    TestStore store;
    store.fs().Arm(n, GetParam().fault);
    absl::Status status = store.TryOpen();
    if (status.ok()) status = Work(store);
    const bool fired = store.fs().fired();
    if (!status.ok()) {
      EXPECT_TRUE(fired) << status;
      EXPECT_TRUE(IsClear(status)) << status;
    }
    if (GetParam().fault == Fault::kPowerCut) {
      store.Crash(GetParam().unsynced, GetParam().entries_lost, n);
    } else {
      store.Close();
      store.fs().Disarm();
    }
    store.Open();
    if (HasFatalFailure()) return fired;
    EXPECT_TRUE(store.engine().Verify().ok());
    const absl::Status after = Work(store);
    EXPECT_TRUE(after.ok()) << after;
    store.Crash(Unsynced::kLost, /*entries_lost=*/true);
    store.Open();
    return fired;
  }
};

// ThreadSanitizer looks at how threads meet, for which a part of the operations will do: all take it many minutes.
#ifdef __SANITIZE_THREAD__
constexpr uint64_t kStride = 8;
#else
constexpr uint64_t kStride = 1;
#endif

// With the fault at each operation in turn, at open and at work: acknowledged writes survive, batches are whole, and
// the store opens again.
TEST_P(CrashTest, NothingAcknowledgedIsLost) {
  // RocksDB pauses for a second after some faults, so many are tried at a time.
  constexpr int kThreads = 24;
  rocksdb::Env::Default()->SetBackgroundThreads(kThreads, rocksdb::Env::Priority::HIGH);
  rocksdb::Env::Default()->SetBackgroundThreads(kThreads, rocksdb::Env::Priority::LOW);
  std::atomic<uint64_t> next{1};
  std::atomic<bool> more{true};
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      while (more && !HasFailure()) {
        if (!Survive(next.fetch_add(kStride))) more = false;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(next, 150u) << "the work is too little to mean anything";
}

INSTANTIATE_TEST_SUITE_P(Faults, CrashTest,
                         testing::Values(Case{"PowerCutAllLost", Fault::kPowerCut, Unsynced::kLost, true},
                                         Case{"PowerCutDataLost", Fault::kPowerCut, Unsynced::kLost, false},
                                         Case{"PowerCutTorn", Fault::kPowerCut, Unsynced::kTorn, false},
                                         Case{"PowerCutTornEntriesLost", Fault::kPowerCut, Unsynced::kTorn, true},
                                         Case{"KilledAllKept", Fault::kPowerCut, Unsynced::kKept, false},
                                         Case{"Error", Fault::kError, Unsynced::kKept, false},
                                         Case{"ShortWrite", Fault::kShortWrite, Unsynced::kKept, false},
                                         Case{"DiskFull", Fault::kDiskFull, Unsynced::kKept, false}),
                         [](const auto& info) { return std::string(info.param.name); });

// A log that is torn in its first record is gone once the store is open again: beside a newer one it would be taken for
// damage at the next power loss.
TEST(TornLogTest, TornInItsFirstRecord) {
  for (unsigned seed = 1; seed <= 8; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    TestStore store;
    store.Open();
    ASSERT_TRUE(store.Put("lost", std::string(1000, 'x'), Durability::kBuffered).ok());
    store.Crash(Unsynced::kTorn, /*entries_lost=*/false, seed);
    store.Open();
    ASSERT_TRUE(store.Put("kept", "v").ok());
    store.Crash(Unsynced::kLost, /*entries_lost=*/true);
    store.Open();
  }
}

TEST(StickyFailureTest, NoCommitAfterAFailedOne) {
  for (const Fault fault : {Fault::kError, Fault::kShortWrite, Fault::kDiskFull}) {
    // A synced commit appends, then syncs.
    for (int operation = 1; operation <= 2; ++operation) {
      if (fault == Fault::kDiskFull && operation == 2) continue;
      SCOPED_TRACE(absl::StrCat("fault ", static_cast<int>(fault), " at operation ", operation));
      TestStore store;
      store.Open();
      ASSERT_TRUE(store.Put("before", "v").ok());
      store.fs().Arm(operation, fault);
      const absl::Status first = store.Put("failing", "v");
      EXPECT_EQ(first.code(),
                fault == Fault::kDiskFull ? absl::StatusCode::kResourceExhausted : absl::StatusCode::kUnavailable)
          << first;
      store.fs().Disarm();
      for (const Durability durability : {Durability::kSynced, Durability::kBuffered}) {
        EngineBatch batch;
        batch.writes.push_back({"later", "v"});
        const absl::Status later = store.engine().Commit(batch, durability).status();
        EXPECT_EQ(later.code(), absl::StatusCode::kFailedPrecondition) << later;
      }
      EXPECT_EQ(store.engine().Sync().code(), absl::StatusCode::kFailedPrecondition);
      // Reads go on and show only what was acknowledged.
      EXPECT_TRUE(store.engine().Snapshot()->Get("before")->has_value());
      EXPECT_FALSE(store.engine().Snapshot()->Get("failing")->has_value());
      store.Open();
      EXPECT_TRUE(store.Put("after", "v").ok());
    }
  }
}

// Those who wait for a sync that fails are told, every one of them.
TEST(StickyFailureTest, EveryWaiterLearnsOfAFailedSync) {
  TestStore store;
  store.Open();
  store.fs().Arm(20, Fault::kPowerCut);
  std::vector<std::vector<std::string>> acknowledged(8);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 8; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 1000; ++i) {
        EngineBatch batch;
        batch.writes.push_back({absl::StrCat(thread, "/", i), "v"});
        if (!store.engine().Commit(batch, Durability::kSynced).ok()) return;
        acknowledged[thread].push_back(batch.writes[0].key);
      }
      ADD_FAILURE() << "the fault did not come";
    });
  }
  for (std::thread& thread : threads) thread.join();
  store.Crash(Unsynced::kLost, /*entries_lost=*/true);
  ASSERT_TRUE(store.TryOpen().ok());
  const auto view = store.engine().Snapshot();
  for (const std::vector<std::string>& keys : acknowledged) {
    for (const std::string& key : keys) EXPECT_TRUE(view->Get(key)->has_value()) << key;
  }
}

// The view that others read never holds what a power loss could still take back.
TEST(DurabilityTest, SyncedBatchesAreNotSeenBeforeTheyAreDurable) {
  for (int n = 1; n <= 2; ++n) {
    TestStore store;
    store.Open();
    ASSERT_TRUE(store.Put("k", "old").ok());
    store.fs().Arm(n, Fault::kError);
    EXPECT_FALSE(store.Put("k", "new").ok());
    EXPECT_EQ((*store.engine().Snapshot()->Get("k"))->value, "old");
  }
}

}  // namespace
}  // namespace keyferry::storage
