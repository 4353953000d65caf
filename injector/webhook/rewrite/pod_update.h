#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_UPDATE_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_UPDATE_H_

#include "absl/status/status.h"
#include "injector/webhook/rewrite/pod_view.h"

namespace keyferry::injector::webhook {

// What may be done to a pod that runs. What it is decides, not what it is labelled: a label can be changed.

// Whether the pod has the agent's container.
bool HasAgent(const PodView& pod);

// A refusal if a debugging container would mount or use what the agent mounts, a session among it, or a Secret of
// that; or if it would share the processes of the agent, or of a container with credentials that no annotation allows
// to be debugged: those show their environment, and their root directory has the socket.
absl::Status CheckEphemeralContainers(const PodView& pod);

// A refusal if a pod with the agent would lose its label, without which the webhook no longer sees it, if one of
// Keyferry's annotations would be another, of which one decides about debugging, or if what was added would run another
// image.
absl::Status CheckUpdate(const PodView& before, const PodView& after);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_UPDATE_H_
