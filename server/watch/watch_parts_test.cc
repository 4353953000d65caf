#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "server/watch/fair_queue.h"
#include "server/watch/fingerprint.h"
#include "server/watch/recent_changes.h"

namespace keyferry::server {
namespace {

using storage::StoreChange;
using storage::Table;
using storage::WatchKey;

TEST(RecentChangesTest, KnowsTheNewestChangesOfWhatIsWatched) {
  RecentChanges recent(/*since=*/10, /*capacity=*/2);
  const WatchKey a{1, 1}, b{1, 2}, c{3, 3};
  EXPECT_TRUE(recent.MayHaveChanged(a, 9)) << "before it began";
  EXPECT_FALSE(recent.MayHaveChanged(a, 10));
  recent.Add({11, {{Table::kCredentialValue, a}, {Table::kJournalBlock, c}}});
  EXPECT_TRUE(recent.MayHaveChanged(a, 10));
  EXPECT_FALSE(recent.MayHaveChanged(a, 11));
  EXPECT_FALSE(recent.MayHaveChanged(c, 10)) << "nothing depends on usage events";
  recent.Add({12, {{Table::kMcpServer, a}}});
  recent.Add({13, {{Table::kUser, b}}});
  EXPECT_EQ(recent.revision(), 13);
  EXPECT_TRUE(recent.MayHaveChanged(c, 10)) << "not known any more";
  EXPECT_FALSE(recent.Knows(10));
  EXPECT_TRUE(recent.Knows(11));
  EXPECT_TRUE(recent.MayHaveChanged(a, 11));
  EXPECT_FALSE(recent.MayHaveChanged(a, 12));
}

TEST(RecentChangesTest, OfConnectionsWhatAnswersIsWatchedAndNotWhoRefreshesThem) {
  for (const Table table : {Table::kConnection, Table::kConnectionToken, Table::kOauthProvider}) {
    EXPECT_TRUE(IsWatched(table)) << static_cast<int>(table);
  }
  for (const Table table :
       {Table::kConnectionLease, Table::kConnectionAttempt, Table::kConnectionAttemptIndex, Table::kRevocation}) {
    EXPECT_FALSE(IsWatched(table)) << static_cast<int>(table);
  }
}

TEST(FairQueueTest, OrganizationsTakeTurns) {
  FairQueue<std::string> queue;
  EXPECT_TRUE(queue.empty());
  for (const char* item : {"a1", "a2", "a3"}) queue.Push("a", item);
  queue.Push("b", "b1");
  queue.Push("c", "c1");
  std::vector<std::string> order;
  while (!queue.empty()) order.push_back(queue.Pop());
  EXPECT_EQ(order, (std::vector<std::string>{"a1", "b1", "c1", "a2", "a3"}));
}

v1::ResolveResponse Environment(const std::string& variable, const std::string& value, int64_t version) {
  v1::ResolveResponse environment;
  environment.add_variables()->set_variable(variable);
  environment.mutable_variables(0)->set_value(value);
  environment.mutable_variables(0)->set_version(version);
  return environment;
}

TEST(FingerprinterTest, SeesWhatTheReceiverSees) {
  const Fingerprinter fingerprinter;
  const auto base = fingerprinter.Of(Environment("A", "value", 1));
  v1::ResolveResponse same = Environment("A", "value", 1);
  same.set_revision(99);
  same.set_process("orgs/acme/processes/p");
  EXPECT_EQ(fingerprinter.Of(same), base);
  EXPECT_NE(fingerprinter.Of(Environment("A", "other", 1)), base);
  EXPECT_NE(fingerprinter.Of(Environment("A", "value", 2)), base);
  EXPECT_NE(fingerprinter.Of(Environment("Av", "alue", 1)), base);
  same.mutable_variables(0)->set_credential("orgs/acme/credentials/A");
  EXPECT_NE(fingerprinter.Of(same), base);
  same = Environment("A", "value", 1);
  same.add_unresolved_variables("B");
  EXPECT_NE(fingerprinter.Of(same), base);
  EXPECT_NE(Fingerprinter().Of(Environment("A", "value", 1)), base) << "the key is of this one alone";
}

}  // namespace
}  // namespace keyferry::server
