#ifndef KEYFERRY_CLIENT_CLI_OAUTH_PROVIDER_UPDATE_H_
#define KEYFERRY_CLIENT_CLI_OAUTH_PROVIDER_UPDATE_H_

#include "client/cli/command.h"
#include "client/cli/context.h"

namespace keyferry::client::cli {

extern const char kUpdateOauthProviderHelp[];

// keyferry oauth-provider update. Asks first where connections would have to be made anew.
Outcome UpdateOauthProvider(Context& context, const Arguments& arguments);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_OAUTH_PROVIDER_UPDATE_H_
