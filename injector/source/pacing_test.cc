// How often is tried again, and how often is told.
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "injector/source/backoff.h"
#include "injector/source/problem_lines.h"

namespace keyferry::injector {
namespace {

TEST(BackoffTest, DoublesUpToTheLimitAndStartsAnew) {
  double random = 0;
  Backoff backoff({absl::Seconds(1), absl::Seconds(5)}, [&] { return random; });
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(500));
  EXPECT_EQ(backoff.Next(), absl::Seconds(1));
  random = 0.5;
  EXPECT_EQ(backoff.Next(), absl::Seconds(3));
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(3750));
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(3750));
  backoff.Reset();
  EXPECT_EQ(backoff.Next(), absl::Milliseconds(750));
}

TEST(ProblemLinesTest, TheSameLineOnceInTenMinutes) {
  const absl::Time start = absl::FromUnixSeconds(1800000000);
  ProblemLines lines;
  EXPECT_TRUE(lines.Allow("a", start));
  EXPECT_FALSE(lines.Allow("a", start + absl::Minutes(9)));
  EXPECT_TRUE(lines.Allow("b", start + absl::Minutes(9)));
  EXPECT_TRUE(lines.Allow("a", start + absl::Minutes(10)));
}

TEST(ProblemLinesTest, AFloodIsCutOff) {
  const absl::Time start = absl::FromUnixSeconds(1800000000);
  ProblemLines lines;
  int allowed = 0;
  for (int i = 0; i < 1000; ++i) allowed += lines.Allow(absl::StrCat("line ", i), start) ? 1 : 0;
  EXPECT_EQ(allowed, 10);
  EXPECT_TRUE(lines.Allow("later", start + absl::Minutes(1)));
}

}  // namespace
}  // namespace keyferry::injector
