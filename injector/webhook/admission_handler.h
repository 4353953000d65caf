#ifndef KEYFERRY_INJECTOR_WEBHOOK_ADMISSION_HANDLER_H_
#define KEYFERRY_INJECTOR_WEBHOOK_ADMISSION_HANDLER_H_

#include <functional>
#include <string>

#include "absl/time/time.h"
#include "injector/webhook/https/http_exchange.h"
#include "injector/webhook/rewrite/admission_review.h"
#include "injector/webhook/rewrite/rewrite_config.h"
#include "injector/webhook/webhook_metrics.h"

namespace keyferry::injector::webhook {

// What one review may ask; all of it is answered by `deadline`, or not at all.
using ServicesUntil = std::function<ReviewServices(absl::Time deadline)>;

// POST /mutate answers an AdmissionReview, GET /healthz says "ok". Of the time that Kubernetes waits (the request's
// `timeout`) a review's questions may take half, and never more than 4 seconds from when it was received. `log` is
// given a line, printable and without a value, for each pod that is rewritten or refused; each review is counted in
// `metrics`, which outlives the handler. Thread-safe if `services`, what it answers and `log` are.
HttpHandler MakeAdmissionHandler(RewriteConfig config, ServicesUntil services,
                                 std::function<void(const std::string& line)> log, WebhookMetrics* metrics);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_ADMISSION_HANDLER_H_
