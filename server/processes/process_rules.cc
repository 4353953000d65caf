#include "server/processes/process_rules.h"

#include <algorithm>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "server/access/access.h"
#include "server/audit/call_record.h"
#include "server/credentials/conversion.h"
#include "server/errors.h"
#include "server/mcpservers/definition.h"
#include "server/records.h"
#include "server/resolution/server_cache.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr int kMaxRolloutProcesses = 1000;

absl::Time FromTimestamp(const google::protobuf::Timestamp& timestamp) {
  return absl::FromUnixSeconds(timestamp.seconds()) + absl::Nanoseconds(timestamp.nanos());
}

google::protobuf::Timestamp ToTimestamp(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t nanos = absl::ToUnixNanos(time);
  timestamp.set_seconds(nanos / 1'000'000'000);
  timestamp.set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  return timestamp;
}

bool MaySee(const Caller& caller, const Resource& resource) {
  return Decide(caller, Action::kSee, resource) == Decision::kAllow;
}

bool IsConnectionName(absl::string_view name) {
  return absl::EndsWith(name.substr(0, name.rfind('/')), "/connections");
}

// Of a credential or a connection: whoever may see the one in a scope may see the other.
absl::StatusOr<ChildName> ParseHeldName(absl::string_view name, absl::string_view field) {
  if (!IsConnectionName(name)) return ParseCredentialName(name, field);
  ASSIGN_OR_RETURN(ChildName child, ParseChild(name, "connections", field));
  ASSIGN_OR_RETURN(child.parent, ParseCredentialParent(child.parent.Name(), field));
  RETURN_IF_ERROR(CheckId(child.id, field));
  return child;
}

// Null if `name` is no MCP server that the caller may see.
std::optional<ChildName> VisibleServer(const Caller& caller, const std::string& name) {
  const absl::StatusOr<ChildName> server = ParseMcpServerName(name, "mcp_server");
  if (!server.ok() || !MaySee(caller, McpServerResource(server->parent, name))) return std::nullopt;
  return *server;
}

// `owner` is the MCP server's.
bool MaySeePrincipal(const Caller& caller, const ParentName& owner, const std::string& name) {
  const absl::StatusOr<ParentName> person = ParseParent(name, "principal");
  if (!person.ok()) return false;
  if (person->kind != ParentName::kUser) {
    return MaySee(caller, {ResourceKind::kWorkload, person->org, "", "", name});
  }
  // Who launches a team's MCP server is a member, whom those who see the team see too.
  return owner.kind == ParentName::kTeam || MaySee(caller, {ResourceKind::kUser, person->org, "", person->id, name});
}

// The process as the caller may see it.
v1::Process Shown(const Caller& caller, const ParentName& owner, const LiveProcess& live) {
  v1::Process process = *live.process;
  *process.mutable_lease_expire_time() = ToTimestamp(live.lease_expire_time);
  process.set_watching(live.watching);
  auto* held = process.mutable_credentials();
  held->erase(std::remove_if(held->begin(), held->end(),
                             [&](const v1::HeldCredential& one) {
                               const auto name = ParseHeldName(one.credential(), "credential");
                               return !name.ok() || !MaySee(caller, CredentialResource(name->parent, one.credential()));
                             }),
              held->end());
  if (!MaySeePrincipal(caller, owner, process.principal())) process.clear_principal();
  if (!MaySeePrincipal(caller, owner, process.user())) {
    process.clear_user();
    process.clear_session();
  }
  return process;
}

// Processes of an organization that was deleted say nothing of the next one of the same name.
absl::StatusOr<absl::Time> OrgSince(const storage::StoreView& view, const std::string& org) {
  ASSIGN_OR_RETURN(const auto found, ReadRecord<records::OrgRecord>(view, {Table::kOrg, "", "", org}));
  if (!found.has_value()) return absl::NotFoundError(org);
  return absl::FromUnixNanos(found->record.create_time());
}

void DropBefore(absl::Time since, std::vector<LiveProcess>* processes) {
  processes->erase(
      std::remove_if(processes->begin(), processes->end(),
                     [&](const LiveProcess& live) { return FromTimestamp(live.process->start_time()) < since; }),
      processes->end());
}

// Of a record's resource name `orgs/{org}/processes/{process}`, where the last is a process id, a dot and a hash.
absl::StatusOr<std::string> OrgOfProcess(const std::string& name) {
  constexpr size_t kMaxIdBytes = 80;
  ASSIGN_OR_RETURN(const ChildName process, ParseChild(name, "processes", "name"));
  const std::string& id = process.id;
  const auto fits = [](unsigned char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c); };
  const bool well_formed = std::all_of(id.begin(), id.end(), [&](char c) { return fits(c) || c == '-' || c == '.'; }) &&
                           !id.empty() && id.size() <= kMaxIdBytes && fits(id.back());
  if (process.parent.kind == ParentName::kOrg && well_formed) return process.parent.org;
  return InvalidField("name", "not a process", "Use the name that ResolveResponse.process gave.");
}

