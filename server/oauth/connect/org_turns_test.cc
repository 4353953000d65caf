#include "server/oauth/connect/org_turns.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

TEST(OrgTurnsTest, OneAtATimeForAnOrganization) {
  OrgTurns turns;
  // Guarded by the turns alone.
  int count = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int k = 0; k < 1000; ++k) {
        const OrgTurns::Turn turn = turns.Take("acme");
        const int seen = count;
        if (k % 100 == 0) std::this_thread::yield();
        count = seen + 1;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(count, 8000);
}

// Would wait for ever if one turn were for all.
TEST(OrgTurnsTest, AnOrganizationDoesNotWaitForAnother) {
  OrgTurns turns;
  const OrgTurns::Turn acme = turns.Take("acme");
  const OrgTurns::Turn other = turns.Take("other");
  std::thread third([&turns] { const OrgTurns::Turn turn = turns.Take("third"); });
  third.join();
}

TEST(OrgTurnsTest, ATurnIsFreeAgainAtItsEnd) {
  OrgTurns turns;
  for (int i = 0; i < 3; ++i) const OrgTurns::Turn turn = turns.Take("acme");
}

}  // namespace
}  // namespace keyferry::server
