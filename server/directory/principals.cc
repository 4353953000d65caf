#include "server/directory/principals.h"

#include <map>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "server/audit/call_record.h"
#include "server/directory/workload_identities.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr int kMaxGrants = 256;

v1::Service ToProto(const std::string& org, const records::ServiceRecord& record) {
  v1::Service service;
  service.set_name(absl::StrCat("orgs/", org, "/services/", record.id()));
  service.set_display_name(record.display_name());
  service.set_role(static_cast<v1::OrgRole>(record.role()));
  *service.mutable_create_time() = ToTimestamp(record.create_time());
  service.set_can_create_sessions(record.can_create_sessions());
  service.set_etag(EtagOf(record));
  return service;
}

v1::Workload ToProto(const std::string& org, const records::WorkloadRecord& record) {
  v1::Workload workload;
  workload.set_name(absl::StrCat("orgs/", org, "/workloads/", record.id()));
  workload.set_display_name(record.display_name());
  *workload.mutable_mcp_servers() = record.mcp_servers();
  *workload.mutable_create_time() = ToTimestamp(record.create_time());
  workload.set_can_use_sessions(record.can_use_sessions());
  for (const auto& identity : record.identities()) *workload.add_identities() = ShownIdentity(identity);
  workload.set_etag(EtagOf(record));
  return workload;
}

absl::Status CheckServiceRole(v1::OrgRole role) {
  if (role == v1::ORG_ROLE_MEMBER || role == v1::ORG_ROLE_ADMIN) return absl::OkStatus();
  return InvalidField("service.role", "not a role", "Use ORG_ROLE_MEMBER or ORG_ROLE_ADMIN.");
}

absl::Status CheckGrants(const google::protobuf::RepeatedPtrField<std::string>& grants, const std::string& org,
                         const std::string& field) {
  if (grants.size() > kMaxGrants) return InvalidField(field, "more than 256", "Grant at most 256 MCP servers.");
  std::set<std::string> seen;
  for (int i = 0; i < grants.size(); ++i) {
    const std::string item = absl::StrCat(field, "[", i, "]");
    ASSIGN_OR_RETURN(const ChildName server, ParseChild(grants[i], "mcpServers", item));
    RETURN_IF_ERROR(CheckId(server.id, item));
    if (server.parent.kind != ParentName::kOrg && server.parent.kind != ParentName::kTeam) {
      return InvalidField(item, "not an MCP server", "Name one of the organization or of a team.");
    }
    if (server.parent.org != org)
      return InvalidField(item, "of another organization", "Name one of this organization.");
    if (!seen.insert(grants[i]).second) return InvalidField(item, "named twice", "Name each MCP server once.");
  }
  return absl::OkStatus();
}

// Commits a new principal record, unless there is one.
absl::Status CommitNew(storage::Store* store, ParentCounts* counts, const Caller& caller, const storage::RecordKey& key,
                       storage::SecretBytes payload, const std::string& name, storage::Mutation mutation = {}) {
  const auto exists = store->View()->Contains(key);
  if (!exists.ok()) return FromStore(exists.status(), name);
  if (*exists) return AlreadyExists(name);
  const bool alone = mutation.empty();
  mutation.Put(key, std::move(payload), /*version=*/1, /*expected=*/0);
  NoteResource(caller, name);
  const absl::Status committed = CommitCounted(store, counts, caller, key.org, std::move(mutation));
  return absl::IsAborted(committed) && alone ? AlreadyExists(name) : FromStore(committed, name);
}

