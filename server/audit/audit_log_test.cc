#include "server/audit/audit_log.h"

#include <atomic>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/blocking_counter.h"
#include "absl/synchronization/notification.h"
#include "gtest/gtest.h"
#include "keyferry/v1/credentials.pb.h"
#include "server/credentials/testing_world.h"
#include "server/errors.h"
#include "storage/journal.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

class AuditLogTest : public testing::TestWithParam<EngineKind> {
 protected:
  std::vector<v1::AuditEntry> Entries(absl::string_view org = "acme") {
    std::vector<v1::AuditEntry> entries;
    const auto damage = storage::VerifyJournal(*world_.store->View(), org, [&](const storage::JournalEntry& entry) {
      entries.emplace_back();
      EXPECT_TRUE(entries.back().ParseFromString(entry.payload));
    });
    EXPECT_TRUE(damage.ok() && !damage->has_value());
    return entries;
  }
  CallRecord Call(const std::string& method) {
    CallRecord record;
    record.org = "acme";
    record.entry.set_method(method);
    return record;
  }

  World world_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Engines, AuditLogTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(AuditLogTest, AChangeAndItsEntryAreOneCommit) {
  CallRecord record = Call("CredentialService/CreateCredential");
  Caller root = world_.As("root");
  root.record = &record;
  const storage::Revision before = world_.Revision();
  world_.Create(root, "orgs/acme", "TOKEN", "the-secret-value");
  EXPECT_EQ(world_.Revision(), before + 1);
  EXPECT_TRUE(record.committed);
  const std::vector<v1::AuditEntry> entries = Entries();
  ASSERT_EQ(entries.size(), 1);
  EXPECT_EQ(entries[0].code(), 0);
  EXPECT_EQ(entries[0].resource(), "orgs/acme/credentials/TOKEN");
  ASSERT_EQ(entries[0].credentials_size(), 1);
  EXPECT_EQ(entries[0].credentials(0).version(), 1);
  EXPECT_EQ(entries[0].DebugString().find("the-secret-value"), std::string::npos);
}

TEST_P(AuditLogTest, ARefusedChangeCommitsNoEntryOfASuccess) {
  world_.Create(world_.As("root"), "orgs/acme", "TOKEN", "v");
  CallRecord record = Call("CredentialService/CreateCredential");
  Caller root = world_.As("root");
  root.record = &record;
  v1::CreateCredentialRequest request;
  request.set_parent("orgs/acme");
  request.set_credential_id("TOKEN");
  request.set_value("v");
  EXPECT_TRUE(absl::IsAlreadyExists(world_.credentials->CreateCredential(root, request).status()));
  EXPECT_FALSE(record.committed);
  EXPECT_TRUE(Entries().empty());
}

TEST_P(AuditLogTest, EntriesThatEndTogetherAreAllStoredAndAnsweredOnce) {
  constexpr int kCalls = 500;
  world_.credentials.reset();
  world_.usage.reset();
  world_.audit.reset();
  AuditLog log(world_.store.get(), AuditLog::Options());
  std::vector<CallRecord> records;
  for (int i = 0; i < kCalls; ++i) records.push_back(Call(absl::StrCat("S/M", i)));
  std::vector<std::atomic<int>> answered(kCalls);
  absl::BlockingCounter all(kCalls);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < kCalls; i += 4) {
        log.StoreThen(&records[i], [&, i](const absl::Status& stored) {
          EXPECT_TRUE(stored.ok()) << stored;
          ++answered[i];
          all.DecrementCount();
        });
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  all.Wait();
  for (const auto& count : answered) EXPECT_EQ(count, 1);
  std::set<std::string> methods;
  for (const v1::AuditEntry& entry : Entries()) methods.insert(entry.method());
  EXPECT_EQ(methods.size(), kCalls);
}

// Nobody else's entry comes for as long as the only caller waits for their answer.
TEST_P(AuditLogTest, OneCallerAfterAnotherSoonWaitsForNobody) {
  AuditLog::Options options;
  options.window = absl::Milliseconds(20);
  options.close = absl::Hours(1);
  AuditLog log(world_.store.get(), options);
  constexpr int kCalls = 20 * AuditLog::kMinUngathered;
  int waited = 0;
  for (int i = 0; i < kCalls; ++i) {
    const CallRecord record = Call("Read");
    absl::Notification answered;
    log.StoreThen(&record, [&](const absl::Status& status) {
      EXPECT_TRUE(status.ok());
      answered.Notify();
    });
    if (!answered.HasBeenNotified()) ++waited;
    answered.WaitForNotification();
  }
  EXPECT_EQ(Entries().size(), kCalls);
  EXPECT_GE(waited, 1) << "nothing gathered, so that this shows nothing";
  EXPECT_LE(waited, 3);
}

TEST_P(AuditLogTest, WhatCannotBeStoredIsAnsweredWithTheErrorAndHoldsUpNobodyElse) {
  world_.credentials.reset();
  world_.usage.reset();
  world_.audit.reset();
  AuditLog log(world_.store.get(), AuditLog::Options());
  ASSERT_TRUE(world_.store->DestroyOrg("other").ok());
  constexpr int kCalls = 100;
  std::vector<CallRecord> records;
  for (int i = 0; i < kCalls; ++i) {
    records.push_back(Call("S/M"));
    if (i % 10 == 0) records.back().org = "other";
  }
  std::atomic<int> failed{0};
  absl::BlockingCounter all(kCalls);
  for (CallRecord& record : records) {
    log.StoreThen(&record, [&](const absl::Status& stored) {
      if (absl::IsNotFound(stored)) ++failed;
      all.DecrementCount();
    });
  }
  all.Wait();
  EXPECT_EQ(failed, kCalls / 10);
  EXPECT_EQ(Entries().size(), kCalls - kCalls / 10);
}

TEST_P(AuditLogTest, TellsObserversOfEachEntryInOrder) {
  std::vector<std::string> seen;
  world_.audit->AddObserver([&](const AuditedCall& call) {
    seen.push_back(absl::StrCat(call.org, " ", call.sequence, " ",
                                call.resolution == nullptr ? "-" : call.resolution->mcp_server));
  });
  ASSERT_TRUE(world_.audit->Store(Call("S/M")).ok());
  ASSERT_TRUE(world_.usage->RecordNow({"acme", "m", "p", "", "", {}}, "ResolutionService/Resolve").ok());
  EXPECT_EQ(seen, (std::vector<std::string>{"acme 1 -", "acme 2 m"}));
}

struct ResourceCase {
  std::string name;
  std::string resource;
};

TEST(CallRecordTest, TakesOnlyResourceNamesFromRequests) {
  v1::GetCredentialRequest get;
  const ResourceCase cases[] = {
      {"orgs/acme/credentials/TOKEN", "orgs/acme/credentials/TOKEN"},
      {"ghp_a_secret_pasted_as_a_name", ""},
      {"orgs/acme/credentials/with space", ""},
      {absl::StrCat("orgs/", std::string(600, 'a')), ""},
      {"orgs/acme\n", ""},
      {"", ""},
  };
  for (const ResourceCase& c : cases) {
    get.set_name(c.name);
    EXPECT_EQ(ResourceOf(get), c.resource) << c.name.substr(0, 40);
  }
  v1::UpdateCredentialRequest update;
  update.mutable_credential()->set_name("orgs/acme/credentials/TOKEN");
  update.mutable_credential()->set_description("orgs/not/this");
  EXPECT_EQ(ResourceOf(update), "orgs/acme/credentials/TOKEN");
  v1::CreateCredentialRequest create;
  create.set_parent("orgs/acme");
  create.set_value("orgs/a-value-that-looks-like-a-name");
  EXPECT_EQ(ResourceOf(create), "orgs/acme");
}

}  // namespace
}  // namespace keyferry::server
