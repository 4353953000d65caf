#include "injector/webhook/webhook_metrics.h"

namespace keyferry::injector::webhook {
namespace {

// In the order of the enumerations, and of WebhookMetrics::EndOf.
constexpr std::array<const char*, 4> kReviewNames = {"patched", "untouched", "refused", "failed"};
constexpr std::array<const char*, 2> kQuestionNames = {"definition", "bindings"};
constexpr std::array<const char*, 4> kEndNames = {"answered", "not_found", "refused", "unanswered"};

}  // namespace

size_t WebhookMetrics::EndOf(const absl::Status& status) {
  if (status.ok()) return 0;
  if (absl::IsNotFound(status)) return 1;
  const bool unanswered = absl::IsUnavailable(status) || absl::IsDeadlineExceeded(status) || absl::IsCancelled(status);
  return unanswered ? 3 : 2;
}

void WebhookMetrics::CountReview(Review outcome, absl::Duration took) {
  reviews_[outcome].Add();
  review_latency_.Add(took);
}

void WebhookMetrics::CountQuestion(Question question, const absl::Status& ended) {
  questions_[question][EndOf(ended)].Add();
}

void WebhookMetrics::WriteTo(const ListenerFigures& listener, metrics::Exposition* out) const {
  out->Counter("keyferry_webhook_reviews_total", "Admission reviews, by how they ended.");
  for (size_t i = 0; i < kReviews; ++i) out->Sample(reviews_[i].Value(), {{"outcome", kReviewNames[i]}});
  out->Histogram("keyferry_webhook_review_duration_seconds", "From when a review had come until its answer was made.");
  out->Sample(review_latency_.Value());
  out->Counter("keyferry_webhook_requests_turned_away_total",
               "Requests that were too long, too many at once, unreadable or without a certificate.",
               listener.turned_away);
  out->Gauge("keyferry_webhook_connections", "Connections that are open.", listener.connections);
  out->Gauge("keyferry_webhook_certificate_expiry_timestamp_seconds",
             "When the certificate that is used ends, or the first of its chain, since the epoch.",
             static_cast<double>(certificate_end_.load()));
  out->Counter("keyferry_webhook_questions_total", "Questions to keyferryd, by how they ended.");
  for (size_t question = 0; question < kQuestions; ++question) {
    for (size_t end = 0; end < kEnds; ++end) {
      out->Sample(questions_[question][end].Value(),
                  {{"question", kQuestionNames[question]}, {"outcome", kEndNames[end]}});
    }
  }
}

}  // namespace keyferry::injector::webhook