// One page of an org's records of a table, of those that the caller may see.
template <typename Record, typename Response, typename Add>
absl::StatusOr<Response> ListPrincipals(const DirectoryContext& context, const Caller& caller, ResourceKind kind,
                                        Table table, absl::string_view method, const std::string& parent_name,
                                        int32_t page_size, const std::string& page_token, Add add) {
  ASSIGN_OR_RETURN(const ParentName parent, ParseOrg(parent_name, "parent"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, {ResourceKind::kOrg, parent.org, "", "", parent.Name()}));
  std::map<std::string, Record> visible;
  std::vector<std::string> ids;
  if (Decide(caller, Action::kSee, {kind, parent.org, "", "", parent.Name()}) == Decision::kAllow) {
    auto all = ScanRecords<Record>(*context.store->View(), table, parent.org, "");
    if (!all.ok()) return FromStore(all.status(), parent.Name());
    for (auto& stored : *all) {
      ids.push_back(stored.record.id());
      visible[ids.back()] = std::move(stored.record);
    }
  }
  ASSIGN_OR_RETURN(const IdPage page,
                   MakePage(*context.pages, caller, method, parent_name, page_size, page_token, std::move(ids)));
  Response response;
  for (const std::string& id : page.ids) add(&response, ToProto(parent.org, visible.at(id)));
  response.set_next_page_token(page.next_page_token);
  return response;
}

}  // namespace

absl::StatusOr<v1::Service> PrincipalRules::CreateService(const Caller& caller,
                                                          const v1::CreateServiceRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseOrg(request.parent(), "parent"));
  RETURN_IF_ERROR(CheckId(request.service_id(), "service_id"));
  const std::string name = absl::StrCat(parent.Name(), "/services/", request.service_id());
  RETURN_IF_ERROR(Authorize(caller, Action::kCreate, {ResourceKind::kService, parent.org, "", "", name}));
  RETURN_IF_ERROR(CheckDisplayName(request.service().display_name(), "service.display_name"));
  RETURN_IF_ERROR(CheckServiceRole(request.service().role()));
  records::ServiceRecord record;
  record.set_id(request.service_id());
  record.set_display_name(request.service().display_name());
  record.set_role(request.service().role());
  record.set_can_create_sessions(request.service().can_create_sessions());
  record.set_create_time(context_.NowNanos());
  record.set_update_time(record.create_time());
  RETURN_IF_ERROR(CommitNew(context_.store, &service_counts_, caller, {Table::kService, parent.org, "", record.id()},
                            storage::SerializeSecret(record), name));
  return ToProto(parent.org, record);
}

absl::StatusOr<v1::ListServicesResponse> PrincipalRules::ListServices(const Caller& caller,
                                                                      const v1::ListServicesRequest& request) const {
  return ListPrincipals<records::ServiceRecord, v1::ListServicesResponse>(
      context_, caller, ResourceKind::kService, Table::kService, "ListServices", request.parent(), request.page_size(),
      request.page_token(),
      [](v1::ListServicesResponse* response, v1::Service service) { *response->add_services() = std::move(service); });
}

absl::StatusOr<v1::Service> PrincipalRules::UpdateService(const Caller& caller,
                                                          const v1::UpdateServiceRequest& request) const {
  const v1::Service& asked = request.service();
  ASSIGN_OR_RETURN(const ChildName name, ParseOrgChild(asked.name(), "services", "service.name"));
  const std::string& org = name.parent.org;
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, {ResourceKind::kService, org, "", "", asked.name()}));
  absl::flat_hash_set<std::string> set;
  if (!asked.display_name().empty()) set.insert("display_name");
  if (asked.role() != v1::ORG_ROLE_UNSPECIFIED) set.insert("role");
  if (asked.can_create_sessions()) set.insert("can_create_sessions");
  ASSIGN_OR_RETURN(const auto paths,
                   MaskPaths(request.update_mask(), {"display_name", "role", "can_create_sessions"}, std::move(set)));
  RETURN_IF_ERROR(CheckDisplayName(asked.display_name(), "service.display_name"));
  if (paths.contains("role")) RETURN_IF_ERROR(CheckServiceRole(asked.role()));
  const storage::RecordKey key{Table::kService, org, "", name.id};
  auto found = ReadRecord<records::ServiceRecord>(*context_.store->View(), key);
  if (!found.ok()) return FromStore(found.status(), asked.name());
  if (!found->has_value()) return NotFound(asked.name());
  records::ServiceRecord record = (*found)->record;
  RETURN_IF_ERROR(CheckEtag(asked.etag(), EtagOf(record), asked.name()));
  if (paths.contains("display_name")) record.set_display_name(asked.display_name());
  if (paths.contains("role")) record.set_role(asked.role());
  if (paths.contains("can_create_sessions")) record.set_can_create_sessions(asked.can_create_sessions());
  record.set_update_time(context_.NowNanos());
  storage::Mutation mutation;
  mutation.Put(key, storage::SerializeSecret(record), (*found)->version + 1, (*found)->revision);
  const auto committed = CommitAudited(context_.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), asked.name());
  return ToProto(org, record);
}

