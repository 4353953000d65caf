// What a scheduler tells operators of the connections as a whole.
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/oauth/refresh/testing_refresh.h"

namespace keyferry::server {
namespace {

constexpr char kAda[] = "users/ada";
constexpr char kBob[] = "users/bob";

// "connections failing connect_needed".
std::string Counts(const RefreshScheduler& server) {
  const RefreshStatus status = server.status();
  return absl::StrCat(status.connections, " ", status.failing, " ", status.connect_needed);
}

TEST(RefreshStatusTest, CountsConnectionsByWhatTheyAre) {
  RefreshWorld world;
  world.client.automatic = [](const auto&) { return Failed(TokenErrorKind::kInvalidGrant); };
  world.Connect(kAda, "a1", "r1");
  world.Connect("", "a1", "r1", absl::Hours(10));
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  EXPECT_EQ(Counts(*server), "2 0 0");
  world.Pass(absl::Minutes(50));
  EXPECT_EQ(Counts(*server), "2 0 1");
  world.client.automatic = [](const auto&) { return Failed(TokenErrorKind::kTemporary); };
  world.Connect(kBob, "b1", "q1");
  world.Pass(absl::Minutes(50));
  EXPECT_EQ(Counts(*server), "3 1 1");
  // As another server reads them from the store.
  RefreshScheduler* const other = world.AddServer();
  world.Settle();
  EXPECT_EQ(Counts(*other), "3 1 1");
  // Connecting again heals it.
  world.Connect(kAda, "a2", "r2", absl::Hours(10));
  world.Settle();
  EXPECT_EQ(Counts(*server), "3 1 0");
  EXPECT_EQ(Counts(*other), "3 1 0");
}

TEST(RefreshStatusTest, TellsHowLongTheOneThatWaitsLongestHasBeenDue) {
  RefreshWorld world;
  // One exchange in 1000 seconds, so that the second has to wait for its turn.
  world.PutProvider("github",
                    [](v1::OauthProvider* provider) { provider->mutable_refresh()->set_max_per_second(0.001); });
  world.client.automatic = [](const auto&) { return Failed(TokenErrorKind::kTemporary); };
  world.Connect(kAda, "a1", "r1");
  world.Connect(kBob, "b1", "q1");
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  EXPECT_EQ(server->status().longest_overdue, absl::ZeroDuration());
  world.Pass(absl::Minutes(50));
  world.Pass(absl::Minutes(10));
  EXPECT_GE(server->status().due, 1);
  EXPECT_GE(server->status().longest_overdue, absl::Minutes(10));
  EXPECT_LE(server->status().longest_overdue, absl::Minutes(60));
}

}  // namespace
}  // namespace keyferry::server