absl::Status NotSent(const std::string& name) {
  v1::ErrorDetail detail;
  detail.set_reason("REVISION_NOT_SENT");
  detail.set_resource(name);
  detail.set_next_step("Confirm a revision that this process's watch was sent, none before one that is confirmed.");
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   name + ": no environment of this revision waits to be confirmed", detail);
}

// Whether a credential of `scope` can be what a binding of an MCP server of `owner` resolves to.
bool CanAnswer(const Binding& binding, const ParentName& owner, const ParentName& scope) {
  Session session;
  session.org = owner.org;
  if (scope.kind == ParentName::kUser) session.user = scope.id;
  if (owner.kind == ParentName::kTeam) {
    session.team = owner.id;
  } else if (scope.kind == ParentName::kTeam) {
    session.team = scope.id;
  }
  if (scope.kind == ParentName::kTeam && session.team != scope.id) return false;
  for (const Step& step : MakePlan(binding, session)) {
    if (step.scope == scope.kind && step.state == StepState::kApplicable) return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<v1::ListProcessesResponse> ProcessRules::ListProcesses(const Caller& caller,
                                                                      const v1::ListProcessesRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseParent(request.parent(), "parent"));
  if (parent.kind != ParentName::kOrg) return InvalidField("parent", "not an organization", "Use `orgs/{org}`.");
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, {ResourceKind::kOrg, parent.org, "", "", request.parent()}));
  const std::unique_ptr<storage::StoreView> view = store_->View();
  if (!request.mcp_server().empty()) {
    ASSIGN_OR_RETURN(const ChildName server, ParseMcpServerName(request.mcp_server(), "mcp_server"));
    if (server.parent.org != parent.org) {
      return InvalidField("mcp_server", "not of the parent organization", "Name one of it, or leave it empty.");
    }
    RETURN_IF_ERROR(Authorize(caller, Action::kSee, McpServerResource(server.parent, request.mcp_server())));
    const auto exists = view->Contains(McpServerKey(server));
    if (!exists.ok()) return FromStore(exists.status(), request.mcp_server());
    if (!*exists) return NotFound(request.mcp_server());
  }
  const auto since = OrgSince(*view, parent.org);
  if (!since.ok()) return FromStore(since.status(), request.parent());
  std::vector<LiveProcess> live = processes_->List(parent.org, request.mcp_server(), clock_());
  DropBefore(*since, &live);
  std::map<std::string, std::pair<const LiveProcess*, ParentName>> visible;
  std::vector<std::string> ids;
  for (const LiveProcess& one : live) {
    const auto server = VisibleServer(caller, one.process->mcp_server());
    if (!server.has_value()) continue;
    ids.push_back(one.process->name());
    visible[one.process->name()] = {&one, server->parent};
  }
  ASSIGN_OR_RETURN(const IdPage page,
                   MakePage(*pages_, caller, "ListProcesses", request.parent() + "\n" + request.mcp_server(),
                            request.page_size(), request.page_token(), std::move(ids)));
  v1::ListProcessesResponse response;
  for (const std::string& id : page.ids) {
    const auto& [one, owner] = visible.at(id);
    *response.add_processes() = Shown(caller, owner, *one);
  }
  response.set_next_page_token(page.next_page_token);
  return response;
}

