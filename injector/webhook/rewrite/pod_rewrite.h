#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_REWRITE_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_REWRITE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/bounded_json.h"
#include "injector/webhook/rewrite/launch_definition.h"
#include "injector/webhook/rewrite/rewrite_config.h"

namespace keyferry::injector::webhook {

struct PodRewrite {
  // A JSON Patch (RFC 6902) of the pod; empty if nothing is to be changed.
  Json patch = Json::array();
  std::vector<std::string> warnings;
  // Whose credentials the pod gets; empty if it is not labelled.
  std::vector<ChosenContainer> containers;
};

// Rewrites a pod, or the template of one, that is labelled `keyferry.dev/inject: "true"`, as docs/webhook.md says.
// Others are left alone, and so is one that was rewritten before. `definitions` may be null. Thread-safe.
//
// INVALID_ARGUMENT, "what: where; what to do": a labelled pod that cannot be rewritten, and must not run.
absl::StatusOr<PodRewrite> RewritePod(const Json& pod, const RewriteConfig& config,
                                      const DefinitionSource& definitions);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_POD_REWRITE_H_
