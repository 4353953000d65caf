#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADMISSION_REVIEW_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADMISSION_REVIEW_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/launch_definition.h"
#include "injector/webhook/rewrite/rewrite_config.h"

namespace keyferry::injector::webhook {

// Says which variables of the containers would have no value, one line each, never with a value. Asked for a dry run.
using BindingCheck = std::function<std::vector<std::string>(const std::vector<ChosenContainer>& containers)>;

struct ReviewServices {
  // Both may be null.
  DefinitionSource definitions;
  BindingCheck check;
};

struct ReviewOutcome {
  // An AdmissionReview with the response, JSON.
  std::string response;
  enum Kind { kUntouched, kRewritten, kRefused } kind = kUntouched;
  // "NAMESPACE/NAME" as far as they are known, and why it was refused; for the log.
  std::string pod;
  std::string why;
};

// Answers an AdmissionReview of admission.k8s.io/v1. Pods that are created are rewritten or, if that cannot be, refused
// with a message; a pod that has the agent keeps its label, its annotations and the agent's image, and debugging
// containers that are added to it may reach neither the agent nor, unless it allows that, credentials (with a warning
// if by the node); an update without the pod before it is refused; all else is allowed as it is. Thread-safe.
//
// INVALID_ARGUMENT if it is no such review: Kubernetes then does what the webhook's failurePolicy says.
absl::StatusOr<ReviewOutcome> AnswerReview(absl::string_view review, const RewriteConfig& config,
                                           const ReviewServices& services);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_ADMISSION_REVIEW_H_
