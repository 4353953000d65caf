#ifndef KEYFERRY_SERVER_MCPSERVERS_DEFINITION_H_
#define KEYFERRY_SERVER_MCPSERVERS_DEFINITION_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/mcp_servers.pb.h"
#include "server/access/access.h"
#include "server/allowed_names.h"
#include "server/names.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// What stands for the resolved value in a binding's template.
inline constexpr absl::string_view kTemplatePlaceholder = "{value}";

// `{parent}/mcpServers/{id}` with a parent that can hold MCP servers and a well-formed id.
absl::StatusOr<ChildName> ParseMcpServerName(absl::string_view name, absl::string_view field);
// An org or team; INVALID_ARGUMENT naming `field` for anything else.
absl::StatusOr<ParentName> ParseMcpServerParent(absl::string_view name, absl::string_view field);

// What the access decision is asked about; `name` is the MCP server's, or the parent's for a list.
Resource McpServerResource(const ParentName& parent, std::string name);

storage::RecordKey McpServerKey(const ChildName& name);

// Everything about a definition that can be told without the store. INVALID_ARGUMENT names the field, e.g.
// "mcp_server.env[2].template"; no message holds a static value. An empty static value is accepted: see
// ApplyMcpServer.
absl::Status CheckMcpServer(const v1::McpServer& server);
// That the organization allows every variable and credential which a definition names and which changes how a process
// starts.
absl::Status CheckNamesAllowed(const v1::McpServer& server, AllowedNames* allowed);

// The public form: without static values, whose bindings keep their kind.
v1::McpServer ToMcpServer(const ChildName& name, const storage::records::McpServerRecord& record,
                          const v1::McpServer& definition);

std::string McpServerEtag(const storage::records::McpServerRecord& record);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_MCPSERVERS_DEFINITION_H_
