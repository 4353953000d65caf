// Random clients, servers and hosts around a Router, checked against what it guarantees.
#include <cstdint>
#include <iostream>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "injector/mcp/random_world.h"

namespace keyferry::injector::mcp {
namespace {

TEST(RouterPropertyTest, RandomSessionsKeepWhatIsGuaranteed) {
  Tally tally;
  constexpr uint64_t kFirstSeed = 1000;
  constexpr uint64_t kSeeds = 400;
  for (uint64_t seed = kFirstSeed; seed < kFirstSeed + kSeeds; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    RandomWorld world(seed, tally);
    for (int i = 0; i < 500 && !::testing::Test::HasFailure(); ++i) world.Step();
    if (!::testing::Test::HasFailure()) world.Finish();
    if (::testing::Test::HasFailure()) return;
  }
  for (const auto& [event, count] : tally.counts) std::cout << count << " x " << event << "\n";
  for (const char* event :
       {"ready", "discard", "crash", "restart", "serial rotation", "drain timeout", "held", "cancelled by the client",
        "cancelled by a server", "answer after cancellation", "server request answered", "error of our own"}) {
    EXPECT_GE(tally.counts[event], 100) << event;
  }
  EXPECT_GE(tally.counts["request"], 20000);
}

}  // namespace
}  // namespace keyferry::injector::mcp
