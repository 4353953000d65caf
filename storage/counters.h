#ifndef KEYFERRY_STORAGE_COUNTERS_H_
#define KEYFERRY_STORAGE_COUNTERS_H_

#include <sched.h>

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"

namespace keyferry::storage {

// What is counted on the way of every call: an addition without a lock to a part that seldom belongs to another CPU at
// the same time. Sums are taken when somebody looks. Thread-safe.

constexpr size_t kCounterParts = 8;

// The part that the calling thread adds to. Any is right; the one of its CPU is fast.
inline size_t CounterPart() {
  const int cpu = sched_getcpu();
  return cpu < 0 ? 0 : static_cast<size_t>(cpu) % kCounterParts;
}

// Only grows.
class Counter {
 public:
  void Add(uint64_t count = 1) { parts_[CounterPart()].count.fetch_add(count, std::memory_order_relaxed); }
  uint64_t Value() const {
    uint64_t sum = 0;
    for (const Part& part : parts_) sum += part.count.load(std::memory_order_relaxed);
    return sum;
  }

 private:
  struct alignas(64) Part {
    std::atomic<uint64_t> count{0};
  };
  std::array<Part, kCounterParts> parts_;
};

// Upper bounds of the buckets that durations are counted in; what is longer has one of its own.
constexpr std::array<int64_t, 12> kLatencyBoundsMicros = {250,    500,    1'000,   2'500,   5'000,     10'000,
                                                          25'000, 50'000, 100'000, 250'000, 1'000'000, 5'000'000};

// How long things took, since the start.
struct Latencies {
  std::array<uint64_t, kLatencyBoundsMicros.size() + 1> buckets{};
  absl::Duration sum;

  uint64_t count() const {
    uint64_t all = 0;
    for (const uint64_t bucket : buckets) all += bucket;
    return all;
  }
};

// The bucket that a duration belongs to.
inline size_t LatencyBucket(absl::Duration duration) {
  const int64_t micros = absl::ToInt64Microseconds(absl::Ceil(duration, absl::Microseconds(1)));
  size_t bucket = 0;
  while (bucket < kLatencyBoundsMicros.size() && micros > kLatencyBoundsMicros[bucket]) ++bucket;
  return bucket;
}

class LatencyCounter {
 public:
  void Add(absl::Duration duration) {
    Part& part = parts_[CounterPart()];
    part.buckets[LatencyBucket(duration)].fetch_add(1, std::memory_order_relaxed);
    part.sum_nanos.fetch_add(absl::ToInt64Nanoseconds(duration), std::memory_order_relaxed);
  }
  Latencies Value() const {
    Latencies sum;
    for (const Part& part : parts_) {
      for (size_t i = 0; i < part.buckets.size(); ++i)
        sum.buckets[i] += part.buckets[i].load(std::memory_order_relaxed);
      sum.sum += absl::Nanoseconds(part.sum_nanos.load(std::memory_order_relaxed));
    }
    return sum;
  }

 private:
  struct alignas(64) Part {
    std::array<std::atomic<uint64_t>, kLatencyBoundsMicros.size() + 1> buckets{};
    std::atomic<int64_t> sum_nanos{0};
  };
  std::array<Part, kCounterParts> parts_;
};

}  // namespace keyferry::storage

#endif  // KEYFERRY_STORAGE_COUNTERS_H_
