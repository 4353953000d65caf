#ifndef KEYFERRY_INJECTOR_WEBHOOK_WEBHOOK_COMMAND_H_
#define KEYFERRY_INJECTOR_WEBHOOK_WEBHOOK_COMMAND_H_

#include "injector/exec/failure.h"
#include "injector/webhook/webhook_options.h"

namespace keyferry::injector::webhook {

// `webhook`: serves until SIGTERM or SIGINT. Answers what to exit with and what to say before that. Prints
// "webhook ready address=IP:PORT" to standard output once it listens, and " metrics=IP:PORT" where that is served. Call
// from the main thread, before any other was started.
Failure RunWebhook(const WebhookOptions& options);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_WEBHOOK_COMMAND_H_
