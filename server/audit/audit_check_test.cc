#include "server/audit/audit_check.h"

#include <functional>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <utility>

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

// Forwards to another store, but says nothing of keyrings.
class SilentStore : public storage::Store {
 public:
  explicit SilentStore(storage::Store* store) : store_(store) {}
  std::unique_ptr<storage::StoreView> View() override { return store_->View(); }
  absl::StatusOr<storage::Revision> Commit(const storage::Mutation& mutation, storage::Durability durability) override {
    return store_->Commit(mutation, durability);
  }
  void SetJournalListener(storage::JournalListener listener) override {
    store_->SetJournalListener(std::move(listener));
  }
  absl::Status Sync() override { return store_->Sync(); }
  absl::Status CreateKeyring(absl::string_view org) override { return store_->CreateKeyring(org); }
  absl::Status DestroyOrg(absl::string_view org) override { return store_->DestroyOrg(org); }
  absl::StatusOr<storage::KeyringInfo> GetKeyringInfo(absl::string_view) override {
    return absl::UnavailableError("this store says nothing of keyrings");
  }
  absl::Status RotateDataKey(absl::string_view org) override { return store_->RotateDataKey(org); }
  absl::Status RotateKek(const storage::KeyProvider& next) override { return store_->RotateKek(next); }
  uint64_t Generation(storage::Table table) const override { return store_->Generation(table); }
  absl::Status WaitForPurge(absl::Duration timeout) override { return store_->WaitForPurge(timeout); }
  absl::StatusOr<std::unique_ptr<storage::EngineWatch>> Watch(
      storage::Revision after, std::function<void(const storage::StoreChange&)> on_change) override {
    return store_->Watch(after, std::move(on_change));
  }
  absl::Status Verify() override { return store_->Verify(); }

 private:
  storage::Store* const store_;
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

TEST_P(AuditCheckTest, DamageIsToldAlsoIfTheKeyringCannotBeAskedFor) {
  LogMany(3);
  ASSERT_TRUE(world_.store->Sync().ok());
  ASSERT_TRUE(storage::DeleteOne(*world_.store, storage::JournalBlockKey("acme", 2)).ok());
  SilentStore silent(world_.store.get());
  AuditCheck check(&silent, &rules_, world_.clock(), &logger_);
  EXPECT_TRUE(absl::IsUnavailable(check.RunOnce([] { return true; })));
  EXPECT_EQ(rules_.checks().damaged_logs, 1u);
  EXPECT_EQ(logger_.damaged.rfind("acme: ", 0), 0u) << logger_.damaged;
}

TEST_P(AuditCheckTest, ADeletedOrgHasNoDamagedLog) {
  rules_.NoteCheck("deleted", /*damaged=*/true);
  ASSERT_EQ(rules_.checks().damaged_logs, 1u);
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
  rules_.NoteCheck("other", /*damaged=*/true);
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
