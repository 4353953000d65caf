#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_UPDATE_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_UPDATE_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "injector/webhook/rewrite/pod_view.h"

namespace keyferry::injector::webhook {

// What may be done to a pod that runs. What it is decides, not what it is labelled: a label can be changed.

// A refusal if a debugging container of `body` would mount or use what the agent of `pod` mounts, a session among it,
// or a Secret of that; or if it would share the processes of the agent, or of a container with credentials that no
// annotation allows to be debugged: those show their environment, and their root directory has the socket; or if it
// would reach all of these through the node while not every container with credentials may be debugged: where each may
// be, that is a warning, which is the answer. `pod` is the one that runs. Of the body only the debugging containers
// count: Kubernetes keeps nothing else of it, but only after this, so that it can say anything.
absl::StatusOr<std::vector<std::string>> CheckDebugging(const PodView& pod, const PodView& body);

// A refusal if a pod with the agent would lose its label, without which the webhook no longer sees it, if one of
// Keyferry's annotations would be another, of which one decides about debugging, or if what was added would run another
// image.
absl::Status CheckUpdate(const PodView& before, const PodView& after);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_UPDATE_H_
