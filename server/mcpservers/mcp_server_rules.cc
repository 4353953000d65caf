#include "server/mcpservers/mcp_server_rules.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/audit/call_record.h"
#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/mcpservers/definition.h"
#include "server/mcpservers/missing_for.h"
#include "server/oauth/connection_records.h"
#include "server/records.h"
#include "server/resolution/connection_state.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::StoreView;
using storage::Table;
using storage::Wiped;

constexpr int kMaxServersPerParent = 10000;
constexpr int kMaxAttempts = 100;
// With headroom below what the engine takes for one record.
constexpr size_t kMaxDefinitionBytes = size_t{768} << 10;

bool IsLostRace(const absl::Status& status) {
  v1::ErrorDetail detail;
  return absl::IsAborted(status) && !GetDetail(status, &detail);
}

bool IsParentSuspended(const Caller& caller, const ParentName& parent) {
  return parent.kind == ParentName::kTeam && IsTeamSuspended(caller.tier, parent.id);
}

// What is stored of the request: no output-only fields, and the stored static value where the request has an empty one
// for the same variable.
absl::Status FillDefinition(const v1::McpServer& wanted, const v1::McpServer* stored, v1::McpServer* definition) {
  definition->set_name(wanted.name());
  definition->set_transport(wanted.transport());
  definition->set_command(wanted.command());
  *definition->mutable_args() = wanted.args();
  *definition->mutable_env() = wanted.env();
  for (int i = 0; i < definition->env_size(); ++i) {
    v1::EnvBinding* binding = definition->mutable_env(i);
    if (binding->source_case() != v1::EnvBinding::kStatic || !binding->static_().empty()) continue;
    if (stored != nullptr) {
      for (const v1::EnvBinding& kept : stored->env()) {
        if (kept.variable() == binding->variable()) binding->set_static_(kept.static_());
      }
    }
    if (binding->static_().empty()) {
      return InvalidField(absl::StrCat("mcp_server.env[", i, "].static"), "empty, and no value is stored to keep",
                          "Send a value of 1 byte to 64 KiB.");
    }
  }
  if (definition->ByteSizeLong() > kMaxDefinitionBytes) {
    return InvalidField("mcp_server", "larger than 768 KiB with its static values", "Bind fewer or smaller values.");
  }
  return absl::OkStatus();
}

// Whether a connection to the provider can answer, whoever launches: for a binding that takes the organization's alone,
// that this is there; for others, that people can connect at all.
absl::StatusOr<bool> CanConnect(const StoreView& view, const std::string& org, const v1::EnvBinding& binding,
                                absl::Time now) {
  if (!binding.not_overridable()) return view.Contains(ProviderKey(org, binding.oauth()));
  ASSIGN_OR_RETURN(const FoundConnection found,
                   FindConnection(view, {ParentName::kOrg, org, ""}, binding.oauth(), now));
  return found.state == GrantState::kValid || found.state == GrantState::kEnded;
}

// The credential that answers if nobody overrides it, where there is such a one whoever launches.
absl::StatusOr<std::vector<std::string>> MissingCredentials(const StoreView& view, const ParentName& parent,
                                                            const v1::McpServer& definition, absl::Time now) {
  std::set<std::string> missing;
  for (const v1::EnvBinding& binding : definition.env()) {
    if (binding.source_case() == v1::EnvBinding::kOauth) {
      ASSIGN_OR_RETURN(const bool can_connect, CanConnect(view, parent.org, binding, now));
      if (!can_connect) missing.insert(MissingConnectionName(binding.oauth()));
      continue;
    }
    storage::RecordKey key = {Table::kCredential, parent.org, "", ""};
    if (binding.source_case() == v1::EnvBinding::kOrgSecret) {
      key.id = binding.org_secret();
    } else if (binding.source_case() == v1::EnvBinding::kTeamSecret && parent.kind == ParentName::kTeam) {
      key.parent = parent.RecordParent();
      key.id = binding.team_secret();
    } else {
      continue;
    }
    ASSIGN_OR_RETURN(const bool exists, view.Contains(key));
    if (!exists) missing.insert(key.id);
  }
  return std::vector<std::string>(missing.begin(), missing.end());
}

}  // namespace

McpServerRules::McpServerRules(storage::Store* store, Clock clock, const PageTokens* pages)
    : store_(store),
      clock_(std::move(clock)),
      pages_(pages),
      counts_(store, Table::kMcpServer, kMaxServersPerParent, "MCP servers") {}

