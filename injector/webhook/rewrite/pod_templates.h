#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_TEMPLATES_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_TEMPLATES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "injector/webhook/rewrite/bounded_json.h"

namespace keyferry::injector::webhook {

// JSON Pointers (RFC 6901) to the pods that an object of Kubernetes makes: "" for a Pod, "/spec/template" for a
// Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController or Job, that of its Job for a CronJob, and
// those of the items of a List. None for other kinds, and none that is not there.
std::vector<std::string> PodTemplates(const Json& object);

// JSON Pointers to the objects of other kinds (a custom resource such as Argo's Rollout) whose spec.template is
// labelled for the rewrite, as that of a Deployment would be: "" for the object itself, or items of a List.
std::vector<std::string> UnknownLabelled(const Json& object);

// A refusal if a claim template of the StatefulSet with that template of a pod has the name of a volume that is added:
// Kubernetes gives its pods the claim in that volume's place. `pod_pointer` is one of PodTemplates.
absl::Status CheckClaimTemplates(const Json& object, const std::string& pod_pointer);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_TEMPLATES_H_
