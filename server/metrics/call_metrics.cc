#include "server/metrics/call_metrics.h"

#include <algorithm>

#include "absl/hash/hash.h"
#include "absl/strings/str_cat.h"
#include "server/metrics/api_methods.h"

namespace keyferry::server {
namespace {

constexpr size_t kCodes = 17;
constexpr size_t kBuckets = storage::kLatencyBoundsMicros.size() + 1;
constexpr size_t kOutcomes = 4;
constexpr char kOther[] = "other";
// Of the table of addresses: how far a name is looked for from where it belongs.
constexpr size_t kProbes = 8;

std::string CodeName(size_t code) {
  return code == 0 ? "OK" : absl::StatusCodeToString(static_cast<absl::StatusCode>(code));
}

}  // namespace

struct alignas(64) CallMetrics::Cell {
  std::array<std::atomic<uint64_t>, kCodes> codes{};
  std::array<std::atomic<uint64_t>, kBuckets> buckets{};
  std::array<std::atomic<uint64_t>, kOutcomes> access{};
  std::atomic<int64_t> sum_nanos{0};
};

struct CallMetrics::Sum {
  std::array<uint64_t, kCodes> codes{};
  std::array<uint64_t, kOutcomes> access{};
  storage::Latencies latencies;
};

CallMetrics::CallMetrics() : names_(ApiMethods()) {
  std::sort(names_.begin(), names_.end());
  names_.push_back(kOther);
  cells_ = std::make_unique<Cell[]>(names_.size() * storage::kCounterParts);
}

CallMetrics::~CallMetrics() = default;

size_t CallMetrics::Search(absl::string_view name) const {
  const auto end = names_.end() - 1;
  const auto found = std::lower_bound(names_.begin(), end, name);
  return found != end && *found == name ? static_cast<size_t>(found - names_.begin()) : names_.size() - 1;
}

size_t CallMetrics::MethodOf(absl::string_view name) {
  const size_t start = absl::HashOf(name.data());
  for (size_t i = 0; i < kProbes; ++i) {
    Known& known = known_[(start + i) % kKnown];
    const char* there = known.name.load(std::memory_order_acquire);
    if (there == name.data()) {
      const size_t method = known.method.load(std::memory_order_relaxed);
      // An address says nothing of a text that does not stay there.
      return names_[method] == name ? method : Search(name);
    }
    if (there != nullptr) continue;
    const size_t method = Search(name);
    // A reader that finds the address before the number compares the name and searches.
    if (known.name.compare_exchange_strong(there, name.data())) known.method.store(method, std::memory_order_relaxed);
    return method;
  }
  return Search(name);
}

void CallMetrics::Ended(absl::string_view method, absl::StatusCode code, AccessOutcome access, absl::Duration latency) {
  Cell& cell = cells_[storage::CounterPart() * names_.size() + MethodOf(method)];
  const size_t number = static_cast<size_t>(code);
  cell.codes[number < kCodes ? number : static_cast<size_t>(absl::StatusCode::kUnknown)].fetch_add(
      1, std::memory_order_relaxed);
  cell.access[static_cast<size_t>(access)].fetch_add(1, std::memory_order_relaxed);
  if (latency < absl::ZeroDuration()) return;
  cell.buckets[storage::LatencyBucket(latency)].fetch_add(1, std::memory_order_relaxed);
  cell.sum_nanos.fetch_add(absl::ToInt64Nanoseconds(latency), std::memory_order_relaxed);
}

CallMetrics::Sum CallMetrics::SumOf(size_t method) const {
  Sum sum;
  for (size_t part = 0; part < storage::kCounterParts; ++part) {
    const Cell& cell = cells_[part * names_.size() + method];
    for (size_t i = 0; i < kCodes; ++i) sum.codes[i] += cell.codes[i].load(std::memory_order_relaxed);
    for (size_t i = 0; i < kOutcomes; ++i) sum.access[i] += cell.access[i].load(std::memory_order_relaxed);
    for (size_t i = 0; i < kBuckets; ++i) sum.latencies.buckets[i] += cell.buckets[i].load(std::memory_order_relaxed);
    sum.latencies.sum += absl::Nanoseconds(cell.sum_nanos.load(std::memory_order_relaxed));
  }
  return sum;
}

void CallMetrics::WriteTo(metrics::Exposition* out) const {
  std::vector<Sum> sums;
  for (size_t i = 0; i < names_.size(); ++i) sums.push_back(SumOf(i));
  out->Counter("keyferry_grpc_requests_total",
               "Calls that ended, by method and gRPC code; a stream counts at its end.");
  for (size_t i = 0; i < names_.size(); ++i) {
    for (size_t code = 0; code < kCodes; ++code) {
      // Those that succeed are shown from the start, so that the first failure is a share of something.
      if (code != 0 && sums[i].codes[code] == 0) continue;
      out->Sample(sums[i].codes[code], {{"method", names_[i]}, {"code", CodeName(code)}});
    }
  }
  out->Histogram("keyferry_grpc_request_duration_seconds",
                 "How long unary calls took, from the request to the answer with its audit entry, by method.");
  for (size_t i = 0; i < names_.size(); ++i) {
    if (sums[i].latencies.count() > 0) out->Sample(sums[i].latencies, {{"method", names_[i]}});
  }
  out->Counter("keyferry_access_decisions_total",
               "Calls by what the access decision came to: allowed, denied, or unauthenticated.");
  constexpr std::array<const char*, kOutcomes> kNames = {"", "allowed", "denied", "unauthenticated"};
  for (size_t i = 0; i < names_.size(); ++i) {
    for (size_t outcome = 1; outcome < kOutcomes; ++outcome) {
      if (sums[i].access[outcome] == 0) continue;
      out->Sample(sums[i].access[outcome], {{"method", names_[i]}, {"decision", kNames[outcome]}});
    }
  }
}

}  // namespace keyferry::server
