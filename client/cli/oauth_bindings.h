#ifndef KEYFERRY_CLIENT_CLI_OAUTH_BINDINGS_H_
#define KEYFERRY_CLIENT_CLI_OAUTH_BINDINGS_H_

#include <string>
#include <vector>

#include "client/cli/context.h"

namespace keyferry::client::cli {

// A variable that an MCP server takes from an OAuth provider.
struct OauthVariable {
  // Resource name.
  std::string mcp_server;
  std::string variable;
  // Id.
  std::string provider;
};

// All of them in the MCP servers that the caller may see, the organization's and the teams'.
Outcome FindOauthVariables(Context& context, std::vector<OauthVariable>* variables);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_OAUTH_BINDINGS_H_
