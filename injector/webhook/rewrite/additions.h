#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADDITIONS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADDITIONS_H_

#include <vector>

#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/bounded_json.h"
#include "injector/webhook/rewrite/pod_view.h"
#include "injector/webhook/rewrite/rewrite_config.h"

namespace keyferry::injector::webhook {

// What a pod gets besides: containers and volumes that pass the `restricted` Pod Security Standard. A pod whose
// requests are its limits keeps that quality of service.

// The init container that puts the launcher onto its volume, and the native sidecar (an init container that is always
// restarted) with the agent, which ends when the pod's own containers have, also those of a Job.
std::vector<Json> AddedContainers(const PodView& pod, const PodWishes& wishes, const RewriteConfig& config);

// The launcher's, the identity's (a projected token and the CA), the agent's own and one for each chosen container's
// socket. All but the identity are in memory.
std::vector<Json> AddedVolumes(const PodWishes& wishes, const RewriteConfig& config);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADDITIONS_H_