absl::StatusOr<google::protobuf::Empty> PrincipalRules::DeleteService(const Caller& caller,
                                                                      const v1::DeleteServiceRequest& request) const {
  return Delete(caller, ResourceKind::kService, Table::kService, "services", request.name());
}

absl::StatusOr<v1::Workload> PrincipalRules::CreateWorkload(const Caller& caller,
                                                            const v1::CreateWorkloadRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseOrg(request.parent(), "parent"));
  RETURN_IF_ERROR(CheckId(request.workload_id(), "workload_id"));
  const std::string name = absl::StrCat(parent.Name(), "/workloads/", request.workload_id());
  RETURN_IF_ERROR(Authorize(caller, Action::kCreate, {ResourceKind::kWorkload, parent.org, "", "", name}));
  RETURN_IF_ERROR(CheckDisplayName(request.workload().display_name(), "workload.display_name"));
  RETURN_IF_ERROR(CheckGrants(request.workload().mcp_servers(), parent.org, "workload.mcp_servers"));
  records::WorkloadRecord record;
  record.set_id(request.workload_id());
  record.set_display_name(request.workload().display_name());
  *record.mutable_mcp_servers() = request.workload().mcp_servers();
  record.set_can_use_sessions(request.workload().can_use_sessions());
  ASSIGN_OR_RETURN(*record.mutable_identities(), ParseIdentities(context_, request.workload().identities(),
                                                                 /*before=*/{}, parent.org, "workload.identities"));
  record.set_create_time(context_.NowNanos());
  record.set_update_time(record.create_time());
  storage::Mutation mutation;
  absl::MutexLockMaybe lock(record.identities().empty() ? nullptr : context_.changes);
  RETURN_IF_ERROR(StageIdentities(context_, *context_.store->View(), name, /*before=*/{}, record.identities(),
                                  "workload.identities", &mutation));
  RETURN_IF_ERROR(CommitNew(context_.store, &workload_counts_, caller, {Table::kWorkload, parent.org, "", record.id()},
                            storage::SerializeSecret(record), name, std::move(mutation)));
  return ToProto(parent.org, record);
}

absl::StatusOr<v1::ListWorkloadsResponse> PrincipalRules::ListWorkloads(const Caller& caller,
                                                                        const v1::ListWorkloadsRequest& request) const {
  return ListPrincipals<records::WorkloadRecord, v1::ListWorkloadsResponse>(
      context_, caller, ResourceKind::kWorkload, Table::kWorkload, "ListWorkloads", request.parent(),
      request.page_size(), request.page_token(), [](v1::ListWorkloadsResponse* response, v1::Workload workload) {
        *response->add_workloads() = std::move(workload);
      });
}

