#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_SESSION_CHECKS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_SESSION_CHECKS_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "injector/webhook/rewrite/pod_view.h"

namespace keyferry::injector::webhook {

// A refusal if the volume with a session is not the pod's own, or if what is in it can be had by another than the
// agent: by a mount or a device, by another volume of the same Secret or claim, or by a variable.
absl::Status CheckSession(const PodView& pod, const std::string& volume);

// The Secrets and claims, "Secret NAME", that the volumes of these names show.
std::set<std::string> SourcesOf(const PodView& pod, const std::set<std::string>& volumes);

// A refusal if a variable of the container is from one of these sources.
absl::Status CheckNoVariableFrom(const std::set<std::string>& sources, const ContainerView& container);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_SESSION_CHECKS_H_
