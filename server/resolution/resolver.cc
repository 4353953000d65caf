#include "server/resolution/resolver.h"

#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/access/access.h"
#include "server/allowed_names.h"
#include "server/audit/call_record.h"
#include "server/errors.h"
#include "server/mcpservers/definition.h"
#include "server/processes/process_info.h"
#include "server/resolution/answer.h"
#include "server/resolution/missing.h"
#include "server/resolution/template.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

// What a process can be given is bounded by the system (2 MiB with its arguments on Linux), and so is the answer.
constexpr size_t kMaxEnvironmentBytes = size_t{2} << 20;

absl::Status ServicesDoNotResolve(const std::string& resource) {
  v1::ErrorDetail detail;
  detail.set_reason("PERMISSION_DENIED");
  detail.set_resource(resource);
  detail.set_next_step("Resolve as a user, or as a workload that is granted the MCP server.");
  return MakeError(absl::StatusCode::kPermissionDenied, resource + ": a service may not resolve", detail);
}

absl::Status EnvironmentTooLarge(const std::string& resource) {
  v1::ErrorDetail detail;
  detail.set_reason("ENVIRONMENT_TOO_LARGE");
  detail.set_resource(resource);
  detail.set_next_step("Bind fewer or smaller values.");
  return MakeError(absl::StatusCode::kFailedPrecondition, resource + ": the environment is larger than 2 MiB", detail);
}

absl::Status NameNotAllowed(const std::string& resource, const std::string& variable) {
  v1::ErrorDetail detail;
  detail.set_reason("NAME_NOT_ALLOWED");
  detail.set_resource(resource);
  detail.set_next_step(
      absl::StrCat("Bind another variable, or let an ADMIN run `keyferry org allow-name ", variable, "`."));
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat(resource, ": binds ", variable,
                                ", which changes how a process starts and which the organization does not allow"),
                   detail);
}

}  // namespace

void Resolver::Answer::Place(const Binding& binding, std::string* value, v1::ResolvedVariable* variable) {
  if (binding.value_template.empty()) {
    variable->mutable_value()->swap(*value);
  } else {
    const storage::SecretBytes filled = ApplyTemplate(binding.value_template, *value);
    variable->set_value(filled.Expose().data(), filled.size());
  }
  // A short value is copied by a swap, and stays behind it.
  storage::WipeString(*value);
}

Resolver::Resolver(storage::Store* store, Clock clock, UsageRecorder* usage, ProcessTable* processes,
                   std::string public_url)
    : store_(store),
      clock_(std::move(clock)),
      usage_(usage),
      processes_(processes),
      public_url_(absl::StripSuffix(public_url, "/")),
      sessions_(store, clock_) {}

absl::StatusOr<v1::ResolveResponse> Resolver::Resolve(const Caller& caller, const v1::ResolveRequest& request,
                                                      Awaited* awaited) {
  ASSIGN_OR_RETURN(Resolution resolution, Compute(caller, request, /*dependencies=*/nullptr, awaited));
  const std::string mcp_server = resolution.event.mcp_server;
  NoteProcess(&resolution);
  RETURN_IF_ERROR(FromStore(usage_->Record(caller, std::move(resolution.event)), mcp_server));
  v1::ResolveResponse response;
  response.Swap(&*resolution.response);
  return response;
}

absl::StatusOr<Resolver::Asked> Resolver::Admit(const storage::StoreView& view, uint64_t session_stamp,
                                                const Caller& caller, const v1::ResolveRequest& request,
                                                Dependencies* dependencies) const {
  Asked asked;
  ASSIGN_OR_RETURN(asked.server, ParseMcpServerName(request.mcp_server(), "mcp_server"));
  if (request.has_process()) RETURN_IF_ERROR(CheckProcessInfo(request.process(), "process"));
  const absl::Status allowed =
      Authorize(caller, Action::kResolve, McpServerResource(asked.server.parent, request.mcp_server()));
  if (caller.kind == PrincipalKind::kService && !absl::IsNotFound(allowed)) {
    return ServicesDoNotResolve(request.mcp_server());
  }
  RETURN_IF_ERROR(allowed);
  if (!request.session_token().empty()) {
    ASSIGN_OR_RETURN(asked.session, PresentedSession(view, session_stamp, caller, asked.server, request, dependencies));
    return asked;
  }
  const auto session = SessionFor(caller, asked.server, request.team());
  if (dependencies != nullptr && caller.kind == PrincipalKind::kUser) {
    // Of a user's memberships only this one counts: that of the team whose credentials may answer.
    const std::string team = session.ok() ? session->team : asked.server.parent.id;
    if (!team.empty()) {
      dependencies->caller.push_back({Table::kMembership, caller.org, absl::StrCat("users/", caller.id), team});
    }
  }
  RETURN_IF_ERROR(session.status());
  asked.session = *session;
  return asked;
}

