#ifndef KEYFERRY_CLIENT_CLI_CREDENTIAL_SCOPE_H_
#define KEYFERRY_CLIENT_CLI_CREDENTIAL_SCOPE_H_

#include <string>

#include "client/cli/command.h"
#include "client/cli/context.h"

namespace keyferry::client::cli {

// What the commands of credentials have in common.

// --team and --me, of which at most one may be given, and --grace.
Option CredentialTeamOption();
Option CredentialMeOption();
Option GraceOption();

// The resource name of the team or user that --team or --me names, or of the organization.
Outcome CredentialParent(Context& context, const Arguments& arguments, std::string* parent);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_CREDENTIAL_SCOPE_H_
