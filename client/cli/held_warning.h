#ifndef KEYFERRY_CLIENT_CLI_HELD_WARNING_H_
#define KEYFERRY_CLIENT_CLI_HELD_WARNING_H_

#include <string>
#include <vector>

#include "client/cli/context.h"

namespace keyferry::client::cli {

// Who is affected by a change, said on standard error before it is made, as far as the caller may see. All say nothing
// where that cannot be had, or nobody is: the change is made all the same.

// What stands before the question whether to delete a credential or end a connection: which MCP servers bind it and
// which processes run with it now.
void WarnOfHolders(Context& context, const std::string& name);
// Where nothing is asked: the MCP servers, and how many processes.
void NoteHolders(Context& context, const std::string& name);
// Of many credentials of the organization, by their resource names: how many processes that the caller may see run with
// any of them, and of which MCP servers these are.
void NoteHoldersOfAny(Context& context, const std::vector<std::string>& names);

}  // namespace keyferry::client::cli

#endif  // KEYFERRY_CLIENT_CLI_HELD_WARNING_H_