absl::Status Resolver::Check(const Caller& caller, const v1::ResolveRequest& request) const {
  const uint64_t session_stamp = sessions_.Stamp();
  return Admit(*store_->View(), session_stamp, caller, request, /*dependencies=*/nullptr).status();
}

absl::StatusOr<Resolution> Resolver::Compute(const Caller& caller, const v1::ResolveRequest& request,
                                             Dependencies* dependencies, Awaited* awaited) const {
  const uint64_t generation = store_->Generation(Table::kMcpServer);
  const uint64_t session_stamp = sessions_.Stamp();
  const std::unique_ptr<storage::StoreView> view = store_->View();
  ASSIGN_OR_RETURN(const Asked asked, Admit(*view, session_stamp, caller, request, dependencies));
  const Session& session = asked.session;
  if (dependencies != nullptr) dependencies->answer.push_back(McpServerKey(asked.server));
  const auto bindings = servers_.Get(*view, generation, asked.server, request.mcp_server());
  if (!bindings.ok()) return FromStore(bindings.status(), request.mcp_server());
  if (*bindings == nullptr) return NotFound(request.mcp_server());

  Answer answer;
  answer.mcp_server = request.mcp_server();
  answer.dependencies = dependencies;
  answer.waited = awaited == nullptr || awaited->waited;
  RETURN_IF_ERROR(FromStore(ResolveServer(*view, asked.server, **bindings, session, request.allow_partial(), &answer),
                            request.mcp_server()));
  if (!answer.missing.empty()) return MissingVariables(request.mcp_server(), answer.missing);
  if (!answer.ended.empty()) {
    if (awaited != nullptr) {
      for (const Answer::Ended& one : answer.ended) awaited->connections.push_back(one.key);
    }
    if (answer.incomplete) return Unavailable(answer);
  }
  if (answer.bytes > kMaxEnvironmentBytes) return EnvironmentTooLarge(request.mcp_server());

  Resolution resolution;
  resolution.event.org = session.org;
  resolution.event.mcp_server = request.mcp_server();
  resolution.event.principal = caller.Name();
  if (!session.user.empty()) resolution.event.user = ParentIn(session, ParentName::kUser).Name();
  resolution.event.team = session.team;
  resolution.event.session = session.name;
  resolution.event.credentials = std::move(answer.used);
  if (request.has_process()) resolution.event.process = request.process();
  if (caller.external != nullptr) {
    resolution.event.identity = ToCallerIdentity(*caller.external);
    // What is attested counts, whatever the process says of itself.
    if (request.has_process() && !caller.external->pod.empty()) {
      resolution.event.process.set_pod(caller.external->pod);
    }
  }
  answer.response->set_revision(static_cast<int64_t>(view->revision()));
  resolution.response = std::move(answer.response);
  return resolution;
}

absl::Status Resolver::RecordWatched(const std::string& peer, Resolution* resolution) {
  const absl::Status recorded = usage_->RecordNow(resolution->event, "ResolutionService/Watch", peer);
  RETURN_IF_ERROR(FromStore(recorded, resolution->event.mcp_server));
  NoteProcess(resolution);
  return absl::OkStatus();
}

void Resolver::NoteProcess(Resolution* resolution) const {
  if (processes_ != nullptr) resolution->response->set_process(processes_->Observe(resolution->event, clock_()));
}

