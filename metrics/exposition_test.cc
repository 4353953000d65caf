#include "metrics/exposition.h"

#include <limits>

#include "gtest/gtest.h"

namespace keyferry::metrics {
namespace {

TEST(ExpositionTest, WritesWhatTheFormatSays) {
  Exposition out;
  out.Counter("calls_total", "Calls.");
  out.Sample(uint64_t{3}, {{"method", "A/B"}, {"code", "OK"}});
  out.Gauge("temperature", "With \\ and\nnewline.", -1.5);
  EXPECT_EQ(out.Take(),
            "# HELP calls_total Calls.\n# TYPE calls_total counter\ncalls_total{method=\"A/B\",code=\"OK\"} 3\n"
            "# HELP temperature With \\\\ and\\nnewline.\n# TYPE temperature gauge\ntemperature -1.5\n");
}

TEST(ExpositionTest, NoLabelBreaksALine) {
  Exposition out;
  out.Gauge("g", "G.");
  out.Sample(uint64_t{1}, {{"l", "a\"b\\c\nd"}});
  EXPECT_EQ(out.Take(), "# HELP g G.\n# TYPE g gauge\ng{l=\"a\\\"b\\\\c\\nd\"} 1\n");
}

TEST(ExpositionTest, NumbersAreExactAndSpecialOnesAreNamed) {
  Exposition out;
  out.Gauge("g", "G.");
  out.Sample(std::numeric_limits<uint64_t>::max());
  out.Sample(1764000000.25);
  out.Sample(std::numeric_limits<double>::infinity());
  out.Sample(-std::numeric_limits<double>::infinity());
  out.Sample(std::numeric_limits<double>::quiet_NaN());
  EXPECT_EQ(out.Take(),
            "# HELP g G.\n# TYPE g gauge\ng 18446744073709551615\ng 1764000000.25\ng +Inf\ng -Inf\ng NaN\n");
}

TEST(ExpositionTest, BucketsOfAHistogramAreCumulative) {
  storage::LatencyCounter counter;
  counter.Add(absl::Microseconds(100));
  counter.Add(absl::Milliseconds(3));
  counter.Add(absl::Seconds(60));
  Exposition out;
  out.Histogram("h_seconds", "H.");
  out.Sample(counter.Value(), {{"m", "x"}});
  const std::string text = out.Take();
  for (const char* line : {"# TYPE h_seconds histogram\n", "h_seconds_bucket{m=\"x\",le=\"0.00025\"} 1\n",
                           "h_seconds_bucket{m=\"x\",le=\"0.0025\"} 1\n", "h_seconds_bucket{m=\"x\",le=\"0.005\"} 2\n",
                           "h_seconds_bucket{m=\"x\",le=\"5\"} 2\n", "h_seconds_bucket{m=\"x\",le=\"+Inf\"} 3\n",
                           "h_seconds_count{m=\"x\"} 3\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << text;
  }
}

}  // namespace
}  // namespace keyferry::metrics
