#ifndef KEYFERRY_INJECTOR_WEBHOOK_ADMISSION_HANDLER_H_
#define KEYFERRY_INJECTOR_WEBHOOK_ADMISSION_HANDLER_H_

#include <functional>
#include <string>

#include "injector/webhook/https/http_exchange.h"
#include "injector/webhook/rewrite/admission_review.h"
#include "injector/webhook/rewrite/rewrite_config.h"

namespace keyferry::injector::webhook {

// POST /mutate answers an AdmissionReview, GET /healthz says "ok". `log` is given a line, printable and without a
// value, for each pod that is rewritten or refused. Thread-safe if `services` and `log` are.
HttpHandler MakeAdmissionHandler(RewriteConfig config, ReviewServices services,
                                 std::function<void(const std::string& line)> log);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_ADMISSION_HANDLER_H_
