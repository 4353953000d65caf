// Batches of concurrent callers, which an engine may write together, and the hook that adds to them.
#include <algorithm>
#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "storage/engine/conformance.h"

namespace keyferry::storage {
namespace {

struct Label : EngineBatch::Attachment {
  explicit Label(std::string text) : text(std::move(text)) {}
  const std::string text;
};

// Keeps in "count" how many labelled batches were committed, and in "log/N" the labels of the N-th group.
class CountingHook : public CommitHook {
 public:
  absl::Status Extend(absl::Span<const EngineBatch* const> accepted, std::vector<EngineBatch::Write>& more) override {
    EXPECT_FALSE(extending_) << "called by two threads at a time, or Written was left out";
    extending_ = true;
    if (refuse) {
      extending_ = false;
      return absl::DataLossError("the hook refuses");
    }
    std::string labels;
    for (const EngineBatch* batch : accepted) {
      if (batch->attachment == nullptr) continue;
      absl::StrAppend(&labels, static_cast<const Label*>(batch->attachment)->text, ";");
      ++count;
    }
    if (labels.empty()) return absl::OkStatus();
    more.push_back({"count", absl::StrCat(count)});
    more.push_back({absl::StrCat("log/", groups++), labels});
    return absl::OkStatus();
  }
  void Written(bool ok) override {
    EXPECT_TRUE(ok);
    EXPECT_TRUE(extending_);
    extending_ = false;
  }

  std::atomic<bool> refuse{false};
  int count = 0;
  int groups = 0;

 private:
  bool extending_ = false;
};

TEST_P(EngineConformanceTest, AHookAddsToTheBatchThatIsCommitted) {
  CountingHook hook;
  engine().SetCommitHook(&hook);
  const Label label("a");
  EngineBatch batch = PutBatch("k", "v");
  batch.attachment = &label;
  const Revision revision = Commit(batch);
  EXPECT_EQ(Get("count")->value, "1");
  EXPECT_EQ(Get("count")->revision, revision);
  EXPECT_EQ(Get("log/0")->value, "a;");
  Put("k", "w");
  EXPECT_EQ(Get("count")->revision, revision);

  // A batch that is refused never reaches the hook.
  batch.preconditions.push_back({"k", revision});
  EXPECT_TRUE(absl::IsAborted(engine().Commit(batch, Durability::kSynced).status()));
  EXPECT_EQ(hook.count, 1);
  engine().SetCommitHook(nullptr);
}

TEST_P(EngineConformanceTest, WhatAHookRefusesIsNotWritten) {
  Put("k", "v");
  CountingHook hook;
  hook.refuse = true;
  engine().SetCommitHook(&hook);
  EXPECT_TRUE(absl::IsDataLoss(engine().Commit(PutBatch("k", "w"), Durability::kSynced).status()));
  EXPECT_EQ(Get("k")->value, "v");
  hook.refuse = false;
  Put("k", "x");
  EXPECT_EQ(Get("k")->value, "x");
  engine().SetCommitHook(nullptr);
}

TEST_P(EngineConformanceTest, ConcurrentBatchesAreAllSeenByTheHookInTheOrderOfTheirRevisions) {
  constexpr int kThreads = 8;
  constexpr int kEach = 60;
  CountingHook hook;
  engine().SetCommitHook(&hook);
  std::vector<std::vector<std::pair<Revision, std::string>>> committed(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach; ++i) {
        const Label label(absl::StrCat(t, ".", i));
        EngineBatch batch = PutBatch(absl::StrCat("key", t), label.text);
        batch.attachment = &label;
        const auto durability = (t + i) % 3 == 0 ? Durability::kBuffered : Durability::kSynced;
        const auto revision = engine().Commit(batch, durability);
        ASSERT_TRUE(revision.ok()) << revision.status();
        committed[t].emplace_back(*revision, label.text);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(engine().Sync().ok());
  std::vector<std::pair<Revision, std::string>> all;
  for (const auto& of_thread : committed) all.insert(all.end(), of_thread.begin(), of_thread.end());
  std::sort(all.begin(), all.end());
  std::string in_order;
  std::set<Revision> revisions;
  for (const auto& [revision, label] : all) {
    absl::StrAppend(&in_order, label, ";");
    revisions.insert(revision);
  }
  EXPECT_EQ(revisions.size(), kThreads * kEach);
  EXPECT_EQ(*revisions.rbegin(), engine().Snapshot()->revision());
  std::string logged;
  for (int group = 0; group < hook.groups; ++group) logged += Get(absl::StrCat("log/", group))->value;
  EXPECT_EQ(logged, in_order);
  engine().SetCommitHook(nullptr);
}

// Of batches that race for one key, those written in one group as well, each sees what the ones before it did.
TEST_P(EngineConformanceTest, ConcurrentIncrementsUnderPreconditionsLoseNone) {
  constexpr int kThreads = 8;
  constexpr int kEach = 40;
  Put("counter", "0");
  std::atomic<int> lost{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kEach;) {
        const auto entry = Get("counter");
        int value = 0;
        ASSERT_TRUE(absl::SimpleAtoi(entry->value, &value));
        EngineBatch batch = PutBatch("counter", absl::StrCat(value + 1));
        batch.preconditions.push_back({"counter", entry->revision});
        const auto durability = t % 2 == 0 ? Durability::kBuffered : Durability::kSynced;
        const auto revision = engine().Commit(batch, durability);
        if (revision.ok()) {
          ++i;
        } else {
          ASSERT_TRUE(absl::IsAborted(revision.status())) << revision.status();
          ++lost;
          // What it lost to is visible by now.
          ASSERT_GT(Get("counter")->revision, entry->revision);
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  ASSERT_TRUE(engine().Sync().ok());
  EXPECT_EQ(Get("counter")->value, absl::StrCat(kThreads * kEach));
}

}  // namespace
}  // namespace keyferry::storage
