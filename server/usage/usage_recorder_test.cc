#include "server/usage/usage_recorder.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"
#include "server/records.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;
using storage::Table;

class UsageRecorderTest : public testing::TestWithParam<EngineKind> {
 protected:
  UsageRecorderTest() {
    for (const char* id : {"A", "B"}) world_.Create(world_.As("root"), "orgs/acme", id, "v");
  }
  absl::Status Use(const std::vector<std::string>& ids, const std::string& server) {
    ResolutionEvent event = {"acme", server, "orgs/acme/users/ada", "orgs/acme/users/ada", "eng", {}};
    for (const std::string& id : ids) event.credentials.push_back({"", id, 1});
    return world_.usage->Record(event);
  }
  // "count server hours since the start of the test".
  std::string Last(const std::string& id) {
    const auto found = world_.usage->Find(*world_.store->View(), "acme", "", id, start_);
    if (!found.ok()) return found.status().ToString();
    if (found->count == 0) return "never";
    return absl::StrCat(found->count, " ", found->mcp_server, " ", absl::ToInt64Hours(found->time - start_));
  }
  size_t Events() {
    return ScanRecords<storage::records::UsageEventRecord>(*world_.store->View(), Table::kUsageEvent, "acme", "")
        ->size();
  }

  World world_{GetParam()};
  const absl::Time start_ = world_.now;
};

INSTANTIATE_TEST_SUITE_P(Engines, UsageRecorderTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(UsageRecorderTest, ShowsPendingFoldedAndBothTogether) {
  EXPECT_EQ(Last("A"), "never");
  ASSERT_TRUE(Use({"A", "B"}, "one").ok());
  EXPECT_EQ(Last("A"), "1 one 0");
  EXPECT_EQ(Events(), 1);
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  EXPECT_EQ(Events(), 0);
  EXPECT_EQ(Last("A"), "1 one 0");
  world_.now += absl::Hours(2);
  ASSERT_TRUE(Use({"A"}, "two").ok());
  EXPECT_EQ(Last("A"), "2 two 2");
  EXPECT_EQ(Last("B"), "1 one 0");
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  EXPECT_EQ(Last("A"), "2 two 2");
}

TEST_P(UsageRecorderTest, AStartFoldsWhatACrashLeftAndCountsItOnce) {
  ASSERT_TRUE(Use({"A"}, "one").ok());
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  world_.now += absl::Hours(1);
  ASSERT_TRUE(Use({"A"}, "two").ok());
  world_.now += absl::Hours(1);
  ASSERT_TRUE(Use({"A", "B"}, "three").ok());
  EXPECT_EQ(Events(), 2);
  for (int restarts = 0; restarts < 2; ++restarts) {
    world_.Restart();
    EXPECT_EQ(Events(), 0);
    EXPECT_EQ(Last("A"), "3 three 2");
    EXPECT_EQ(Last("B"), "1 three 2");
  }
}

TEST_P(UsageRecorderTest, EventsSayWhoGotWhat) {
  ASSERT_TRUE(Use({"A", "B"}, "orgs/acme/mcpServers/m").ok());
  auto events = ScanRecords<storage::records::UsageEventRecord>(*world_.store->View(), Table::kUsageEvent, "acme", "");
  ASSERT_EQ(events->size(), 1);
  const auto& event = events->front().record;
  EXPECT_EQ(event.time(), absl::ToUnixNanos(start_));
  EXPECT_EQ(event.principal(), "orgs/acme/users/ada");
  EXPECT_EQ(event.user(), "orgs/acme/users/ada");
  EXPECT_EQ(event.team(), "eng");
  EXPECT_EQ(event.mcp_server(), "orgs/acme/mcpServers/m");
  ASSERT_EQ(event.credentials_size(), 2);
  EXPECT_EQ(event.credentials(1).credential(), "orgs/acme/credentials/B");
  EXPECT_EQ(event.credentials(1).version(), 1);
}

TEST_P(UsageRecorderTest, DeletedCredentialsLeaveNoUsage) {
  ASSERT_TRUE(Use({"A"}, "one").ok());
  v1::DeleteCredentialRequest request;
  request.set_name("orgs/acme/credentials/A");
  ASSERT_TRUE(world_.credentials->DeleteCredential(world_.As("root"), request).ok());
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  EXPECT_FALSE(*world_.store->View()->Contains({Table::kCredentialUsage, "acme", "", "A"}));
  ASSERT_TRUE(Use({"B"}, "one").ok());
  const auto found = world_.usage->Find(*world_.store->View(), "acme", "", "B", start_ + absl::Hours(1));
  EXPECT_EQ(found->count, 0) << "a use before the credential was created was of another one of its name";
}

TEST_P(UsageRecorderTest, ADestroyedOrgDoesNotHoldUpTheOthers) {
  ASSERT_TRUE(Use({"A"}, "one").ok());
  ASSERT_TRUE(world_.usage->Record({"other", "s", "p", "", "", {{"", "X", 1}}}).ok());
  ASSERT_TRUE(world_.store->DestroyOrg("other").ok());
  EXPECT_TRUE(absl::IsNotFound(world_.usage->Record({"other", "s", "p", "", "", {}})));
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  EXPECT_EQ(Events(), 0);
}

TEST_P(UsageRecorderTest, FoldsInTheCallerWhenFullAndLosesNothing) {
  UsageRecorder::Options options;
  options.background = false;
  options.max_pending_events = 10;
  world_.usage = *UsageRecorder::Start(world_.store.get(), world_.clock(), nullptr, options);
  for (int i = 0; i < 95; ++i) ASSERT_TRUE(Use({"A"}, "one").ok());
  EXPECT_LE(Events(), 10);
  EXPECT_EQ(Last("A"), "95 one 0");
}

TEST_P(UsageRecorderTest, ManyThreadsWithTheBackgroundFoldCountEveryUse) {
  UsageRecorder::Options options;
  options.fold_interval = absl::Milliseconds(5);
  options.sync_interval = absl::Milliseconds(2);
  options.fold_events = 20;
  world_.usage = *UsageRecorder::Start(world_.store.get(), world_.clock(), nullptr, options);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 100; ++i) EXPECT_TRUE(Use({"A", "B"}, "one").ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  world_.Restart();
  EXPECT_EQ(Last("A"), "400 one 0");
  EXPECT_EQ(Last("B"), "400 one 0");
  EXPECT_EQ(Events(), 0);
}

}  // namespace
}  // namespace keyferry::server
