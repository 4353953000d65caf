#include "server/mcpservers/definition.h"

#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/status_macros.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxCommandBytes = 4096;
constexpr int kMaxArgs = 256;
constexpr size_t kMaxArgsBytes = size_t{32} << 10;
constexpr int kMaxBindings = 256;
constexpr size_t kMaxTemplateBytes = 4096;
// Bounds what one value can grow to.
constexpr int kMaxPlaceholders = 4;

absl::Status CheckParentKind(const ParentName& parent, absl::string_view field) {
  if (parent.kind == ParentName::kOrg || parent.kind == ParentName::kTeam) return absl::OkStatus();
  return InvalidField(field, "cannot hold MCP servers", "Use `orgs/{org}` or `orgs/{org}/teams/{team}`.");
}

absl::Status CheckLaunch(const v1::McpServer& server) {
  switch (server.transport()) {
    case v1::MCP_TRANSPORT_STDIO:
      if (server.command().empty()) {
        return InvalidField("mcp_server.command", "required for STDIO", "Name the program to run.");
      }
      break;
    case v1::MCP_TRANSPORT_HTTP:
      break;
    default:
      return InvalidField("mcp_server.transport", "required", "Use MCP_TRANSPORT_STDIO or MCP_TRANSPORT_HTTP.");
  }
  RETURN_IF_ERROR(CheckText(server.command(), kMaxCommandBytes, "mcp_server.command"));
  if (server.args_size() > kMaxArgs) return InvalidField("mcp_server.args", "more than 256", "Use fewer arguments.");
  size_t bytes = 0;
  for (int i = 0; i < server.args_size(); ++i) {
    bytes += server.args(i).size();
    if (bytes > kMaxArgsBytes) return InvalidField("mcp_server.args", "longer than 32 KiB together", "Shorten them.");
    RETURN_IF_ERROR(CheckText(server.args(i), kMaxArgsBytes, absl::StrCat("mcp_server.args[", i, "]")));
  }
  return absl::OkStatus();
}

absl::Status CheckTemplate(absl::string_view text, const std::string& field) {
  if (text.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(CheckText(text, kMaxTemplateBytes, field));
  int placeholders = 0;
  for (size_t at = text.find(kTemplatePlaceholder); at != absl::string_view::npos;
       at = text.find(kTemplatePlaceholder, at + kTemplatePlaceholder.size())) {
    ++placeholders;
  }
  if (placeholders == 0) {
    return InvalidField(field, "does not contain `{value}`", "Put `{value}` where the resolved value belongs.");
  }
  if (placeholders > kMaxPlaceholders) {
    return InvalidField(field, "contains `{value}` more than 4 times", "Use it at most 4 times.");
  }
  return absl::OkStatus();
}

absl::Status CheckSource(const v1::EnvBinding& binding, const std::string& field) {
  switch (binding.source_case()) {
    case v1::EnvBinding::kStatic:
      return binding.static_().empty() ? absl::OkStatus() : CheckValue(binding.static_(), field + ".static");
    case v1::EnvBinding::kOrgSecret:
      return CheckVariableForm(binding.org_secret(), field + ".org_secret");
    case v1::EnvBinding::kTeamSecret:
      return CheckVariableForm(binding.team_secret(), field + ".team_secret");
    case v1::EnvBinding::kUserSecret:
      return CheckVariableForm(binding.user_secret(), field + ".user_secret");
    case v1::EnvBinding::kOauth:
      return CheckId(binding.oauth(), field + ".oauth");
    case v1::EnvBinding::SOURCE_NOT_SET:
      break;
  }
  return InvalidField(field, "has no source", "Set one of static, org_secret, team_secret, user_secret and oauth.");
}

}  // namespace

absl::StatusOr<ChildName> ParseMcpServerName(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(ChildName child, ParseChild(name, "mcpServers", field));
  RETURN_IF_ERROR(CheckParentKind(child.parent, field));
  RETURN_IF_ERROR(CheckId(child.id, field));
  return child;
}

