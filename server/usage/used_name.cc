#include "server/usage/used_name.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/names.h"
#include "server/status_macros.h"

namespace keyferry::server {

std::string UsedName(absl::string_view org, const UsedCredential& used) {
  return absl::StrCat("orgs/", org, used.parent.empty() ? "" : "/", used.parent,
                      used.connection ? "/connections/" : "/credentials/", used.id);
}

absl::StatusOr<UsedCredential> ParseUsedName(absl::string_view name) {
  // No id holds a slash, so the collection is what stands before the last one.
  const absl::string_view before = name.substr(0, name.rfind('/'));
  UsedCredential used;
  used.connection = absl::EndsWith(before, "/connections");
  ASSIGN_OR_RETURN(ChildName child, ParseChild(name, used.connection ? "connections" : "credentials", "credential"));
  used.parent = child.parent.RecordParent();
  used.id = std::move(child.id);
  return used;
}

}  // namespace keyferry::server
