#include "injector/exec/expiry_notice.h"

#include "gtest/gtest.h"

namespace keyferry::injector {
namespace {

ResolvedEnvironment With(std::vector<std::pair<std::string, absl::Time>> variables) {
  ResolvedEnvironment environment;
  for (auto& [name, time] : variables) {
    ResolvedValue& value = environment.variables.emplace_back();
    value.name = name;
    value.refresh_time = time;
  }
  return environment;
}

TEST(ExpiryNotice, NamesWhatExpires) {
  const absl::Time time = absl::FromUnixSeconds(1800000000);
  EXPECT_EQ(ExpiryNotice(With({})), "");
  EXPECT_EQ(ExpiryNotice(With({{"A", absl::InfiniteFuture()}})), "");
  EXPECT_EQ(ExpiryNotice(With({{"A", absl::InfiniteFuture()}, {"B", time}})),
            "B expires at 2027-01-15T08:00:00Z; use --supervise so that the command moves to fresh values");
  EXPECT_EQ(
      ExpiryNotice(With({{"A", time + absl::Hours(1)}, {"B", time}})),
      "A, B expire, the first at 2027-01-15T08:00:00Z; use --supervise so that the command moves to fresh values");
}

}  // namespace
}  // namespace keyferry::injector
