#ifndef KEYFERRY_INJECTOR_WEBHOOK_REWRITE_PATHS_H_
#define KEYFERRY_INJECTOR_WEBHOOK_REWRITE_PATHS_H_

#include <string>

#include "absl/strings/string_view.h"

namespace keyferry::injector::webhook {

// The absolute path without "//", "/./" and "..", as a kernel without symbolic links would take it; a relative one
// begins at "/", as Kubernetes mounts it. Never ends in "/", but for the root's.
std::string CleanPath(absl::string_view path);

// Whether one path, cleaned, is the other or lies in it.
bool PathsOverlap(absl::string_view a, absl::string_view b);

}  // namespace keyferry::injector::webhook

#endif  // KEYFERRY_INJECTOR_WEBHOOK_REWRITE_PATHS_H_
