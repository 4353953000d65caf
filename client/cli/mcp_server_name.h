#ifndef KEYFERRY_CLIENT_CLI_MCP_SERVER_NAME_H_
#define KEYFERRY_CLIENT_CLI_MCP_SERVER_NAME_H_

#include <string>

#include "client/cli/context.h"

namespace keyferry::client::cli {

// The resource name of an MCP server given as ID (the organization's, or `team`'s unless that is empty), TEAM/ID or a
// full resource name. kBadData for any other form.
Outcome McpServerName(Context& context, const std::string& text, const std::string& team, std::string* name);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_MCP_SERVER_NAME_H_