absl::StatusOr<std::unique_ptr<McpServerRules::Found>> McpServerRules::Find(const StoreView& view,
                                                                            const ChildName& name) {
  ASSIGN_OR_RETURN(const auto stored, view.Get(McpServerKey(name)));
  if (!stored.has_value()) return std::unique_ptr<Found>();
  auto found = std::make_unique<Found>();
  found->revision = stored->revision;
  RETURN_IF_ERROR(storage::ParseSecretInto(stored->payload, *found->record));
  if (!found->definition->ParseFromString(found->record->definition())) {
    return absl::DataLossError("an MCP server's definition does not parse");
  }
  return found;
}

absl::StatusOr<v1::ApplyMcpServerResponse> McpServerRules::ApplyMcpServer(const Caller& caller,
                                                                          const v1::ApplyMcpServerRequest& request) {
  const v1::McpServer& wanted = request.mcp_server();
  ASSIGN_OR_RETURN(const ChildName name, ParseMcpServerName(wanted.name(), "mcp_server.name"));
  RETURN_IF_ERROR(CheckMcpServer(wanted));
  const Resource resource = McpServerResource(name.parent, wanted.name());
  RETURN_IF_ERROR(Authorize(caller, Action::kCreate, resource));
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, resource));
  if (IsParentSuspended(caller, name.parent)) return Suspended(wanted.name());
  absl::StatusOr<v1::ApplyMcpServerResponse> applied = ApplyOnce(caller, name, request);
  for (int i = 0; i < kMaxAttempts && IsLostRace(applied.status()); ++i) applied = ApplyOnce(caller, name, request);
  if (!applied.ok()) return FromStore(applied.status(), wanted.name());
  return applied;
}

absl::StatusOr<v1::ApplyMcpServerResponse> McpServerRules::ApplyOnce(const Caller& caller, const ChildName& name,
                                                                     const v1::ApplyMcpServerRequest& request) {
  const v1::McpServer& wanted = request.mcp_server();
  const std::unique_ptr<StoreView> view = store_->View();
  storage::Mutation mutation;
  if (name.parent.kind == ParentName::kTeam) {
    // A team that is being deleted must not leave an MCP server behind.
    storage::RecordKey team_key = {Table::kTeam, name.parent.org, "", name.parent.id};
    ASSIGN_OR_RETURN(const auto team, view->Get(team_key));
    if (!team.has_value()) return NotFound(name.parent.Name());
    mutation.Require(std::move(team_key), team->revision);
  }
  AllowedNames allowed(*view, name.parent.org);
  RETURN_IF_ERROR(CheckNamesAllowed(wanted, &allowed));
  ASSIGN_OR_RETURN(const std::unique_ptr<Found> found, Find(*view, name));
  const std::string current_etag = found == nullptr ? "" : McpServerEtag(*found->record);
  if (!wanted.etag().empty() && wanted.etag() != current_etag) return StaleEtag(wanted.name());

  Wiped<v1::McpServer> definition;
  RETURN_IF_ERROR(FillDefinition(wanted, found == nullptr ? nullptr : &*found->definition, &*definition));
  Wiped<records::McpServerRecord> record;
  record->set_parent(name.parent.RecordParent());
  record->set_id(name.id);
  const int64_t now = absl::ToUnixNanos(clock_());
  record->set_create_time(found == nullptr ? now : found->record->create_time());
  record->set_creator(found == nullptr ? caller.Name() : found->record->creator());
  record->set_update_time(found == nullptr ? now : std::max(now, found->record->update_time()));
  record->set_updater(caller.Name());
  record->set_incarnation(found == nullptr ? NewIncarnation() : found->record->incarnation());
  record->set_change_count(found == nullptr ? 1 : found->record->change_count() + 1);
  definition->SerializeToString(record->mutable_definition());

  v1::ApplyMcpServerResponse response;
  *response.mutable_mcp_server() = ToMcpServer(name, *record, *definition);
  response.set_created(found == nullptr);
  ASSIGN_OR_RETURN(const std::vector<std::string> missing,
                   MissingCredentials(*view, name.parent, *definition, clock_()));
  for (const std::string& id : missing) response.add_missing_credentials(id);
  ASSIGN_OR_RETURN(std::vector<v1::MissingFor> missing_for,
                   MissingForUsers(*view, caller, name, *definition, clock_()));
  for (v1::MissingFor& one : missing_for) *response.add_missing_for() = std::move(one);
  if (request.validate_only()) {
    // There is no such state to come back to.
    response.mutable_mcp_server()->set_etag(current_etag);
    return response;
  }
  mutation.Put(McpServerKey(name), storage::SerializeSecret(*record), static_cast<uint64_t>(record->change_count()),
               found == nullptr ? 0 : found->revision);
  RETURN_IF_ERROR(Commit(caller, name, /*created=*/found == nullptr, std::move(mutation)));
  return response;
}

