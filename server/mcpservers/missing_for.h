#ifndef KEYFERRY_SERVER_MCPSERVERS_MISSING_FOR_H_
#define KEYFERRY_SERVER_MCPSERVERS_MISSING_FOR_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "server/identity/caller.h"
#include "server/names.h"
#include "storage/store.h"

namespace keyferry::server {

// Which users would lack required credentials or connections of an MCP server at `now`, in order of user:
// ApplyMcpServerResponse.missing_for.
//
// Nothing depends on a personal credential of anybody but the caller: those of others are never looked at, so that the
// answer cannot tell whether they exist. Users whom the caller may not see are left out. Errors are the store's.
absl::StatusOr<std::vector<v1::MissingFor>> MissingForUsers(const storage::StoreView& view, const Caller& caller,
                                                            const ChildName& server, const v1::McpServer& definition,
                                                            absl::Time now);

// How a connection to the provider that is missing is listed: `oauthProviders/{provider}`.
std::string MissingConnectionName(absl::string_view provider);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_MCPSERVERS_MISSING_FOR_H_
