#include "server/directory/workload_identities.h"

#include <optional>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/identity/external/kubernetes_identity.h"
#include "server/identity/external/spiffe_id.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {

namespace records = storage::records;
using storage::Table;

namespace {

storage::RecordKey IndexKey(const std::string& id) { return {Table::kWorkloadIdentity, "", "", id}; }

std::set<std::string> IdsOf(const IdentityRecords& identities) {
  std::set<std::string> ids;
  for (const auto& identity : identities) ids.insert(IdentityId(identity));
  return ids;
}

absl::Status NotTrusted(const std::string& field, absl::string_view what) {
  return InvalidField(field, absl::StrCat("not ", what, " whose identities may enter this organization"),
                      "Ask the operator of keyferryd: its configuration names them (`identity`).");
}

absl::StatusOr<records::WorkloadIdentityRecord> ParseKubernetes(const DirectoryContext& context,
                                                                const v1::KubernetesIdentity& asked,
                                                                const std::string& org, const std::string& field) {
  const std::pair<const char*, const std::string*> required[] = {{"namespace", &asked.namespace_()},
                                                                 {"service_account", &asked.service_account()}};
  for (const auto& [name, text] : required) {
    if (!IsKubernetesName(*text)) {
      return InvalidField(absl::StrCat(field, ".", name), "not a name in Kubernetes",
                          "Use 1 to 253 of `a` to `z`, `0` to `9`, `-` and `.`.");
    }
  }
  if (!asked.pod().empty() && !IsKubernetesName(asked.pod())) {
    return InvalidField(absl::StrCat(field, ".pod"), "not a name in Kubernetes", "Leave it out for every pod.");
  }
  if (!asked.pod_uid().empty() && !IsKubernetesUid(asked.pod_uid())) {
    return InvalidField(absl::StrCat(field, ".pod_uid"), "not a UID", "Leave it out for every pod.");
  }
  if (context.external == nullptr || asked.issuer().empty() || !context.external->MayEnter(asked.issuer(), org)) {
    return NotTrusted(absl::StrCat(field, ".issuer"), "an issuer");
  }
  records::WorkloadIdentityRecord record;
  record.set_issuer(asked.issuer());
  record.set_namespace_(asked.namespace_());
  record.set_service_account(asked.service_account());
  record.set_pod(asked.pod());
  record.set_pod_uid(asked.pod_uid());
  return record;
}

absl::StatusOr<records::WorkloadIdentityRecord> ParseIdentity(const DirectoryContext& context,
                                                              const v1::WorkloadIdentity& asked, const std::string& org,
                                                              const std::string& field) {
  if (asked.has_kubernetes() == !asked.spiffe_id().empty()) {
    return InvalidField(field, "not exactly one identity", "Set either `kubernetes` or `spiffe_id`.");
  }
  if (asked.has_kubernetes()) {
    return ParseKubernetes(context, asked.kubernetes(), org, absl::StrCat(field, ".kubernetes"));
  }
  const std::string domain = TrustDomainOf(asked.spiffe_id());
  if (domain.empty()) {
    return InvalidField(absl::StrCat(field, ".spiffe_id"), "not a SPIFFE ID", "Use `spiffe://TRUST_DOMAIN/PATH`.");
  }
  if (context.external == nullptr || !context.external->MayEnter(domain, org)) {
    return NotTrusted(absl::StrCat(field, ".spiffe_id"), "of a trust domain");
  }
  records::WorkloadIdentityRecord record;
  record.set_spiffe_id(asked.spiffe_id());
  return record;
}

absl::Status Taken(const std::string& workload) {
  v1::ErrorDetail detail;
  detail.set_reason("IDENTITY_TAKEN");
  detail.set_resource(workload);
  detail.set_next_step("Revoke it from the workload that has it, see `keyferry workload list`; or narrow it to a pod.");
  return MakeError(absl::StatusCode::kAlreadyExists,
                   absl::StrCat(workload, ": another workload has one of the identities"), detail);
}

}  // namespace

absl::StatusOr<IdentityRecords> ParseIdentities(const DirectoryContext& context,
                                                const google::protobuf::RepeatedPtrField<v1::WorkloadIdentity>& asked,
                                                const std::string& org, const std::string& field) {
  if (asked.size() > kMaxIdentities)
    return InvalidField(field, "more than 16", "Make another workload for the others.");
  IdentityRecords identities;
  std::set<std::string> ids;
  for (int i = 0; i < asked.size(); ++i) {
    const std::string item = absl::StrCat(field, "[", i, "]");
    ASSIGN_OR_RETURN(*identities.Add(), ParseIdentity(context, asked[i], org, item));
    if (!ids.insert(IdentityId(identities[i])).second) {
      return InvalidField(item, "named twice", "Name each identity once.");
    }
  }
  return identities;
}

v1::WorkloadIdentity ShownIdentity(const records::WorkloadIdentityRecord& record) {
  v1::WorkloadIdentity shown;
  if (!record.spiffe_id().empty()) {
    shown.set_spiffe_id(record.spiffe_id());
    return shown;
  }
  v1::KubernetesIdentity& kubernetes = *shown.mutable_kubernetes();
  kubernetes.set_issuer(record.issuer());
  kubernetes.set_namespace_(record.namespace_());
  kubernetes.set_service_account(record.service_account());
  kubernetes.set_pod(record.pod());
  kubernetes.set_pod_uid(record.pod_uid());
  return shown;
}

absl::Status StageIdentities(const storage::StoreView& view, const std::string& workload, const IdentityRecords& before,
                             const IdentityRecords& after, storage::Mutation* mutation) {
  ASSIGN_OR_RETURN(const ChildName name, ParseOrgChild(workload, "workloads", "workload.name"));
  const std::set<std::string> old_ids = IdsOf(before);
  const std::set<std::string> new_ids = IdsOf(after);
  records::WorkloadIdentityIndexRecord index;
  index.set_org(name.parent.org);
  index.set_workload(name.id);
  for (const std::string& id : new_ids) {
    if (old_ids.count(id) != 0) continue;
    const auto taken = view.Contains(IndexKey(id));
    if (!taken.ok()) return FromStore(taken.status(), workload);
    if (*taken) return Taken(workload);
    mutation->Put(IndexKey(id), storage::SerializeSecret(index), /*version=*/1, /*expected=*/0);
  }
  for (const std::string& id : old_ids) {
    if (new_ids.count(id) == 0) mutation->Delete(IndexKey(id), std::nullopt);
  }
  return absl::OkStatus();
}

void DeleteIdentities(const records::WorkloadRecord& workload, storage::Mutation* mutation) {
  for (const auto& identity : workload.identities()) mutation->Delete(IndexKey(IdentityId(identity)), std::nullopt);
}

}  // namespace keyferry::server
