#ifndef KEYFERRY_SERVER_METRICS_CALL_METRICS_H_
#define KEYFERRY_SERVER_METRICS_CALL_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "metrics/exposition.h"
#include "storage/counters.h"

namespace keyferry::server {

// What the access decision of a call came to.
enum class AccessOutcome {
  // It was not asked: the request was refused before, for its form or its rate.
  kNone,
  kAllowed,
  kDenied,
  // Nobody knows who is calling.
  kUnauthenticated,
};

// Calls by method and gRPC code, how long they took, and access decisions. Thread-safe. One addition per figure,
// without a lock: each method has its place, found by the address of its name, in counters that each CPU has of its
// own.
//
// The methods are those of the API as it is compiled in; whatever else comes is counted as "other", so the number of
// series is bounded.
class CallMetrics {
 public:
  CallMetrics();
  ~CallMetrics();
  CallMetrics(const CallMetrics&) = delete;
  CallMetrics& operator=(const CallMetrics&) = delete;

  // A call of `method`, e.g. "CredentialService/GetCredential", has ended. `method` is a text of the program, which
  // stays where it is. `latency` is that of a unary call, negative for a stream.
  void Ended(absl::string_view method, absl::StatusCode code, AccessOutcome access, absl::Duration latency);

  void WriteTo(metrics::Exposition* out) const;

  size_t methods() const { return names_.size(); }

 private:
  struct Cell;
  struct Sum;
  // A method whose name stands at an address.
  struct Known {
    std::atomic<const char*> name{nullptr};
    std::atomic<size_t> method{0};
  };
  static constexpr size_t kKnown = 512;

  size_t MethodOf(absl::string_view name);
  size_t Search(absl::string_view name) const;
  Sum SumOf(size_t method) const;

  // In order; then "other".
  std::vector<std::string> names_;
  std::array<Known, kKnown> known_;
  // One for each method in each part.
  std::unique_ptr<Cell[]> cells_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_METRICS_CALL_METRICS_H_