absl::Status Resolver::ResolveServer(const storage::StoreView& view, const ChildName& server,
                                     const ServerBindings& cached, const Session& session, bool allow_partial,
                                     Answer* answer) const {
  if (!cached.has_static) return ResolveAll(view, cached, /*definition=*/nullptr, session, allow_partial, answer);
  // Static values are in the stored definition alone. Its bindings are used too, since the cached ones may be newer.
  ASSIGN_OR_RETURN(const std::unique_ptr<StoredServer> stored, ReadServer(view, server));
  if (stored == nullptr) return NotFound(server.Name("mcpServers"));
  return ResolveAll(view, BindingsOf(**stored), &**stored, session, allow_partial, answer);
}

absl::Status Resolver::ResolveAll(const storage::StoreView& view, const ServerBindings& bindings,
                                  v1::McpServer* definition, const Session& session, bool allow_partial,
                                  Answer* answer) const {
  AllowedNames allowed(view, session.org);
  answer->used.reserve(bindings.bindings.size());
  answer->response->mutable_variables()->Reserve(static_cast<int>(bindings.bindings.size()));
  for (size_t i = 0; i < bindings.bindings.size(); ++i) {
    const Binding& binding = bindings.bindings[i];
    if (binding.hijacking) {
      ASSIGN_OR_RETURN(const bool allow, allowed.Allow(binding.variable));
      if (!allow) return NameNotAllowed(answer->mcp_server, binding.variable);
    }
    const int before = answer->response->variables_size();
    const size_t ended_before = answer->ended.size();
    const Plan plan = MakePlan(binding, session);
    if (binding.source == SourceKind::kStatic) {
      v1::ResolvedVariable* variable = answer->response->add_variables();
      variable->set_variable(binding.variable);
      answer->Place(binding, definition->mutable_env(static_cast<int>(i))->mutable_static_(), variable);
    } else if (binding.source == SourceKind::kOauth) {
      RETURN_IF_ERROR(ResolveConnection(view, session, binding, plan, answer));
    } else {
      RETURN_IF_ERROR(ResolveCredential(view, session, binding, plan, answer));
    }
    const bool may_be_missing = !binding.required || allow_partial;
    if (answer->response->variables_size() > before) {
      answer->response->mutable_variables(before)->set_allowed_by_org(binding.hijacking);
      answer->bytes += answer->response->variables(before).value().size() + binding.variable.size();
      // Enough to be refused; nothing more is opened.
      if (answer->bytes > kMaxEnvironmentBytes) break;
    } else if (answer->ended.size() > ended_before && !(answer->waited && may_be_missing)) {
      answer->incomplete = true;
    } else if (!may_be_missing) {
      ASSIGN_OR_RETURN(v1::MissingVariable missing, Missing(view, session, binding, plan, answer));
      answer->missing.push_back(std::move(missing));
    } else {
      answer->response->add_unresolved_variables(binding.variable);
    }
  }
  return absl::OkStatus();
}

absl::Status Resolver::ResolveCredential(const storage::StoreView& view, const Session& session, const Binding& binding,
                                         const Plan& plan, Answer* answer) const {
  for (const Step& step : plan) {
    if (step.state != StepState::kApplicable) continue;
    const ParentName parent = ParentIn(session, step.scope);
    storage::RecordKey key = {Table::kCredentialValue, session.org, parent.RecordParent(), binding.credential};
    if (answer->dependencies != nullptr) answer->dependencies->answer.push_back(key);
    ASSIGN_OR_RETURN(const auto found, view.Get(key));
    if (!found.has_value()) continue;
    records::ValueRecord* const value = &*answer->opened;
    RETURN_IF_ERROR(storage::ParseSecretInto(found->payload, *value));
    v1::ResolvedVariable* variable = answer->response->add_variables();
    variable->set_variable(binding.variable);
    variable->set_credential(absl::StrCat("orgs/", session.org, key.parent.empty() ? "" : "/", key.parent,
                                          "/credentials/", binding.credential));
    variable->set_version(value->version());
    variable->set_scope(parent.Scope());
    answer->Place(binding, value->mutable_value(), variable);
    answer->used.push_back({std::move(key.parent), binding.credential, value->version(), binding.variable});
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
