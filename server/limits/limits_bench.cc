// Nanoseconds that the limits add to a call.
#include <memory>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "server/limits/call_limits.h"
#include "server/limits/rate_limiter.h"

namespace keyferry::server {
namespace {

constexpr Rate kGenerous = {1000000000, 1000000000};

// The floor: what the clock alone costs.
void BM_Clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(SteadyNanos());
}
BENCHMARK(BM_Clock);

void BM_Take(benchmark::State& state) {
  RateLimiter limiter(kGenerous, 65536);
  int64_t now = 0;
  for (auto _ : state) benchmark::DoNotOptimize(limiter.Take(/*key=*/7, now += 100));
}
BENCHMARK(BM_Take);

// Every caller is new, so that the table is always full of buckets that no one asks for again.
void BM_TakeOfNewKeys(benchmark::State& state) {
  RateLimiter limiter({100, 100}, 65536);
  int64_t now = 0;
  uint64_t key = 0;
  for (auto _ : state) benchmark::DoNotOptimize(limiter.Take(++key, now += 100));
}
BENCHMARK(BM_TakeOfNewKeys);

CallLimits* SharedLimits() {
  static auto* const limits = new CallLimits({kGenerous, kGenerous, kGenerous});
  return limits;
}

// Threads of one organization, each a caller of its own.
void BM_Admit(benchmark::State& state) {
  Caller caller;
  caller.org = "acme";
  caller.id = absl::StrCat("user-", state.thread_index());
  for (auto _ : state) benchmark::DoNotOptimize(SharedLimits()->Admit(caller).ok());
}
BENCHMARK(BM_Admit)->Threads(1)->Threads(4);

void BM_Refuse(benchmark::State& state) {
  CallLimits limits({{1, 1}, kGenerous, kGenerous});
  Caller caller;
  caller.org = "acme";
  caller.id = "ada";
  for (auto _ : state) benchmark::DoNotOptimize(limits.Admit(caller).ok());
}
BENCHMARK(BM_Refuse);

}  // namespace
}  // namespace keyferry::server

BENCHMARK_MAIN();
