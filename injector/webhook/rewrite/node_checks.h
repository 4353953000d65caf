#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_NODE_CHECKS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_NODE_CHECKS_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "injector/webhook/rewrite/pod_view.h"

namespace keyferry::injector::webhook {

// A refusal if a volume is a part of the node in which the agent's identity, sockets or processes can be found: the
// kubelet's directory, the runtime's, or /proc.
absl::Status CheckHostPaths(const PodView& pod);

// How the container can look at the node or at other processes, "is privileged and ...": by being privileged, or by an
// added capability. Empty if it cannot.
std::vector<std::string> WaysToNode(const ContainerView& container);

// Of other directories of the node, and of what lets a container look at the node or at other processes.
std::vector<std::string> NodeWarnings(const PodView& pod);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_NODE_CHECKS_H_
