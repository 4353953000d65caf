#ifndef KEYFERRY_INJECTOR_WEBHOOK_WEBHOOK_METRICS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_WEBHOOK_METRICS_H_

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "metrics/exposition.h"
#include "storage/counters.h"

namespace keyferry::injector::webhook {

// What the webhook counts of its work. Labels are the names below, never what a review or the server says. Thread-safe.
class WebhookMetrics {
 public:
  // How a review ended: with a patch, with the object as it is, with a refusal, or without an answer to it.
  enum Review { kPatched, kUntouched, kRefused, kFailed };
  // What keyferryd is asked: how an MCP server is started, or which of its bindings would fail.
  enum Question { kDefinition, kBindings };

  void CountReview(Review outcome, absl::Duration took);
  void CountQuestion(Question question, const absl::Status& ended);
  void SetCertificateEnd(absl::Time end) { certificate_end_ = absl::ToUnixSeconds(end); }

  // What the listener knows of itself.
  struct ListenerFigures {
    int connections = 0;
    uint64_t turned_away = 0;
  };
  void WriteTo(const ListenerFigures& listener, metrics::Exposition* out) const;

 private:
  static constexpr size_t kReviews = 4;
  static constexpr size_t kQuestions = 2;
  // Answered, not found, refused, without an answer.
  static constexpr size_t kEnds = 4;

  static size_t EndOf(const absl::Status& status);

  std::array<storage::Counter, kReviews> reviews_;
  storage::LatencyCounter review_latency_;
  std::array<std::array<storage::Counter, kEnds>, kQuestions> questions_;
  std::atomic<int64_t> certificate_end_{0};
};

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_WEBHOOK_METRICS_H_
