#ifndef KEYFERRY_CLIENT_CLI_HELD_WARNING_H_
#define KEYFERRY_CLIENT_CLI_HELD_WARNING_H_

#include <string>

#include "client/cli/context.h"

namespace keyferry::client::cli {

// What stands before the question whether to delete a credential or end a connection: on standard error, which MCP
// servers bind it and which processes run with it now, as far as the caller may see. Says nothing where that cannot be
// had; the question is asked all the same.
void WarnOfHolders(Context& context, const std::string& name);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_HELD_WARNING_H_
