#ifndef KEYFERRY_CLIENT_MCP_SERVER_FILE_H_
#define KEYFERRY_CLIENT_MCP_SERVER_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/mcp_servers.pb.h"

namespace keyferry::client {

// One document of an MCP server file (SPEC 11).
struct McpServerDocument {
  std::string id;
  // The owning team, "" for the organization.
  std::string team;
  // All but `name`, which depends on the organization.
  v1::McpServer server;
};

// Reads a YAML text of one or more documents with the keys
//
//   id, team, transport (STDIO or HTTP), command, args,
//   env: a list of {name, one of static|orgSecret|teamSecret|userSecret|oauth, template, required, overridable}
//
// Required are `id`, `transport`, and in each binding `name` and exactly one source. Unknown keys, duplicate keys,
// duplicate variables, duplicate ids of one team, tags other than !!str and texts that are not UTF-8 are errors, as is
// a file with no document. Limits of length and the forms of names are the server's to check.
//
// Fails with INVALID_ARGUMENT, "FILE:LINE:COLUMN: what is wrong", where both count from 1; never repeats a value.
absl::StatusOr<std::vector<McpServerDocument>> ParseMcpServerFile(absl::string_view text, absl::string_view file_name);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_MCP_SERVER_FILE_H_
