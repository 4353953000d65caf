// A machine that loses power in the middle of a refresh, and with it what was not synced.
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/refresh/testing_refresh.h"
#include "storage/engine/rocksdb/fault_fs.h"

namespace keyferry::server {
namespace {

using storage::FaultFs;
using testing::HasSubstr;

constexpr char kAda[] = "users/ada";
constexpr int kAfterAll = 2;

struct Case {
  const char* name;
  // The commit at which the power goes: 0 is that of the lease, 1 that of the answer.
  int cut_at;
  // The provider rotates the refresh token, and fails then.
  bool fails;
  const char* after_loss;
  const char* end;
};

TokenResult AnswerOf(ReuseDetector& provider, const ScriptedTokenClient::Call& call, bool fails) {
  TokenResult answer = provider.Answer(call, absl::Hours(1));
  const auto* const grant = absl::get_if<TokenGrant>(&answer);
  if (grant == nullptr || !fails) return answer;
  return FailedAfterRotation(std::string(grant->refresh_token.Expose()));
}

// Refreshes until the power goes; whether an answer was told before.
bool RefreshUntilCut(RefreshWorld& world, FaultFs& fs, int cut_at) {
  RefreshScheduler* const server = world.AddServer();
  world.Settle();
  int commits = 0;
  world.store->before_commit = [&](const storage::Mutation&) {
    if (commits++ == cut_at) fs.CutPower();
    return absl::OkStatus();
  };
  world.now += absl::Minutes(50);
  world.monotonic += absl::Minutes(50);
  auto told = std::make_shared<bool>(false);
  server->Refresh({"acme", kAda, "github"}, /*force=*/true, [told](const absl::Status&) { *told = true; });
  server->RunDue();
  fs.CutPower();
  world.store->before_commit = nullptr;
  return *told;
}

class PowerLoss : public testing::TestWithParam<FaultFs::Unsynced> {};

TEST_P(PowerLoss, LeavesWhatWasToldOrAReasonToConnect) {
  for (const Case& c :
       {Case{"granted and told", kAfterAll, false, "CONNECTED v2 access-t.1 t.1", "CONNECTED v2 access-t.1 t.1"},
        Case{"rotated and told", kAfterAll, true, "CONNECTED v1 a t.1 failed 1: said no",
             "CONNECTED v2 access-t.2 t.2"},
        Case{"granted, not stored", 1, false, "CONNECTED v1 a t.0", "CONNECT_NEEDED v1  : "},
        Case{"rotated, not stored", 1, true, "CONNECTED v1 a t.0", "CONNECT_NEEDED v1  : "}}) {
    SCOPED_TRACE(c.name);
    const auto fs = std::make_shared<FaultFs>();
    RefreshWorld world(storage::EngineKind::kRocksDb, fs);
    ReuseDetector provider;
    world.client.automatic = [&](const auto& call) { return AnswerOf(provider, call, c.fails); };
    world.Connect(kAda, "a", "t.0");
    EXPECT_EQ(RefreshUntilCut(world, *fs, c.cut_at), c.cut_at == kAfterAll);
    EXPECT_EQ(provider.granted(), 1);
    world.Crash([&] { fs->LosePower(GetParam(), /*entries_lost=*/false, /*seed=*/1); });
    EXPECT_EQ(world.Words(kAda), c.after_loss);
    world.client.automatic = [&](const auto& call) { return provider.Answer(call, absl::Hours(1)); };
    world.AddServer();
    world.Settle();
    world.Pass(absl::Seconds(91));
    EXPECT_THAT(world.Words(kAda), HasSubstr(c.end));
  }
}

INSTANTIATE_TEST_SUITE_P(Unsynced, PowerLoss,
                         testing::Values(FaultFs::Unsynced::kLost, FaultFs::Unsynced::kKept, FaultFs::Unsynced::kTorn),
                         [](const auto& info) {
                           if (info.param == FaultFs::Unsynced::kLost) return "Lost";
                           return info.param == FaultFs::Unsynced::kKept ? "Kept" : "Torn";
                         });

}  // namespace
}  // namespace keyferry::server