absl::StatusOr<v1::Workload> PrincipalRules::UpdateWorkload(const Caller& caller,
                                                            const v1::UpdateWorkloadRequest& request) const {
  const v1::Workload& asked = request.workload();
  ASSIGN_OR_RETURN(const ChildName name, ParseOrgChild(asked.name(), "workloads", "workload.name"));
  const std::string& org = name.parent.org;
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, {ResourceKind::kWorkload, org, "", "", asked.name()}));
  absl::flat_hash_set<std::string> set;
  if (!asked.display_name().empty()) set.insert("display_name");
  if (!asked.mcp_servers().empty()) set.insert("mcp_servers");
  if (asked.can_use_sessions()) set.insert("can_use_sessions");
  if (!asked.identities().empty()) set.insert("identities");
  ASSIGN_OR_RETURN(const auto paths,
                   MaskPaths(request.update_mask(), {"display_name", "mcp_servers", "can_use_sessions", "identities"},
                             std::move(set)));
  RETURN_IF_ERROR(CheckDisplayName(asked.display_name(), "workload.display_name"));
  RETURN_IF_ERROR(CheckGrants(asked.mcp_servers(), org, "workload.mcp_servers"));
  const storage::RecordKey key{Table::kWorkload, org, "", name.id};
  absl::MutexLockMaybe lock(paths.contains("identities") ? context_.changes : nullptr);
  const auto view = context_.store->View();
  auto found = ReadRecord<records::WorkloadRecord>(*view, key);
  if (!found.ok()) return FromStore(found.status(), asked.name());
  if (!found->has_value()) return NotFound(asked.name());
  records::WorkloadRecord record = (*found)->record;
  RETURN_IF_ERROR(CheckEtag(asked.etag(), EtagOf(record), asked.name()));
  if (paths.contains("display_name")) record.set_display_name(asked.display_name());
  if (paths.contains("mcp_servers")) *record.mutable_mcp_servers() = asked.mcp_servers();
  if (paths.contains("can_use_sessions")) record.set_can_use_sessions(asked.can_use_sessions());
  storage::Mutation mutation;
  if (paths.contains("identities")) {
    ASSIGN_OR_RETURN(
        *record.mutable_identities(),
        ParseIdentities(context_, asked.identities(), (*found)->record.identities(), org, "workload.identities"));
    RETURN_IF_ERROR(StageIdentities(context_, *view, asked.name(), (*found)->record.identities(), record.identities(),
                                    "workload.identities", &mutation));
  }
  record.set_update_time(context_.NowNanos());
  mutation.Put(key, storage::SerializeSecret(record), (*found)->version + 1, (*found)->revision);
  const auto committed = CommitAudited(context_.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), asked.name());
  return ToProto(org, record);
}

absl::StatusOr<google::protobuf::Empty> PrincipalRules::DeleteWorkload(const Caller& caller,
                                                                       const v1::DeleteWorkloadRequest& request) const {
  return Delete(caller, ResourceKind::kWorkload, Table::kWorkload, "workloads", request.name());
}

absl::StatusOr<google::protobuf::Empty> PrincipalRules::Delete(const Caller& caller, ResourceKind kind,
                                                               storage::Table table, absl::string_view collection,
                                                               const std::string& name) const {
  ASSIGN_OR_RETURN(const ChildName child, ParseOrgChild(name, collection, "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kDelete, {kind, child.parent.org, "", "", name}));
  const storage::RecordKey key{table, child.parent.org, "", child.id};
  const auto view = context_.store->View();
  const auto found = view->Get(key);
  if (!found.ok()) return FromStore(found.status(), name);
  if (!found->has_value()) return NotFound(name);
  storage::Mutation mutation;
  mutation.Delete(key, (*found)->revision);
  if (table == Table::kWorkload) {
    records::WorkloadRecord workload;
    const absl::Status decoded = storage::ParseSecretInto((*found)->payload, workload);
    if (!decoded.ok()) return FromStore(decoded, name);
    DeleteIdentities(workload, &mutation);
  }
  const std::string below = absl::StrCat(collection, "/", child.id);
  RETURN_IF_ERROR(DeleteEverythingBelow(*view, child.parent.org, below, context_.clock(), &mutation));
  const auto committed = CommitAudited(context_.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), name);
  RETURN_IF_ERROR(SweepBelow(context_.store, child.parent.org, below, context_.clock()));
  return google::protobuf::Empty();
}

}  // namespace keyferry::server
