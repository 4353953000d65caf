#ifndef KEYFERRY_CLIENT_CLI_CREDENTIAL_NAME_H_
#define KEYFERRY_CLIENT_CLI_CREDENTIAL_NAME_H_

#include <string>

#include "client/cli/context.h"

namespace keyferry::client::cli {

// The resource name of the credential that NAME with --team, --me or neither means; NAME may be a full resource name.
// kBadData for any other form.
Outcome CredentialName(Context& context, const Arguments& arguments, std::string* name);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_CREDENTIAL_NAME_H_
