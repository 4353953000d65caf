#include "client/cli/connection_scope.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyferry::client::cli {

std::vector<Option> ConnectionScopeOptions() {
  return {{"--me", ValueKind::kFlag, "", "Your own connection (the default)"},
          {"--team", ValueKind::kText, "ID", "The team's connection"},
          {"--org-wide", ValueKind::kFlag, "", "The organization's connection"}};
}

const std::vector<std::vector<std::string>>& ConnectionScopesExclude() {
  static const auto* const kSets = new std::vector<std::vector<std::string>>{{"--me", "--team", "--org-wide"}};
  return *kSets;
}

Outcome ConnectionParent(Context& context, const Arguments& arguments, std::string* parent) {
  if (arguments.Has("--org-wide")) return context.Org(parent);
  if (arguments.Has("--team")) return context.ResourceName("teams", arguments.Text("--team"), parent);
  return context.CallingUser(parent);
}

Outcome ConnectionName(Context& context, const Arguments& arguments, std::string* name) {
  const std::string& id = arguments.Text("PROVIDER");
  if (absl::StartsWith(id, "orgs/") && absl::StrContains(id, "/connections/")) {
    *name = id;
    return std::nullopt;
  }
  if (id.empty() || absl::StrContains(id, "/")) {
    return BadData(absl::StrCat("not a provider: ", id.empty() ? "(empty)" : id,
                                "; give the provider's id or a connection's full resource name"));
  }
  std::string parent;
  KEYFERRY_RETURN_IF_FAILED(ConnectionParent(context, arguments, &parent));
  *name = absl::StrCat(parent, "/connections/", id);
  return std::nullopt;
}

std::string ProviderIdOf(const std::string& connection) { return connection.substr(connection.rfind('/') + 1); }

Option VariableOption(const std::string& help) {
  Option option = {"--var", ValueKind::kText, "NAME=VALUE", help};
  option.repeated = true;
  return option;
}

}  // namespace keyferry::client::cli
