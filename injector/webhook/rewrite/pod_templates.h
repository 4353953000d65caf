#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_TEMPLATES_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_TEMPLATES_H_

#include <string>
#include <vector>

#include "injector/webhook/rewrite/bounded_json.h"

namespace keyferry::injector::webhook {

// JSON Pointers (RFC 6901) to the pods that an object of Kubernetes makes: "" for a Pod, "/spec/template" for a
// Deployment, ReplicaSet, StatefulSet, DaemonSet, ReplicationController or Job, that of its Job for a CronJob, and
// those of the items of a List. None for other kinds, and none that is not there.
std::vector<std::string> PodTemplates(const Json& object);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_TEMPLATES_H_
