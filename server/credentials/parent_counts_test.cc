#include "server/credentials/parent_counts.h"

#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"

namespace keyferry::server {
namespace {

TEST(ParentCountsTest, RefusesBeyondTheLimitAndCountsAgainBeforeItDoes) {
  World world(storage::EngineKind::kMemory);
  const Caller root = world.As("root");
  world.Create(root, "orgs/acme", "A", "v");
  ParentCounts counts(world.store.get(), storage::Table::kCredential, /*limit=*/3, "credentials");
  EXPECT_TRUE(counts.Take("acme", "", "orgs/acme").ok());
  world.Create(root, "orgs/acme", "B", "v");
  EXPECT_TRUE(counts.Take("acme", "", "orgs/acme").ok());
  world.Create(root, "orgs/acme", "C", "v");
  const absl::Status full = counts.Take("acme", "", "orgs/acme");
  EXPECT_TRUE(absl::IsResourceExhausted(full)) << full;
  EXPECT_EQ(DetailOf(full).reason(), "TOO_MANY");
  EXPECT_EQ(DetailOf(full).resource(), "orgs/acme");
  EXPECT_TRUE(counts.Take("acme", "teams/eng", "orgs/acme/teams/eng").ok()) << "each parent has its own places";

  counts.GiveBack("acme", "");
  EXPECT_TRUE(counts.Take("acme", "", "orgs/acme").ok());
  EXPECT_FALSE(counts.Take("acme", "", "orgs/acme").ok());
  counts.GiveBack("acme", "", 2);
  EXPECT_FALSE(counts.Take("acme", "", "orgs/acme", 3).ok()) << "all or none";
  EXPECT_TRUE(counts.Take("acme", "teams/ops", "orgs/acme/teams/ops", 3).ok());
  const absl::Status too_many = counts.Take("acme", "teams/new", "orgs/acme/teams/new", 4);
  EXPECT_EQ(DetailOf(too_many).reason(), "TOO_MANY");
  EXPECT_EQ(too_many.message(), "orgs/acme/teams/new: holds 0 credentials, and may not hold 4 more: 3 is the most");

  // Deleted behind its back, as with a whole team.
  v1::DeleteCredentialRequest request;
  request.set_name("orgs/acme/credentials/B");
  ASSERT_TRUE(world.credentials->DeleteCredential(root, request).ok());
  EXPECT_TRUE(counts.Take("acme", "", "orgs/acme").ok());
}

}  // namespace
}  // namespace keyferry::server
