#include "injector/exec/expiry_notice.h"

#include <algorithm>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace keyferry::injector {

std::string ExpiryNotice(const ResolvedEnvironment& environment) {
  std::vector<absl::string_view> names;
  absl::Time first = absl::InfiniteFuture();
  for (const ResolvedValue& variable : environment.variables) {
    if (variable.refresh_time == absl::InfiniteFuture()) continue;
    names.push_back(variable.name);
    first = std::min(first, variable.refresh_time);
  }
  if (names.empty()) return "";
  const std::string when = absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", first, absl::UTCTimeZone());
  const std::string what = names.size() == 1 ? absl::StrCat(names[0], " expires at ", when)
                                             : absl::StrCat(absl::StrJoin(names, ", "), " expire, the first at ", when);
  return absl::StrCat(what, "; use --supervise so that the command moves to fresh values");
}

}  // namespace keyferry::injector
