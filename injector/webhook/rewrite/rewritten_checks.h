#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_REWRITTEN_CHECKS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_REWRITTEN_CHECKS_H_

#include "absl/status/status.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/pod_view.h"
#include "injector/webhook/rewrite/rewrite_config.h"

namespace keyferry::injector::webhook {

// What must hold of a pod that says that it was rewritten, which anybody can write: a refusal if something is missing,
// a container mounts what is another's, or the agent or its installer is not what would be added now. What other
// webhooks add to these does not matter, as long as it changes neither what they run nor what they have: resources,
// variables and mounts elsewhere.
absl::Status CheckRewritten(const PodView& pod, const PodWishes& wishes, const RewriteConfig& config);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_REWRITTEN_CHECKS_H_
