// The limits on calls, over the network.
#include <string>

#include "gtest/gtest.h"
#include "tests/integration/world.h"

namespace keyferry::testing {
namespace {

constexpr char kGetCaller[] = "TokenService.GetCaller";

class RateLimitsTest : public ::testing::Test {
 protected:
  // How many of the calls were taken; the others must be refused as limited.
  int Taken(Who who, int calls) {
    int taken = 0;
    for (int i = 0; i < calls; ++i) {
      const grpc::Status status = world_.Call(who, kGetCaller, "");
      if (status.ok()) {
        ++taken;
        continue;
      }
      EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED);
      EXPECT_EQ(DetailOf(status).reason(), "RATE_LIMITED");
      EXPECT_GT(DetailOf(status).retry_delay_ms(), 0);
      EXPECT_EQ(world_.WhatIsWrong(status), "");
    }
    return taken;
  }

  World world_;
};

// One comes back a second, so some of the calls below fit besides the burst, and seldom all.
constexpr server::Rate Once(uint32_t burst) { return {1, burst}; }

TEST_F(RateLimitsTest, AnIdentityHasItsOwn) {
  world_.server()->SetRates({Once(5), {}, {}});
  EXPECT_LT(Taken(Who::kMember, 12), 12);
  EXPECT_GE(Taken(Who::kOwner, 5), 5) << "another one is not slowed";
  EXPECT_GE(Taken(Who::kService, 5), 5);
}

TEST_F(RateLimitsTest, AnOrganizationHasOneForAll) {
  world_.server()->SetRates({{}, Once(6), {}});
  int taken = 0;
  for (const Who who : {Who::kAdmin, Who::kMember, Who::kOwner, Who::kService, Who::kWorkload}) taken += Taken(who, 3);
  EXPECT_LT(taken, 15);
  EXPECT_EQ(Taken(Who::kRival, 5), 5) << "another organization is not slowed";
}

TEST_F(RateLimitsTest, ARefusedChangeChangesNothing) {
  world_.server()->SetRates({Once(1), {}, {}});
  (void)Taken(Who::kAdmin, 3);
  const grpc::Status refused =
      world_.Call(Who::kAdmin, "CredentialService.DeleteCredential", "name: 'orgs/acme/credentials/GITHUB_TOKEN'");
  EXPECT_EQ(DetailOf(refused).reason(), "RATE_LIMITED");
  world_.server()->SetRates({});
  EXPECT_TRUE(
      world_.Call(Who::kAdmin, "CredentialService.GetCredential", "name: 'orgs/acme/credentials/GITHUB_TOKEN'").ok());
}

TEST_F(RateLimitsTest, AnAddressIsLimitedInRefusedTokensAlone) {
  world_.server()->SetRates({{}, {}, Once(5)});
  int unauthenticated = 0;
  for (int i = 0; i < 12; ++i) {
    const grpc::Status status = world_.CallBytes({"Bearer nonsense"}, kGetCaller, "");
    if (status.error_code() == grpc::UNAUTHENTICATED) {
      ++unauthenticated;
    } else {
      EXPECT_EQ(DetailOf(status).reason(), "RATE_LIMITED");
      EXPECT_EQ(world_.WhatIsWrong(status), "");
    }
  }
  EXPECT_GE(unauthenticated, 5);
  EXPECT_LT(unauthenticated, 12);
  EXPECT_EQ(Taken(Who::kMember, 20), 20) << "a good token passes, whatever its address has done";
}

TEST_F(RateLimitsTest, NoLimitIsNone) {
  world_.server()->SetRates({});
  EXPECT_EQ(Taken(Who::kMember, 500), 500);
}

}  // namespace
}  // namespace keyferry::testing
