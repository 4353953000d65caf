#include "server/limits/rate_limiter.h"

#include <algorithm>
#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

constexpr int64_t kMillisecond = 1000000;
constexpr int64_t kSecond = 1000 * kMillisecond;

int TakeAll(RateLimiter* limiter, uint64_t key, int64_t now, int tries) {
  int taken = 0;
  for (int i = 0; i < tries; ++i) taken += limiter->Take(key, now) == absl::ZeroDuration() ? 1 : 0;
  return taken;
}

TEST(RateLimiterTest, TakesABurstThenTheRate) {
  RateLimiter limiter({/*per_second=*/10, /*burst=*/5}, 1000);
  EXPECT_EQ(TakeAll(&limiter, 1, 0, 100), 5);
  EXPECT_EQ(TakeAll(&limiter, 1, 99 * kMillisecond, 100), 0);
  EXPECT_EQ(TakeAll(&limiter, 1, 100 * kMillisecond, 100), 1);
  EXPECT_EQ(TakeAll(&limiter, 1, 400 * kMillisecond, 100), 3);
  EXPECT_EQ(TakeAll(&limiter, 1, 60 * kSecond, 100), 5) << "no more than a burst is saved up";
}

TEST(RateLimiterTest, TheDelayIsExactlyWhenTheNextOneFits) {
  RateLimiter limiter({10, 2}, 1000);
  EXPECT_EQ(TakeAll(&limiter, 1, 0, 2), 2);
  const absl::Duration wait = limiter.Take(1, 30 * kMillisecond);
  EXPECT_EQ(wait, absl::Milliseconds(70));
  EXPECT_EQ(limiter.Take(1, 99999999), absl::Nanoseconds(1));
  EXPECT_EQ(limiter.Take(1, 100 * kMillisecond), absl::ZeroDuration());
}

TEST(RateLimiterTest, KeysAreApart) {
  RateLimiter limiter({1, 1}, 10000);
  for (uint64_t key = 0; key < 100; ++key) EXPECT_EQ(TakeAll(&limiter, key, 0, 3), 1) << key;
}

TEST(RateLimiterTest, ZeroIsNoLimitAndRemembersNothing) {
  RateLimiter limiter({0, 0}, 1000);
  EXPECT_EQ(TakeAll(&limiter, 1, 0, 10000), 10000);
  EXPECT_EQ(limiter.size(), 0u);
}

TEST(RateLimiterTest, GivesBack) {
  RateLimiter limiter({1, 3}, 1000);
  EXPECT_EQ(TakeAll(&limiter, 1, 0, 3), 3);
  limiter.GiveBack(1, 0);
  EXPECT_EQ(TakeAll(&limiter, 1, 0, 3), 1);
  limiter.GiveBack(2, 0);
  EXPECT_EQ(TakeAll(&limiter, 2, 0, 9), 3) << "a full bucket does not grow";
}

TEST(RateLimiterTest, ANewRateCountsFromTheNextCall) {
  RateLimiter limiter({1, 1}, 1000);
  EXPECT_EQ(TakeAll(&limiter, 1, 0, 5), 1);
  limiter.SetRate({1000, 2000});
  EXPECT_GT(TakeAll(&limiter, 1, 0, 5000), 900);
  limiter.SetRate({0, 0});
  EXPECT_EQ(TakeAll(&limiter, 1, 0, 5000), 5000);
}

TEST(RateLimiterTest, MemoryIsBoundedAndNewcomersShareWhatIsLeft) {
  constexpr size_t kMaxKeys = 640;
  RateLimiter limiter({1, 1}, kMaxKeys);
  int taken = 0;
  for (uint64_t key = 1; key <= 100000; ++key) taken += limiter.Take(key, 0) == absl::ZeroDuration() ? 1 : 0;
  EXPECT_LE(limiter.size(), kMaxKeys);
  // One for each bucket that is remembered and one for each shard's shared bucket.
  EXPECT_LE(taken, static_cast<int>(kMaxKeys) + 64);
  EXPECT_GE(taken, static_cast<int>(kMaxKeys));
}

TEST(RateLimiterTest, FullBucketsMakePlaceForNewOnes) {
  constexpr size_t kMaxKeys = 640;
  RateLimiter limiter({1, 1}, kMaxKeys);
  for (uint64_t key = 1; key <= 10000; ++key) (void)limiter.Take(key, 0);
  int taken = 0;
  for (uint64_t key = 20001; key <= 20100; ++key) taken += TakeAll(&limiter, key, 10 * kSecond, 2);
  EXPECT_EQ(taken, 100);
  EXPECT_LE(limiter.size(), kMaxKeys);
}

// Against the definition: a bucket with a number of tokens that grows with time.
TEST(RateLimiterTest, AgreesWithACountingBucket) {
  for (unsigned seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const Rate rate = {1u << (random() % 12), 1 + static_cast<uint32_t>(random() % 50)};
    // The level is counted in nanoseconds of refilling, so that nothing is rounded.
    const int64_t interval = kSecond / rate.per_second;
    RateLimiter limiter(rate, 100);
    int64_t now = 0;
    int64_t level = rate.burst * interval;
    for (int i = 0; i < 5000; ++i) {
      const int64_t step = static_cast<int64_t>(random() % 4 == 0 ? random() % (3 * interval) : 0);
      now += step;
      level = std::min<int64_t>(rate.burst * interval, level + step);
      const bool fits = level >= interval;
      const absl::Duration wait = limiter.Take(1, now);
      ASSERT_EQ(wait == absl::ZeroDuration(), fits) << "call " << i;
      if (fits) {
        level -= interval;
      } else {
        ASSERT_EQ(wait, absl::Nanoseconds(interval - level));
      }
    }
  }
}

TEST(RateLimiterTest, ManyThreadsTakeNoMoreThanThereIs) {
  RateLimiter limiter({1, 1000}, 1000);
  std::atomic<int> taken{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) threads.emplace_back([&] { taken += TakeAll(&limiter, 7, 0, 500); });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(taken, 1000);
}

}  // namespace
}  // namespace keyferry::server
