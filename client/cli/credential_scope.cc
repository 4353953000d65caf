#include "client/cli/credential_scope.h"

namespace keyferry::client::cli {

Option CredentialTeamOption() {
  return {"--team", ValueKind::kText, "ID", "The team's credential (default: the organization's)"};
}

Option CredentialMeOption() { return {"--me", ValueKind::kFlag, "", "Your own credential"}; }

Option GraceOption() {
  return {"--grace", ValueKind::kDuration, "DURATION",
          "How long the previous version stays for rollback, 0 for not at all (default: 24h)"};
}

Outcome CredentialParent(Context& context, const Arguments& arguments, std::string* parent) {
  if (arguments.Has("--me")) return context.CallingUser(parent);
  if (arguments.Has("--team")) return context.ResourceName("teams", arguments.Text("--team"), parent);
  return context.Org(parent);
}

}  // namespace keyferry::client::cli
