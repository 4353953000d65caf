#include "injector/webhook/rewrite/paths.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace keyferry::injector::webhook {

std::string CleanPath(absl::string_view path) {
  std::vector<absl::string_view> parts;
  for (const absl::string_view part : absl::StrSplit(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      parts.push_back(part);
    } else if (!parts.empty()) {
      parts.pop_back();
    }
  }
  return absl::StrCat("/", absl::StrJoin(parts, "/"));
}

bool PathsOverlap(absl::string_view a, absl::string_view b) {
  std::string outer = CleanPath(a), inner = CleanPath(b);
  if (outer.size() > inner.size()) std::swap(outer, inner);
  return outer == "/" || outer == inner || absl::StartsWith(inner, outer + "/");
}

}  // namespace keyferry::injector::webhook
