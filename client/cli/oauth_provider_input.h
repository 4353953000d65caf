#ifndef KEYFERRY_CLIENT_CLI_OAUTH_PROVIDER_INPUT_H_
#define KEYFERRY_CLIENT_CLI_OAUTH_PROVIDER_INPUT_H_

#include <string>
#include <vector>

#include "client/cli/command.h"
#include "client/cli/context.h"
#include "keyferry/v1/oauth_providers.pb.h"

namespace keyferry::client::cli {

// How the command line says what an OAuth provider is.

// --from, --file, --issuer and --resource, of which at most one may be given, and what goes on top of it.
std::vector<Option> OauthProviderOptions();
const std::vector<std::vector<std::string>>& OauthProviderOptionsExclude();

// The definition that --from or --file names, as it stands; nothing if neither is given. kBadData if it cannot be read
// or is wrong.
Outcome ReadDefinition(const Context& context, const Arguments& arguments, v1::OauthProvider* provider);

// Puts --display-name, --client-id, --issuer, --resource, --scope and --var on top of a definition. kBadData for a
// variable that the definition does not have.
Outcome ApplyOptions(const Arguments& arguments, v1::OauthProvider* provider);

// Reads --client-secret-file, --certificate-key-file and --registration-token-file into the provider's client. With
// `ask_for_client_secret` a client secret that no option names is asked for where the client authenticates with one: on
// standard input, or hidden on a terminal. WipeSecrets when it was sent.
Outcome ReadSecrets(const Context& context, const Arguments& arguments, bool ask_for_client_secret,
                    v1::OauthProvider* provider);
void WipeSecrets(v1::OauthProvider* provider);

// Whether the client may authenticate with a client secret of its own.
bool UsesClientSecret(const v1::OauthClient& client);

// The update mask (paths of at most two segments) of everything that a definition in a file says: all but secrets, and
// a client id or certificate only if it gives one.
std::vector<std::string> DefinitionPaths(const v1::OauthProvider& provider);

// Keeps what the organization has chosen itself where a newer definition is put on a stored one: values of URL
// variables and, with `scopes`, the scopes.
void KeepChoices(const v1::OauthProvider& stored, bool scopes, v1::OauthProvider* provider);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_OAUTH_PROVIDER_INPUT_H_
