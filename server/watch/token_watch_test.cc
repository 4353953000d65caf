// Watches of environments with access tokens.
#include <memory>
#include <string>

#include "gtest/gtest.h"
#include "server/resolution/testing_connections.h"
#include "server/watch/testing_watch.h"

namespace keyferry::server {
namespace {

using storage::EngineKind;

constexpr char kServer[] = "orgs/acme/mcpServers/m";
const absl::Duration kDebounce = absl::Milliseconds(100);

class TokenWatchTest : public testing::TestWithParam<EngineKind> {
 protected:
  TokenWatchTest() : w_(GetParam()) {
    PutProvider(Store(), "google");
    w_.Apply(kServer, {"TOKEN@google"});
  }
  storage::Store* Store() { return w_.world.store.get(); }
  void Connect(const std::string& parent, int64_t version, absl::Duration left, bool connect_needed = false,
               bool refreshable = true) {
    TestConnection connection;
    connection.parent = parent;
    connection.version = version;
    connection.token = "token";
    connection.expire_time = w_.world.now + left;
    connection.connect_needed = connect_needed;
    connection.refreshable = refreshable;
    PutConnection(Store(), connection);
  }

  WatchWorld w_;
};

INSTANTIATE_TEST_SUITE_P(Engines, TokenWatchTest, testing::Values(EngineKind::kMemory, EngineKind::kRocksDb),
                         [](const auto& info) { return storage::EngineName(info.param); });

TEST_P(TokenWatchTest, EveryChangeOfItsConnectionsWakesAWatcherAndNothingElseDoes) {
  Connect("users/ada", 1, absl::Hours(1));
  auto watch = w_.Open("ada", kServer);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v1:token");
  const struct {
    const char* what;
    std::function<void()> change;
    const char* sent;
  } kCases[] = {
      {"a refresh", [&] { Connect("users/ada", 2, absl::Hours(1)); }, "env TOKEN=v2:token"},
      {"a lease", [&] { PutLease(Store(), "users/ada"); }, ""},
      {"somebody else's refresh", [&] { Connect("users/bob", 7, absl::Hours(1)); }, ""},
      {"a wider connection", [&] { Connect("", 5, absl::Hours(1)); }, ""},
      {"disconnected", [&] { DeleteConnection(Store(), "users/ada"); }, "env TOKEN=v5:token"},
      {"the wider one refreshed", [&] { Connect("", 6, absl::Hours(1)); }, "env TOKEN=v6:token"},
      {"to be connected again", [&] { Connect("", 6, absl::Hours(1), true); }, "problem MISSING_VARIABLES"},
      {"connected", [&] { Connect("users/ada", 1, absl::Hours(1)); }, "env TOKEN=v1:token"},
  };
  for (const auto& c : kCases) {
    SCOPED_TRACE(c.what);
    c.change();
    w_.Pass(kDebounce);
    EXPECT_EQ(watch->sink.Take(), c.sent);
  }
  EXPECT_EQ(w_.refresher.asked(), 0);
}

TEST_P(TokenWatchTest, ALeaseIsNoChangeAtAll) {
  Connect("users/ada", 1, absl::Hours(1));
  auto watch = w_.Open("ada", kServer);
  const auto known = watch->sink.revision;
  watch->sink.Take();
  PutLease(Store(), "users/ada");
  w_.Pass(kDebounce);
  auto again = w_.Open("ada", kServer, known);
  EXPECT_EQ(again->sink.Take(), "") << "what the client has still stands";
  Connect("users/ada", 2, absl::Hours(1));
  auto third = w_.Open("ada", kServer, known);
  EXPECT_EQ(third->sink.Take(), "env TOKEN=v2:token");
}

TEST_P(TokenWatchTest, WaitsForAnEndedTokenBeforeItSaysAnything) {
  Connect("users/ada", 1, -absl::Seconds(1));
  auto watch = w_.Open("ada", kServer);
  EXPECT_EQ(watch->sink.Take(), "");
  ASSERT_EQ(w_.refresher.Waiting().size(), 1u);
  EXPECT_EQ(w_.refresher.Waiting()[0], (ConnectionKey{"acme", "users/ada", "google"}));
  // Other news meanwhile neither asks again nor gives up.
  Connect("", 5, absl::Hours(1));
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "");
  EXPECT_EQ(w_.refresher.asked(), 1);
  Connect("users/ada", 2, absl::Hours(1));
  w_.refresher.Answer(absl::OkStatus());
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v2:token");
}

TEST_P(TokenWatchTest, AProviderThatGivesNoneIsAProblemUntilItDoes) {
  Connect("users/ada", 1, -absl::Seconds(1));
  auto watch = w_.Open("ada", kServer);
  w_.refresher.Answer(absl::UnavailableError("no answer"));
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "problem PROVIDER_UNAVAILABLE");
  // The scheduler's attempts are noted at the connection; the problem is still the same.
  TestConnection failed;
  failed.parent = "users/ada";
  failed.expire_time = w_.world.now - absl::Seconds(1);
  failed.next_attempt_time = w_.world.now + absl::Seconds(30);
  PutConnection(Store(), failed);
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "");
  EXPECT_EQ(w_.refresher.asked(), 1) << "trying again is the scheduler's";
  Connect("users/ada", 2, absl::Hours(1));
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v2:token");
}

TEST_P(TokenWatchTest, NobodyAnswersForTwentySeconds) {
  Connect("users/ada", 1, -absl::Seconds(1));
  auto watch = w_.Open("ada", kServer);
  w_.Pass(absl::Seconds(19));
  EXPECT_EQ(watch->sink.Take(), "");
  w_.Pass(absl::Seconds(1));
  EXPECT_EQ(watch->sink.Take(), "problem PROVIDER_UNAVAILABLE");
}

TEST_P(TokenWatchTest, ATokenThatEndsByTheClockIsNoticedWithoutACommit) {
  Connect("users/ada", 1, absl::Minutes(5), /*connect_needed=*/false, /*refreshable=*/false);
  Connect("", 5, absl::Hours(1));
  auto watch = w_.Open("ada", kServer);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v1:token");
  w_.world.now += absl::Minutes(5);
  w_.Pass(absl::Seconds(1));
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v5:token");
  w_.world.now += absl::Hours(1);
  w_.Pass(absl::Seconds(1));
  EXPECT_EQ(watch->sink.Take(), "") << "it can be refreshed, and is";
  EXPECT_EQ(w_.refresher.asked(), 1);
  Connect("", 6, absl::Hours(1));
  w_.refresher.Answer(absl::OkStatus());
  w_.Pass(kDebounce);
  EXPECT_EQ(watch->sink.Take(), "env TOKEN=v6:token");
}

TEST_P(TokenWatchTest, AnAnswerThatComesLateFindsNobody) {
  Connect("users/ada", 1, -absl::Seconds(1));
  auto watch = w_.Open("ada", kServer);
  w_.hub->Cancel(watch->id);
  w_.refresher.Answer(absl::OkStatus());
  w_.Pass(kDebounce);
  EXPECT_TRUE(absl::IsCancelled(watch->sink.end)) << watch->sink.end;
  // Nor does one that comes after the hub.
  auto other = w_.Open("ada", kServer);
  w_.hub->Cancel(other->id);
  w_.hub.reset();
  w_.refresher.Answer(absl::OkStatus());
}

}  // namespace
}  // namespace keyferry::server
