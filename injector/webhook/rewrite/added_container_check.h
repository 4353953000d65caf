#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADDED_CONTAINER_CHECK_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADDED_CONTAINER_CHECK_H_

#include "absl/status/status.h"
#include "injector/webhook/rewrite/bounded_json.h"
#include "injector/webhook/rewrite/pod_view.h"
#include "injector/webhook/rewrite/rewrite_config.h"

namespace keyferry::injector::webhook {

// A refusal if a container of a rewritten pod does not do what `expected`, which would be added now, does: its image is
// not the expected or another allowed one, its command, restartPolicy or the commands of its probes differ, a variable
// or a mount is missing, a mount or a variable more could change its program, or it has hooks or rights of its own.
absl::Status CheckAddedContainer(const ContainerView& container, const Json& expected, const RewriteConfig& config);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADDED_CONTAINER_CHECK_H_
