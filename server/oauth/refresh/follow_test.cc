// How a server learns what is in the store, where that is not all well.
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/testing_refresh.h"

namespace keyferry::server {
namespace {

using storage::Table;
using testing::ElementsAre;

constexpr char kAda[] = "users/ada";
// So many that one surely comes before what can be read.
constexpr int kUnreadable = 40;

TEST(Follow, ReadsOnAfterAnOrganizationThatCannotBeRead) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Granted("a2", "r2"); };
  for (int i = 0; i < kUnreadable; ++i) world.PutUnreadable(absl::StrCat("org", i));
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  EXPECT_EQ(server->status().connections, 1);
  world.Pass(absl::Minutes(50));
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
}

TEST(Follow, ReadsOnAfterAConnectionThatCannotBeRead) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Granted("a2", "r2"); };
  for (int i = 0; i < kUnreadable; ++i) {
    const ConnectionKey key = {"acme", absl::StrCat("users/u", i), "github"};
    ASSERT_TRUE(storage::PutOne(*world.store, ConnectionRecordKey(Table::kConnection, key), "\xFF no record").ok());
  }
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  EXPECT_EQ(server->status().connections, 1);
  world.Pass(absl::Minutes(50));
  EXPECT_EQ(world.Words(kAda), "CONNECTED v2 a2 r2");
}

TEST(Follow, FindsAConnectionThatWasMadeAnewWhileItWasFoundToBeGone) {
  RefreshWorld world;
  world.Connect(kAda, "a1", "r1");
  RefreshScheduler* const server = world.AddServer();
  world.Pass(absl::Minutes(50));
  ASSERT_THAT(world.client.TakeRefreshes(), ElementsAre("github:r1"));
  world.Disconnect(kAda);
  // The run that brings the answer has read that the connection is gone; before it says so, there is another.
  world.store->before_commit = [&](const storage::Mutation&) {
    world.store->before_commit = nullptr;
    world.Connect(kAda, "b1", "s1");
    EXPECT_TRUE(world.store->Sync().ok());
    server->AwaitRevision(world.store->View()->revision());
    return absl::OkStatus();
  };
  ASSERT_TRUE(world.client.Answer(Granted("a2", "r2")));
  world.Settle();
  EXPECT_EQ(world.store->before_commit, nullptr);
  EXPECT_EQ(world.Words(kAda), "CONNECTED v1 b1 s1");
  world.Pass(absl::Seconds(3));
  EXPECT_EQ(server->status().connections, 1);
  world.Pass(absl::Minutes(49));
  EXPECT_THAT(world.client.TakeRefreshes(), ElementsAre("github:s1"));
}

}  // namespace
}  // namespace keyferry::server
