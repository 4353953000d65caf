#include "server/audit/audit_check.h"

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/audit/audit_log.h"
#include "server/credentials/testing_world.h"
#include "storage/journal.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

class AuditCheckTest : public testing::TestWithParam<EngineKind> {
 protected:
  void LogMany(int count) {
    for (int i = 0; i < count; ++i) {
      CallRecord record;
      record.org = "acme";
      record.entry.set_method(absl::StrCat("S/M", i));
      ASSERT_TRUE(world_.audit->Store(record).ok());
    }
  }
  // Runs it with pauses that go on, and counts these.
  absl::Status Run() {
    pauses_ = 0;
    return check_.RunOnce([this] {
      ++pauses_;
      return true;
    });
  }

  World world_{GetParam()};
  AuditRules rules_{world_.store.get(), &world_.pages};
  AuditCheck check_{world_.store.get(), &rules_, world_.clock(), /*logger=*/nullptr};
  int pauses_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Engines, AuditCheckTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(AuditCheckTest, ChecksEveryLogAndSaysWhen) {
  EXPECT_EQ(check_.last_run(), absl::UnixEpoch());
  LogMany(3);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(check_.last_run(), world_.now);
  const uint64_t logs = rules_.checks().done;
  EXPECT_GE(logs, 2u) << "the system's, and acme's";
  EXPECT_EQ(rules_.checks().damaged, 0u);
  EXPECT_EQ(pauses_, static_cast<int>(logs)) << "one piece for each";
}

TEST_P(AuditCheckTest, PausesWithinALongLog) {
  ASSERT_TRUE(Run().ok());
  const int short_logs = pauses_;
  LogMany(2 * AuditCheck::kBlocksAtOnce + 1);
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(pauses_, short_logs + 2);
}

TEST_P(AuditCheckTest, DamageIsCountedUntilItIsMended) {
  LogMany(3);
  ASSERT_TRUE(world_.store->Sync().ok());
  const storage::RecordKey second = storage::JournalBlockKey("acme", 2);
  const std::string kept = storage::ReadOne(*world_.store, second);
  ASSERT_TRUE(storage::DeleteOne(*world_.store, second).ok());
  ASSERT_TRUE(Run().ok()) << "damage is what it finds, not its own failure";
  EXPECT_EQ(rules_.checks().damaged_logs, 1u);
  EXPECT_EQ(check_.last_run(), world_.now);
  ASSERT_TRUE(storage::PutOne(*world_.store, second, kept, 2).ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(rules_.checks().damaged_logs, 0u);
}

TEST_P(AuditCheckTest, ARunThatIsStoppedDoesNotCount) {
  LogMany(3);
  EXPECT_TRUE(absl::IsCancelled(check_.RunOnce([] { return false; })));
  EXPECT_EQ(check_.last_run(), absl::UnixEpoch());
  EXPECT_EQ(rules_.checks().done, 0u);
}

TEST_P(AuditCheckTest, RunsByItselfUntilItIsDestroyed) {
  LogMany(3);
  BackgroundAuditCheck background(world_.store.get(), &rules_, absl::Now, /*logger=*/nullptr, absl::ZeroDuration(),
                                  absl::Hours(24));
  while (background.last_run() == absl::UnixEpoch()) absl::SleepFor(absl::Milliseconds(1));
  EXPECT_GE(rules_.checks().done, 2u);
}

}  // namespace
}  // namespace keyferry::server
