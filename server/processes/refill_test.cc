#include "server/processes/refill.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"

namespace keyferry::server {
namespace {

class RefillTest : public testing::TestWithParam<storage::EngineKind> {
 protected:
  void Resolve(const std::string& process, int64_t version, absl::Duration lease) {
    ResolutionEvent event = {"acme", "orgs/acme/mcpServers/m", "orgs/acme/workloads/w", "", "eng", {}, "", {}};
    event.credentials.push_back({"teams/eng", "TOKEN", version, "TOKEN"});
    event.process.set_process_id(process);
    event.process.set_host("node-1");
    event.process.mutable_lease()->set_seconds(absl::ToInt64Seconds(lease));
    ASSERT_TRUE(world_.usage->RecordNow(event, "ResolutionService/Resolve").ok());
  }
  // As a watch whose process confirms, and as that confirmation.
  void Note(const std::string& process, int64_t version, int64_t revision, const std::string& method) {
    ResolutionEvent event = {"acme", "orgs/acme/mcpServers/m", "orgs/acme/workloads/w", "", "eng", {}, "", {}};
    event.credentials.push_back({"teams/eng", "TOKEN", version, "TOKEN"});
    event.process.set_process_id(process);
    event.process.set_host("node-1");
    event.process.mutable_lease()->set_seconds(300);
    event.revision = revision;
    ASSERT_TRUE(world_.usage->RecordNow(event, method).ok());
  }
  // "id:version id:version", in order.
  std::string Refilled() {
    ProcessTable table;
    const absl::Status refilled = RefillProcesses(*world_.store->View(), world_.now, &table);
    EXPECT_TRUE(refilled.ok()) << refilled;
    std::string all;
    for (const LiveProcess& live : table.List("acme", "", world_.now)) {
      EXPECT_EQ(live.process->info().host(), "node-1");
      if (live.process->credentials().empty()) {
        absl::StrAppend(&all, live.process->info().process_id(), ":- ");
        continue;
      }
      EXPECT_EQ(live.process->credentials(0).credential(), "orgs/acme/teams/eng/credentials/TOKEN");
      absl::StrAppend(&all, live.process->info().process_id(), ":", live.process->credentials(0).version(), " ");
    }
    return all;
  }

  World world_{GetParam()};
};

INSTANTIATE_TEST_SUITE_P(Engines, RefillTest,
                         testing::Values(storage::EngineKind::kMemory, storage::EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(RefillTest, TakesInWhatStillHasALeaseAndItsNewestVersion) {
  EXPECT_EQ(Refilled(), "");
  Resolve("a", 1, absl::Hours(24));
  Resolve("b", 1, absl::Hours(1));
  Resolve("c", 1, absl::Hours(24));
  world_.now += absl::Hours(2);
  Resolve("c", 2, absl::Hours(24));
  ASSERT_TRUE(world_.usage->RecordNow({"acme", "orgs/acme/mcpServers/m", "p", "", "", {}, "", {}}, "S/M").ok());
  world_.Restart();
  EXPECT_EQ(Refilled(), "a:1 c:2 ");
  world_.now += absl::Hours(23);
  EXPECT_EQ(Refilled(), "c:2 ");
}

TEST_P(RefillTest, KnowsConnectionsByTheirOwnNames) {
  ResolutionEvent event = {"acme", "orgs/acme/mcpServers/m", "orgs/acme/workloads/w", "", "eng", {}, "", {}};
  event.credentials.push_back({"teams/eng", "google", 3, "TOKEN", /*connection=*/true});
  event.process.set_process_id("a");
  ASSERT_TRUE(world_.usage->RecordNow(event, "ResolutionService/Resolve").ok());
  world_.Restart();
  ProcessTable table;
  ASSERT_TRUE(RefillProcesses(*world_.store->View(), world_.now, &table).ok());
  const auto holders = table.Holders("acme", "orgs/acme/teams/eng/connections/google", world_.now);
  ASSERT_EQ(holders.size(), 1u);
  EXPECT_EQ(holders[0].process->credentials(0).version(), 3);
  EXPECT_TRUE(table.Holders("acme", "orgs/acme/teams/eng/credentials/google", world_.now).empty());
}

TEST_P(RefillTest, KnowsWhatIsConfirmedAndWhatWaits) {
  Note("a", 1, 10, "ResolutionService/Watch");
  Note("b", 1, 11, "ResolutionService/Watch");
  Note("a", 1, 10, "ProcessService/ConfirmEnvironment");
  Note("a", 2, 20, "ResolutionService/Watch");
  world_.Restart();
  EXPECT_EQ(Refilled(), "a:1 b:- ");
  ProcessTable table;
  ASSERT_TRUE(RefillProcesses(*world_.store->View(), world_.now, &table).ok());
  const std::string name = table.List("acme", "", world_.now)[0].process->name();
  const auto sent = table.SentTo(name, 20);
  ASSERT_TRUE(sent.has_value()) << "a confirmation may come after the restart";
  table.Observe(*sent, world_.now);
  EXPECT_EQ(table.List("acme", "", world_.now)[0].process->credentials(0).version(), 2);
}

// Its last entry may be far older than its lease, which the watch renewed.
TEST_P(RefillTest, AWatchedProcessHasItsLeaseFromTheStartOn) {
  Note("a", 1, 10, "ResolutionService/Watch");
  Note("a", 1, 10, "ProcessService/ConfirmEnvironment");
  Note("b", 1, 11, "ResolutionService/Watch");
  Note("b", 1, 11, "ProcessService/ConfirmEnvironment");
  Resolve("c", 1, absl::Minutes(5));
  world_.now += absl::Hours(20);
  Note("a", 2, 20, "ResolutionService/Watch");
  world_.Restart();
  EXPECT_EQ(Refilled(), "a:1 b:1 ");
  ProcessTable table;
  ASSERT_TRUE(RefillProcesses(*world_.store->View(), world_.now, &table).ok());
  EXPECT_EQ(table.List("acme", "", world_.now + absl::Seconds(299)).size(), 2u);
  EXPECT_EQ(table.List("acme", "", world_.now + absl::Seconds(300)).size(), 0u) << "nobody came back";
}

TEST_P(RefillTest, KnowsWhichProcessesEnded) {
  Resolve("a", 1, absl::Hours(24));
  Resolve("b", 1, absl::Hours(24));
  ProcessTable table;
  ASSERT_TRUE(RefillProcesses(*world_.store->View(), world_.now, &table).ok());
  const auto live = table.List("acme", "", world_.now);
  ASSERT_EQ(live.size(), 2u);
  // Only what ended a process describes it: a call that found it gone does not.
  ResolutionEvent gone = {"acme", live[0].process->name(), "orgs/acme/users/root", "", "", {}, "", {}};
  ASSERT_TRUE(world_.usage->RecordNow(gone, "ProcessService/DeleteProcess").ok());
  world_.Restart();
  EXPECT_EQ(Refilled(), "a:1 b:1 ");
  gone.process = live[0].process->info();
  ASSERT_TRUE(world_.usage->RecordNow(gone, "ProcessService/DeleteProcess").ok());
  world_.Restart();
  EXPECT_EQ(Refilled(), "b:1 ");
  Resolve("a", 2, absl::Hours(24));
  EXPECT_EQ(Refilled(), "a:2 b:1 ") << "it was launched again";
}

}  // namespace
}  // namespace keyferry::server