absl::StatusOr<ProcessRules::Held> ProcessRules::FindHeld(const storage::StoreView& view, const Caller& caller,
                                                          const std::string& name) const {
  Held held;
  held.connection = IsConnectionName(name);
  ASSIGN_OR_RETURN(held.name, ParseHeldName(name, "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, CredentialResource(held.name.parent, name)));
  const auto found = [&](const auto& stored) -> absl::Status {
    if (!stored.ok()) return FromStore(stored.status(), name);
    if (!stored->has_value()) return NotFound(name);
    held.version = (*stored)->record.version();
    held.create_time = (*stored)->record.create_time();
    return absl::OkStatus();
  };
  if (held.connection) {
    RETURN_IF_ERROR(found(ReadRecord<records::ConnectionRecord>(view, CredentialKey(Table::kConnection, held.name))));
  } else {
    RETURN_IF_ERROR(found(ReadRecord<records::CredentialRecord>(view, CredentialKey(Table::kCredential, held.name))));
  }
  return held;
}

absl::StatusOr<v1::CredentialRollout> ProcessRules::GetCredentialRollout(
    const Caller& caller, const v1::GetCredentialRolloutRequest& request) const {
  const std::unique_ptr<storage::StoreView> view = store_->View();
  ASSIGN_OR_RETURN(const Held wanted, FindHeld(*view, caller, request.name()));
  const std::string& org = wanted.name.parent.org;
  const auto since = OrgSince(*view, org);
  if (!since.ok()) return FromStore(since.status(), request.name());

  v1::CredentialRollout rollout;
  rollout.set_name(request.name());
  rollout.set_current_version(wanted.version);
  std::vector<LiveProcess> holders = processes_->Holders(org, request.name(), clock_());
  DropBefore(*since, &holders);
  std::vector<v1::RolloutProcess> visible;
  for (const LiveProcess& live : holders) {
    int64_t held = 0;
    for (const v1::HeldCredential& one : live.process->credentials()) {
      if (one.credential() == request.name()) held = one.version();
    }
    // A version of a credential of the same name that was deleted is never the newest.
    const bool current = held == wanted.version && live.given_time >= absl::FromUnixNanos(wanted.create_time);
    current ? rollout.set_current_count(rollout.current_count() + 1)
            : rollout.set_outdated_count(rollout.outdated_count() + 1);
    const auto server = VisibleServer(caller, live.process->mcp_server());
    if (!server.has_value()) continue;
    v1::RolloutProcess process;
    *process.mutable_process() = Shown(caller, server->parent, live);
    process.set_held_version(held);
    process.set_state(current ? v1::ROLLOUT_STATE_CURRENT : v1::ROLLOUT_STATE_OUTDATED);
    visible.push_back(std::move(process));
  }
  std::sort(visible.begin(), visible.end(), [](const v1::RolloutProcess& a, const v1::RolloutProcess& b) {
    if (a.state() != b.state()) return a.state() == v1::ROLLOUT_STATE_OUTDATED;
    return a.process().name() < b.process().name();
  });
  if (visible.size() > kMaxRolloutProcesses) visible.resize(kMaxRolloutProcesses);
  for (v1::RolloutProcess& process : visible) *rollout.add_processes() = std::move(process);
  const auto servers = McpServersFor(*view, caller, wanted);
  if (!servers.ok()) return FromStore(servers.status(), request.name());
  for (const std::string& server : *servers) rollout.add_mcp_servers(server);
  return rollout;
}

absl::StatusOr<v1::ConfirmEnvironmentResponse> ProcessRules::ConfirmEnvironment(
    const Caller& caller, const v1::ConfirmEnvironmentRequest& request) const {
  ASSIGN_OR_RETURN(const std::string org, OrgOfProcess(request.name()));
  const absl::Time now = clock_();
  Resource resource{ResourceKind::kProcess, org, "", "", request.name()};
  resource.creator = processes_->PrincipalOf(request.name(), now);
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, resource));
  if (request.revision() <= 0) {
    return InvalidField("revision", "not positive", "Send the revision of the environment that the process runs with.");
  }
  if (request.pid() < 0) return InvalidField("pid", "negative", "Leave it out if it is not known.");
  std::optional<ResolutionEvent> event = processes_->SentTo(request.name(), request.revision());
  if (!event.has_value()) return NotSent(request.name());
  if (request.pid() != 0) event->process.set_pid(request.pid());
  processes_->Observe(*event, now);
  if (caller.record != nullptr) SetConfirmation(*event, caller.record);
  return v1::ConfirmEnvironmentResponse();
}

absl::StatusOr<google::protobuf::Empty> ProcessRules::DeleteProcess(const Caller& caller,
                                                                    const v1::DeleteProcessRequest& request) const {
  ASSIGN_OR_RETURN(const std::string org, OrgOfProcess(request.name()));
  const absl::Time now = clock_();
  Resource resource{ResourceKind::kProcess, org, "", "", request.name()};
  resource.creator = processes_->PrincipalOf(request.name(), now);
  RETURN_IF_ERROR(Authorize(caller, Action::kDelete, resource));
  const std::optional<v1::ProcessInfo> ended = processes_->End(request.name(), now);
  if (ended.has_value()) NoteProcess(caller, *ended);
  return google::protobuf::Empty();
}

absl::StatusOr<std::vector<std::string>> ProcessRules::McpServersFor(const storage::StoreView& view,
                                                                     const Caller& caller, const Held& held) const {
  const ChildName& credential = held.name;
  std::vector<std::string> names;
  absl::Status decoded;
  RETURN_IF_ERROR(view.ScanAll(Table::kMcpServer, credential.parent.org, [&](storage::Record stored) {
    storage::Wiped<records::McpServerRecord> record;
    decoded = storage::ParseSecretInto(stored.payload, *record);
    if (!decoded.ok()) return false;
    ChildName server{{ParentName::kOrg, credential.parent.org, ""}, record->id()};
    if (const size_t slash = record->parent().find('/'); slash != std::string::npos) {
      server.parent.kind = ParentName::kTeam;
      server.parent.id = record->parent().substr(slash + 1);
    }
    const std::string name = server.Name("mcpServers");
    if (!MaySee(caller, McpServerResource(server.parent, name))) return true;
    StoredServer definition;
    if (!definition->ParseFromString(record->definition())) {
      decoded = absl::DataLossError("an MCP server's definition does not parse");
      return false;
    }
    for (const Binding& binding : BindingsOf(*definition).bindings) {
      if ((binding.source == SourceKind::kOauth) != held.connection || binding.credential != credential.id) continue;
      if (!CanAnswer(binding, server.parent, credential.parent)) continue;
      names.push_back(name);
      break;
    }
    return true;
  }));
  RETURN_IF_ERROR(decoded);
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace keyferry::server
