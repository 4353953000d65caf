#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_CONTAINER_WRAP_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_CONTAINER_WRAP_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/json_patch.h"
#include "injector/webhook/rewrite/launch_definition.h"
#include "injector/webhook/rewrite/pod_view.h"

namespace keyferry::injector::webhook {

// Changes a chosen container: its command, and if wanted those of its exec probes and hooks, are wrapped by the
// launcher, and it mounts the launcher and its socket, both read-only. Its `args` stay, since they follow the command,
// and so do its securityContext, environment and all else.
//
// A container without a command would run its image's entrypoint, which nobody here knows: the command is that of
// `definition`, and it is refused if that is null or an error.
absl::Status WrapContainer(const ContainerView& container, const ChosenContainer& chosen,
                           const absl::StatusOr<LaunchDefinition>* definition, JsonPatch* patch);

// Whether a container has no command of its own.
bool NeedsDefinition(const ContainerView& container);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_CONTAINER_WRAP_H_
