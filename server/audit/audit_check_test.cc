#include "server/audit/audit_check.h"

#include <initializer_list>
#include <memory>
#include <optional>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/audit/audit_log.h"
#include "server/credentials/testing_world.h"
#include "server/log.h"
#include "storage/journal.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

// Keeps what was said of damaged logs.
class DamageLogger : public Logger {
 public:
  bool Enabled(LogLevel) const override { return true; }
  void Write(LogLevel level, absl::string_view message, std::initializer_list<LogField> fields) override {
    if (level != LogLevel::kError || message != "audit log damaged") return;
    std::string org, problem;
    for (const LogField& field : fields) {
      if (field.name == "org") org = std::string(field.text);
      if (field.name == "problem") problem = std::string(field.text);
    }
    absl::StrAppend(&damaged, org, ": ", problem);
  }
  void SetLevel(LogLevel) override {}

  std::string damaged;
};

class AuditCheckTest : public testing::TestWithParam<EngineKind> {
 protected:
  // The making of an org is in its log.
  AuditCheckTest() {
    LogMany(1, "acme");
    LogMany(1, "other");
  }
  void LogMany(int count, const std::string& org = "acme") {
    for (int i = 0; i < count; ++i) {
      CallRecord record;
      record.org = org;
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
  DamageLogger logger_;
  AuditCheck check_{world_.store.get(), &rules_, world_.clock(), &logger_};
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

TEST_P(AuditCheckTest, AnEmptyLogOfAnOrgIsDamage) {
  LogMany(2);
  ASSERT_TRUE(world_.store->Sync().ok());
  storage::Mutation wipe;
  wipe.Delete(storage::JournalHeadKey("acme"), std::nullopt);
  for (uint64_t number = 1; *world_.store->View()->Contains(storage::JournalBlockKey("acme", number)); ++number) {
    wipe.Delete(storage::JournalBlockKey("acme", number), std::nullopt);
  }
  ASSERT_TRUE(world_.store->Commit(wipe, storage::Durability::kSynced).ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(rules_.checks().damaged_logs, 1u);
  v1::VerifyAuditLogRequest verify;
  verify.set_parent("orgs/acme");
  EXPECT_FALSE(rules_.VerifyAuditLog(world_.As("root"), verify)->intact());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(rules_.checks().damaged_logs, 1u) << "what a caller found is not forgotten";
}

// Its log opens no more, which must not read as if the org had been deleted.
TEST_P(AuditCheckTest, AnOrgThatHasLostItsKeyringIsDamage) {
  ASSERT_TRUE(world_.store->DestroyOrg("other").ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(rules_.checks().damaged_logs, 1u);
  EXPECT_EQ(logger_.damaged, "other: the keyring of the organization is missing, and its record is not");
}

TEST_P(AuditCheckTest, AnOrgThatIsBeingDeletedIsNone) {
  storage::records::OrgRecord org;
  org.set_id("other");
  org.set_deleting(true);
  storage::Mutation mark;
  mark.Put({storage::Table::kOrg, "", "", "other"}, storage::SerializeSecret(org), 2, std::nullopt);
  ASSERT_TRUE(world_.store->Commit(mark, storage::Durability::kSynced).ok());
  ASSERT_TRUE(world_.store->DestroyOrg("other").ok());
  ASSERT_TRUE(Run().ok());
  EXPECT_EQ(rules_.checks().damaged_logs, 0u);
  EXPECT_EQ(check_.last_run(), world_.now);
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