absl::StatusOr<ParentName> ParseMcpServerParent(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(ParentName parent, ParseParent(name, field));
  RETURN_IF_ERROR(CheckParentKind(parent, field));
  return parent;
}

Resource McpServerResource(const ParentName& parent, std::string name) {
  Resource resource;
  resource.kind = parent.kind == ParentName::kTeam ? ResourceKind::kTeamMcpServer : ResourceKind::kOrgMcpServer;
  resource.org = parent.org;
  resource.team = parent.id;
  resource.name = std::move(name);
  return resource;
}

storage::RecordKey McpServerKey(const ChildName& name) {
  return {storage::Table::kMcpServer, name.parent.org, name.parent.RecordParent(), name.id};
}

absl::Status CheckMcpServer(const v1::McpServer& server) {
  RETURN_IF_ERROR(CheckLaunch(server));
  if (server.env_size() > kMaxBindings) return InvalidField("mcp_server.env", "more than 256", "Bind fewer variables.");
  absl::flat_hash_set<absl::string_view> seen;
  for (int i = 0; i < server.env_size(); ++i) {
    const v1::EnvBinding& binding = server.env(i);
    const std::string field = absl::StrCat("mcp_server.env[", i, "]");
    RETURN_IF_ERROR(CheckVariableForm(binding.variable(), field + ".variable"));
    if (!seen.insert(binding.variable()).second) {
      return InvalidField(field + ".variable", "bound twice", "Bind each variable once.");
    }
    RETURN_IF_ERROR(CheckSource(binding, field));
    RETURN_IF_ERROR(CheckTemplate(binding.template_(), field + ".template"));
  }
  return absl::OkStatus();
}

absl::Status CheckNamesAllowed(const v1::McpServer& server, AllowedNames* allowed) {
  for (int i = 0; i < server.env_size(); ++i) {
    const v1::EnvBinding& binding = server.env(i);
    const std::string field = absl::StrCat("mcp_server.env[", i, "]");
    RETURN_IF_ERROR(allowed->Check(binding.variable(), field + ".variable"));
    // Those of the other kinds are empty, which is allowed.
    RETURN_IF_ERROR(allowed->Check(binding.org_secret(), field + ".org_secret"));
    RETURN_IF_ERROR(allowed->Check(binding.team_secret(), field + ".team_secret"));
    RETURN_IF_ERROR(allowed->Check(binding.user_secret(), field + ".user_secret"));
  }
  return absl::OkStatus();
}

v1::McpServer ToMcpServer(const ChildName& name, const storage::records::McpServerRecord& record,
                          const v1::McpServer& definition) {
  v1::McpServer shown;
  shown.set_name(name.Name("mcpServers"));
  shown.set_transport(definition.transport());
  shown.set_command(definition.command());
  *shown.mutable_args() = definition.args();
  for (const v1::EnvBinding& binding : definition.env()) {
    v1::EnvBinding* copy = shown.add_env();
    if (binding.source_case() != v1::EnvBinding::kStatic) {
      *copy = binding;
      continue;
    }
    // Member by member, so that the value is not copied even for a moment.
    copy->set_variable(binding.variable());
    copy->set_static_("");
    copy->set_template_(binding.template_());
    copy->set_optional(binding.optional());
    copy->set_not_overridable(binding.not_overridable());
  }
  shown.set_etag(McpServerEtag(record));
  *shown.mutable_create_time() = TimestampFrom(record.create_time());
  shown.set_creator(record.creator());
  *shown.mutable_update_time() = TimestampFrom(record.update_time());
  shown.set_updater(record.updater());
  return shown;
}

std::string McpServerEtag(const storage::records::McpServerRecord& record) {
  return RecordEtag(record.incarnation(), record.change_count());
}

}  // namespace keyferry::server
