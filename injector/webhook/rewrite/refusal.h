#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_REFUSAL_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_REFUSAL_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace keyferry::injector::webhook {

// Why a pod is not rewritten: "what: where; what to do", INVALID_ARGUMENT. `where` is a field's path or an annotation.
inline absl::Status Refuse(absl::string_view what, absl::string_view where, absl::string_view todo) {
  return absl::InvalidArgumentError(absl::StrCat(what, ": ", where, "; ", todo));
}

}  // namespace keyferry::injector::webhook

#define KEYFERRY_RETURN_IF_REFUSED(expression)                              \
  do {                                                                      \
    if (absl::Status status_ = (expression); !status_.ok()) return status_; \
  } while (false)

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_REFUSAL_H_
