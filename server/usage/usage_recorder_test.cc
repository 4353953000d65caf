#include "server/usage/usage_recorder.h"

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"
#include "server/records.h"
#include "storage/journal.h"
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
    return world_.usage->RecordNow(event, "ResolutionService/Resolve");
  }
  // "count server hours since the start of the test".
  std::string Last(const std::string& id) {
    const auto found = world_.usage->Find(*world_.store->View(), "acme", "", id, start_);
    if (!found.ok()) return found.status().ToString();
    if (found->count == 0) return "never";
    return absl::StrCat(found->count, " ", found->mcp_server, " ", absl::ToInt64Hours(found->time - start_));
  }
  // Of the newest entry of the journal that is counted in the stored records; 0 if none is.
  int64_t Counted() {
    const auto state = ReadRecord<storage::records::UsageStateRecord>(*world_.store->View(),
                                                                      {Table::kUsageState, "acme", "", "state"});
    EXPECT_TRUE(state.ok()) << state.status();
    return state->has_value() ? (*state)->record.counted_sequence() : 0;
  }
  int64_t Newest() {
    return static_cast<int64_t>(storage::ReadJournalHead(*world_.store->View(), "acme")->last_sequence);
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
  EXPECT_EQ(Counted(), 0);
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  EXPECT_EQ(Counted(), Newest());
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
  EXPECT_EQ(Counted(), Newest() - 2);
  for (int restarts = 0; restarts < 2; ++restarts) {
    world_.Restart();
    EXPECT_EQ(Counted(), Newest());
    EXPECT_EQ(Last("A"), "3 three 2");
    EXPECT_EQ(Last("B"), "1 three 2");
  }
}

TEST_P(UsageRecorderTest, AConnectionIsCountedApartFromACredentialOfItsName) {
  world_.Create(world_.As("root"), "orgs/acme", "google", "v");
  const auto of_connection = [&] {
    const auto found = world_.usage->FindOfConnection(*world_.store->View(), "acme", "", "google", start_);
    return found.ok() ? absl::StrCat(found->count, " ", found->mcp_server) : found.status().ToString();
  };
  const auto use = [&] {
    ResolutionEvent event = {"acme", "m", "orgs/acme/users/ada", "", "", {}};
    event.credentials.push_back({"", "google", 1, "TOKEN", /*connection=*/true});
    return world_.usage->RecordNow(event, "ResolutionService/Resolve");
  };
  const storage::RecordKey connection = {Table::kConnection, "acme", "", "google"};
  storage::Mutation put;
  put.Put(connection, storage::SecretBytes::CopyOf(""), 1, std::nullopt);
  ASSERT_TRUE(world_.store->Commit(put, storage::Durability::kSynced).ok());
  ASSERT_TRUE(use().ok());
  EXPECT_EQ(of_connection(), "1 m");
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  ASSERT_TRUE(use().ok());
  EXPECT_EQ(of_connection(), "2 m") << "folded and pending";
  world_.Restart();
  EXPECT_EQ(of_connection(), "2 m") << "counted once from the log";
  EXPECT_TRUE(*world_.store->View()->Contains(ConnectionUsageKey("acme", "", "google")));
  EXPECT_EQ(Last("google"), "never");
  // What was disconnected leaves no record behind.
  storage::Mutation remove;
  remove.Delete(connection, std::nullopt);
  remove.Delete(ConnectionUsageKey("acme", "", "google"), std::nullopt);
  ASSERT_TRUE(world_.store->Commit(remove, storage::Durability::kSynced).ok());
  ASSERT_TRUE(use().ok());
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  EXPECT_FALSE(*world_.store->View()->Contains(ConnectionUsageKey("acme", "", "google")));
}

