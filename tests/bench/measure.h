#ifndef KEYFERRY_TESTS_BENCH_MEASURE_H_
#define KEYFERRY_TESTS_BENCH_MEASURE_H_

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <thread>
#include <vector>

namespace keyferry::bench {

// Calls `operation(thread, i)` from `threads` threads for `seconds`; returns calls per second of all of them together.
inline double CallsPerSecond(int threads, double seconds, const std::function<void(int, uint64_t)>& operation) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const auto end = start + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  std::atomic<uint64_t> total{0};
  std::vector<std::thread> pool;
  for (int thread = 0; thread < threads; ++thread) {
    pool.emplace_back([&, thread] {
      uint64_t calls = 0;
      while (Clock::now() < end) operation(thread, calls++);
      total += calls;
    });
  }
  for (auto& thread : pool) thread.join();
  return total / std::chrono::duration<double>(Clock::now() - start).count();
}

inline double Median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

struct Comparison {
  double subject = 0;
  double floor = 0;
  // Median of the ratios of neighbouring rounds.
  double ratio = 0;
};

// Measures subject and floor by turns, so that what else the machine does falls on both alike.
inline Comparison Compare(int rounds, const std::function<double()>& subject, const std::function<double()>& floor) {
  std::vector<double> subjects, floors, ratios;
  for (int round = 0; round < rounds; ++round) {
    floors.push_back(floor());
    subjects.push_back(subject());
    ratios.push_back(subjects.back() / floors.back());
  }
  return {Median(subjects), Median(floors), Median(ratios)};
}

}  // namespace keyferry::bench

#endif  // KEYFERRY_TESTS_BENCH_MEASURE_H_
