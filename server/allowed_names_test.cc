#include "server/allowed_names.h"

#include "gtest/gtest.h"
#include "server/credentials/testing_world.h"

namespace keyferry::server {
namespace {

TEST(AllowedNamesTest, AllowsWhatTheRecordNamesAndNeverOurs) {
  World world(storage::EngineKind::kMemory);
  world.AllowNames({"PATH", "LD_PRELOAD", "KEYFERRY_TOKEN"});
  const auto view = world.store->View();
  AllowedNames allowed(*view, "acme");
  for (const char* name : {"TOKEN", "PATH", "LD_PRELOAD", ""}) {
    EXPECT_TRUE(*allowed.Allow(name)) << name;
    EXPECT_TRUE(allowed.Check(name, "field").ok()) << name;
  }
  for (const char* name : {"ENV", "LD_PRELOADS", "LD_", "KEYFERRY_TOKEN", "KEYFERRY_"}) {
    EXPECT_FALSE(*allowed.Allow(name)) << name;
    EXPECT_EQ(DetailOf(allowed.Check(name, "field")).field(), "field") << name;
  }
  EXPECT_FALSE(*AllowedNames(*view, "other").Allow("PATH"));
  EXPECT_FALSE(*AllowedNames(*view, "void").Allow("PATH"));
}

}  // namespace
}  // namespace keyferry::server
