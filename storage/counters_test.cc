#include "storage/counters.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace keyferry::storage {
namespace {

TEST(CountersTest, NothingIsLostBetweenThreads) {
  Counter counter;
  LatencyCounter latencies;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 10'000; ++n) {
        counter.Add(2);
        latencies.Add(absl::Microseconds(10));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(counter.Value(), 80'000u);
  EXPECT_EQ(latencies.Value().count(), 40'000u);
  EXPECT_EQ(latencies.Value().sum, absl::Milliseconds(400));
}

TEST(CountersTest, ABoundBelongsToItsBucket) {
  struct Case {
    const char* name;
    absl::Duration duration;
    size_t bucket;
  };
  for (const Case& c :
       {Case{"none", absl::ZeroDuration(), 0}, Case{"on the first bound", absl::Microseconds(250), 0},
        Case{"just above it", absl::Microseconds(250) + absl::Nanoseconds(1), 1},
        Case{"on the last bound", absl::Seconds(5), 11}, Case{"above all", absl::Seconds(5) + absl::Nanoseconds(1), 12},
        Case{"a clock that was set back", -absl::Seconds(1), 0}}) {
    SCOPED_TRACE(c.name);
    LatencyCounter latencies;
    latencies.Add(c.duration);
    EXPECT_EQ(latencies.Value().buckets[c.bucket], 1u);
    EXPECT_EQ(latencies.Value().count(), 1u);
  }
}

}  // namespace
}  // namespace keyferry::storage
