#include "injector/webhook/webhook_metrics.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::webhook {
namespace {

using testing::HasSubstr;

std::string TextOf(const WebhookMetrics& metrics, const WebhookMetrics::ListenerFigures& listener = {}) {
  metrics::Exposition out;
  metrics.WriteTo(listener, &out);
  return "\n" + out.Take();
}

TEST(WebhookMetricsTest, CountsReviewsByOutcome) {
  WebhookMetrics metrics;
  const WebhookMetrics::Review all[] = {WebhookMetrics::kPatched, WebhookMetrics::kUntouched, WebhookMetrics::kRefused,
                                        WebhookMetrics::kFailed};
  for (int i = 0; i < 4; ++i) {
    for (int times = 0; times <= i; ++times) metrics.CountReview(all[i], absl::Milliseconds(20));
  }
  const std::string text = TextOf(metrics);
  EXPECT_THAT(text, HasSubstr("\nkeyferry_webhook_reviews_total{outcome=\"patched\"} 1\n"));
  EXPECT_THAT(text, HasSubstr("\nkeyferry_webhook_reviews_total{outcome=\"untouched\"} 2\n"));
  EXPECT_THAT(text, HasSubstr("\nkeyferry_webhook_reviews_total{outcome=\"refused\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\nkeyferry_webhook_reviews_total{outcome=\"failed\"} 4\n"));
  EXPECT_THAT(text, HasSubstr("\nkeyferry_webhook_review_duration_seconds_bucket{le=\"0.01\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\nkeyferry_webhook_review_duration_seconds_bucket{le=\"0.025\"} 10\n"));
}

TEST(WebhookMetricsTest, CountsQuestionsByHowTheyEnded) {
  struct Case {
    absl::Status ended;
    const char* outcome;
  };
  for (const Case& c :
       {Case{absl::OkStatus(), "answered"}, Case{absl::NotFoundError("github"), "not_found"},
        Case{absl::PermissionDeniedError("x"), "refused"}, Case{absl::UnauthenticatedError("x"), "refused"},
        Case{absl::InternalError("x"), "refused"}, Case{absl::UnavailableError("x"), "unanswered"},
        Case{absl::DeadlineExceededError("x"), "unanswered"}, Case{absl::CancelledError("x"), "unanswered"}}) {
    WebhookMetrics metrics;
    metrics.CountQuestion(WebhookMetrics::kBindings, c.ended);
    const std::string text = TextOf(metrics);
    EXPECT_THAT(text, HasSubstr(std::string("\nkeyferry_webhook_questions_total{question=\"bindings\",outcome=\"") +
                                c.outcome + "\"} 1\n"));
    EXPECT_THAT(text, HasSubstr("{question=\"definition\",outcome=\"answered\"} 0\n"));
    EXPECT_THAT(text, testing::Not(HasSubstr("github")));
  }
}

TEST(WebhookMetricsTest, TellsOfTheListenerAndItsCertificate) {
  WebhookMetrics metrics;
  metrics.SetCertificateEnd(absl::FromUnixSeconds(1800000000));
  const std::string text = TextOf(metrics, {/*connections=*/5, /*turned_away=*/6});
  EXPECT_THAT(text, HasSubstr("\nkeyferry_webhook_certificate_expiry_timestamp_seconds 1800000000\n"));
  EXPECT_THAT(text, HasSubstr("\nkeyferry_webhook_connections 5\n"));
  EXPECT_THAT(text, HasSubstr("\nkeyferry_webhook_requests_turned_away_total 6\n"));
}

}  // namespace
}  // namespace keyferry::injector::webhook
