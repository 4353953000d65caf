// Nanoseconds that counting adds to a call, beside what reading the clock costs.
#include <chrono>

#include "benchmark/benchmark.h"
#include "server/metrics/call_metrics.h"

namespace keyferry::server {
namespace {

// The floor.
void BM_Clock(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(std::chrono::steady_clock::now());
}
BENCHMARK(BM_Clock);

void BM_Ended(benchmark::State& state) {
  static auto* const metrics = new CallMetrics();
  for (auto _ : state) {
    metrics->Ended("ResolutionService/Resolve", absl::StatusCode::kOk, AccessOutcome::kAllowed, absl::Microseconds(80));
  }
}
BENCHMARK(BM_Ended)->Threads(1)->Threads(4);

}  // namespace
}  // namespace keyferry::server

BENCHMARK_MAIN();
