#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_INCOMPLETE_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_INCOMPLETE_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "injector/webhook/rewrite/annotations.h"
#include "injector/webhook/rewrite/refusal.h"

namespace keyferry::injector::webhook {

// The refusal of a pod that says that it was rewritten, and was not or was changed since.
inline absl::Status Incomplete(absl::string_view what, absl::string_view where) {
  return Refuse(
      absl::StrCat("the pod says that it was rewritten, but ", what), where,
      absl::StrCat("remove the annotation ", kInjectedAnnotation, " and all that was added, and create it anew"));
}

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_INCOMPLETE_H_
