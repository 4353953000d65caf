#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_RESOURCE_FIT_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_RESOURCE_FIT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace keyferry::injector::webhook {

// Kubernetes refuses a container that requests more than its limit. Quantities are those that setting_forms.h takes; ""
// is none, which fits anything.

// Whether a container may not have both.
bool IsAbove(absl::string_view request, absl::string_view limit);

// Sets what is given. Where only one of the two is, the other one becomes the same if they would not fit. False, with
// nothing set, if both are given and do not fit.
[[nodiscard]] bool SetRequestAndLimit(const std::optional<std::string>& given_request,
                                      const std::optional<std::string>& given_limit, std::string* request,
                                      std::string* limit);

// "the request 500m is above the limit 200m"; what to do about it.
std::string AboveProblem(absl::string_view request, absl::string_view limit);
inline constexpr char kAboveTodo[] = "lower the request, or raise the limit";

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_RESOURCE_FIT_H_
