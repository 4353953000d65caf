#ifndef KEYFERRY_CLIENT_CLI_OAUTH_PROVIDER_PARTS_H_
#define KEYFERRY_CLIENT_CLI_OAUTH_PROVIDER_PARTS_H_

#include <string>

#include "client/cli/command.h"
#include "client/cli/context.h"
#include "keyferry/v1/oauth_providers.pb.h"

namespace keyferry::client::cli {

// What the commands about OAuth providers have in common.

// The full resource name of the provider that the argument ID names.
Outcome OauthProviderName(Context& context, const Arguments& arguments, std::string* name);
Outcome GetOauthProvider(Context& context, const std::string& name, v1::OauthProvider* provider);

// In a table, a part for each message of the definition.
void PrintOauthProvider(const Context& context, const v1::OauthProvider& provider);

// Says what has to be registered at the provider.
void NoteRegistration(const Context& context, const v1::OauthProvider& provider);
void NoteKeySet(const Context& context, const v1::OauthProvider& provider);
// Says of a client secret that was given that the client does not authenticate with it.
void NoteUnusedSecret(const Context& context, const v1::OauthProvider& provider);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_OAUTH_PROVIDER_PARTS_H_
