#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_NEAREST_NAME_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_NEAREST_NAME_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace keyferry::injector::webhook {

// The name that `text` is a misspelling of, by at most three edits and less than half of it; "" if there is none.
std::string NearestName(absl::string_view text, const std::vector<std::string>& names);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_NEAREST_NAME_H_