TEST_P(UsageRecorderTest, TheJournalSaysWhoGotWhat) {
  ASSERT_TRUE(Use({"A", "B"}, "orgs/acme/mcpServers/m").ok());
  const auto view = world_.store->View();
  const auto block = storage::ReadJournalBlock(*view, "acme", storage::ReadJournalHead(*view, "acme")->last_block);
  ASSERT_TRUE(block.ok()) << block.status();
  v1::AuditEntry entry;
  ASSERT_TRUE(entry.ParseFromString(block->entries.back().payload));
  EXPECT_EQ(entry.time().seconds(), absl::ToUnixSeconds(start_));
  EXPECT_EQ(entry.method(), "ResolutionService/Resolve");
  EXPECT_EQ(entry.principal(), "orgs/acme/users/ada");
  EXPECT_EQ(entry.user(), "orgs/acme/users/ada");
  EXPECT_EQ(entry.team(), "orgs/acme/teams/eng");
  EXPECT_EQ(entry.resource(), "orgs/acme/mcpServers/m");
  ASSERT_EQ(entry.credentials_size(), 2);
  EXPECT_EQ(entry.credentials(1).credential(), "orgs/acme/credentials/B");
  EXPECT_EQ(entry.credentials(1).version(), 1);
}

// A fold that ends between two of its commits, which the number of credentials makes it do.
TEST_P(UsageRecorderTest, CountsOnceWhatACrashCutAFoldShortOf) {
  std::vector<std::string> ids;
  for (int i = 0; i < 200; ++i) {
    ids.push_back(absl::StrCat("MANY_", i));
    world_.Create(world_.As("root"), "orgs/acme", ids.back(), "v");
  }
  ASSERT_TRUE(Use(ids, "one").ok());
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  ASSERT_TRUE(Use(ids, "two").ok());
  const int64_t before = Counted();
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  // As if the last commit of the fold, which moves the state, had not been made.
  storage::records::UsageStateRecord state;
  state.set_counted_sequence(before);
  storage::Mutation mutation;
  mutation.Put({Table::kUsageState, "acme", "", "state"}, storage::SerializeSecret(state), 1, std::nullopt);
  ASSERT_TRUE(world_.store->Commit(mutation, storage::Durability::kSynced).ok());
  world_.Restart();
  for (const std::string& id : ids) EXPECT_EQ(Last(id), "2 two 0") << id;
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
  const ResolutionEvent elsewhere = {"other", "s", "p", "", "", {{"", "X", 1}}};
  ASSERT_TRUE(world_.usage->RecordNow(elsewhere, "ResolutionService/Resolve").ok());
  ASSERT_TRUE(world_.store->DestroyOrg("other").ok());
  EXPECT_TRUE(absl::IsNotFound(world_.usage->RecordNow(elsewhere, "ResolutionService/Resolve")));
  ASSERT_TRUE(world_.usage->FoldNow().ok());
  EXPECT_EQ(Counted(), Newest());
}

// Calls of nobody who is known stand in the system's log; keyferryd opens with one, and anybody can send more.
TEST_P(UsageRecorderTest, TheSystemsLogDoesNotHoldUpTheOthers) {
  CallRecord stranger;
  stranger.entry.set_method("CredentialService/ListCredentials");
  ASSERT_TRUE(world_.audit->Store(stranger).ok());
  ASSERT_TRUE(Use({"A"}, "one").ok());
  EXPECT_EQ(world_.usage->FoldNow(), absl::OkStatus());
  EXPECT_EQ(Counted(), Newest());
  EXPECT_EQ(Last("A"), "1 one 0");
}

TEST_P(UsageRecorderTest, FoldsInTheCallerWhenFullAndLosesNothing) {
  UsageRecorder::Options options;
  options.background = false;
  options.max_pending_credentials = 1;
  world_.RestartUsage(options);
  for (int i = 0; i < 95; ++i) ASSERT_TRUE(Use({"A"}, "one").ok());
  EXPECT_GE(Counted(), Newest() - 1);
  EXPECT_EQ(Last("A"), "95 one 0");
}

TEST_P(UsageRecorderTest, ManyThreadsWithTheBackgroundFoldCountEveryUse) {
  UsageRecorder::Options options;
  options.fold_interval = absl::Milliseconds(5);
  options.fold_credentials = 1;
  world_.RestartUsage(options);
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
  EXPECT_EQ(Counted(), Newest());
}

}  // namespace
}  // namespace keyferry::server