absl::Status McpServerRules::Commit(const Caller& caller, const ChildName& name, bool created,
                                    storage::Mutation mutation) {
  const std::string parent = name.parent.RecordParent();
  if (created) RETURN_IF_ERROR(counts_.Take(name.parent.org, parent, name.parent.Name()));
  const absl::Status committed = CommitAudited(store_, caller, std::move(mutation)).status();
  if (created && !committed.ok()) counts_.GiveBack(name.parent.org, parent);
  return committed;
}

absl::StatusOr<google::protobuf::Empty> McpServerRules::DeleteMcpServer(const Caller& caller,
                                                                        const v1::DeleteMcpServerRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseMcpServerName(request.name(), "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kDelete, McpServerResource(name.parent, request.name())));
  absl::Status deleted = DeleteOnce(caller, name, request.etag());
  for (int i = 0; i < kMaxAttempts && IsLostRace(deleted); ++i) deleted = DeleteOnce(caller, name, request.etag());
  RETURN_IF_ERROR(FromStore(deleted, request.name()));
  counts_.GiveBack(name.parent.org, name.parent.RecordParent());
  return google::protobuf::Empty();
}

absl::Status McpServerRules::DeleteOnce(const Caller& caller, const ChildName& name, const std::string& etag) {
  const std::unique_ptr<StoreView> view = store_->View();
  ASSIGN_OR_RETURN(const std::unique_ptr<Found> found, Find(*view, name));
  if (found == nullptr) return NotFound(name.Name("mcpServers"));
  if (!etag.empty() && etag != McpServerEtag(*found->record)) return StaleEtag(name.Name("mcpServers"));
  storage::Mutation mutation;
  mutation.Delete(McpServerKey(name), found->revision);
  return CommitAudited(store_, caller, std::move(mutation)).status();
}

absl::StatusOr<v1::McpServer> McpServerRules::GetMcpServer(const Caller& caller,
                                                           const v1::GetMcpServerRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseMcpServerName(request.name(), "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, McpServerResource(name.parent, request.name())));
  const auto found = Find(*store_->View(), name);
  if (!found.ok()) return FromStore(found.status(), request.name());
  if (*found == nullptr) return NotFound(request.name());
  return ToMcpServer(name, *(*found)->record, *(*found)->definition);
}

absl::StatusOr<v1::ListMcpServersResponse> McpServerRules::ListMcpServers(
    const Caller& caller, const v1::ListMcpServersRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseMcpServerParent(request.parent(), "parent"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, McpServerResource(parent, request.parent())));
  const std::unique_ptr<StoreView> view = store_->View();
  if (parent.kind == ParentName::kTeam) {
    const auto exists = view->Contains({Table::kTeam, parent.org, "", parent.id});
    if (!exists.ok()) return FromStore(exists.status(), request.parent());
    if (!*exists) return NotFound(request.parent());
  }
  std::vector<std::string> ids;
  absl::Status decoded;
  const absl::Status scanned =
      view->Scan(Table::kMcpServer, parent.org, parent.RecordParent(), [&](storage::Record stored) {
        Wiped<records::McpServerRecord> record;
        decoded = storage::ParseSecretInto(stored.payload, *record);
        if (decoded.ok()) ids.push_back(record->id());
        return decoded.ok();
      });
  RETURN_IF_ERROR(FromStore(scanned, request.parent()));
  RETURN_IF_ERROR(FromStore(decoded, request.parent()));
  ASSIGN_OR_RETURN(const IdPage page, MakePage(*pages_, caller, "ListMcpServers", request.parent(), request.page_size(),
                                               request.page_token(), std::move(ids)));
  v1::ListMcpServersResponse response;
  for (const std::string& id : page.ids) {
    const ChildName name = {parent, id};
    const auto found = Find(*view, name);
    if (!found.ok()) return FromStore(found.status(), request.parent());
    if (*found != nullptr) *response.add_mcp_servers() = ToMcpServer(name, *(*found)->record, *(*found)->definition);
  }
  response.set_next_page_token(page.next_page_token);
  return response;
}

}  // namespace keyferry::server
