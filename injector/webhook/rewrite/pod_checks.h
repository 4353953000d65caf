#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_CHECKS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_CHECKS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/pod_view.h"
#include "injector/webhook/rewrite/rewrite_config.h"

namespace keyferry::injector::webhook {

// What must hold of a labelled pod, rewritten or not: a refusal if the agent could not keep what it holds from the
// other containers (a shared process namespace, the node's own directories, a second token for keyferryd, a session
// that others mount), if the pod is for Windows, or if a chosen container is given an identity of its own.
absl::Status CheckPod(const PodView& pod, const PodWishes& wishes, const RewriteConfig& config);

// What must hold before a pod is rewritten: a refusal if a container, a volume, a mount or a command of it is in the
// way of what is added. In particular no container may mount a volume that is only going to be there.
absl::Status CheckNoConflict(const PodView& pod, const PodWishes& wishes);

// For the person who makes the pod; they do not keep it from being rewritten.
std::vector<std::string> PodWarnings(const PodView& pod, const PodWishes& wishes);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_CHECKS_H_
