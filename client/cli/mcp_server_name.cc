#include "client/cli/mcp_server_name.h"

#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace keyferry::client::cli {

Outcome McpServerName(Context& context, const std::string& text, const std::string& team, std::string* name) {
  if (absl::StartsWith(text, "orgs/")) {
    *name = text;
    return std::nullopt;
  }
  std::vector<std::string> segments = absl::StrSplit(text, '/');
  if (segments.size() == 1 && !team.empty()) segments = {team, text};
  const bool empty = segments.front().empty() || segments.back().empty();
  if (empty || segments.size() > 2 || (segments.size() == 2 && !team.empty() && segments[0] != team)) {
    return BadData(absl::StrCat("not an MCP server: ", text.empty() ? "(empty)" : text,
                                "; give ID, TEAM/ID or a full resource name"));
  }
  if (segments.size() == 1) return context.ResourceName("mcpServers", text, name);
  std::string parent;
  KEYFERRY_RETURN_IF_FAILED(context.ResourceName("teams", segments[0], &parent));
  *name = absl::StrCat(parent, "/mcpServers/", segments[1]);
  return std::nullopt;
}

}  // namespace keyferry::client::cli
