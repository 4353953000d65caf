#include "server/directory/workload_identities.h"

#include <optional>
#include <set>
#include <tuple>
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

// Issuer, namespace, name.
using Accounts = std::set<std::tuple<std::string, std::string, std::string>>;

std::set<std::string> IdsOf(const IdentityRecords& identities) {
  std::set<std::string> ids;
  for (const auto& identity : identities) ids.insert(IdentityId(identity));
  return ids;
}

// The same, whether the configuration does not let it in or another org has it.
absl::Status NotTrusted(const std::string& item, const records::WorkloadIdentityRecord& identity) {
  const bool kubernetes = identity.spiffe_id().empty();
  return InvalidField(absl::StrCat(item, kubernetes ? ".kubernetes.issuer" : ".spiffe_id"),
                      absl::StrCat("not ", kubernetes ? "an issuer" : "of a trust domain",
                                   " of which this identity may enter this organization"),
                      "Ask the operator of keyferryd: its configuration names who may (`identity`).");
}

bool MayEnter(const DirectoryContext& context, const records::WorkloadIdentityRecord& identity,
              const std::string& org) {
  const std::string issuer = identity.spiffe_id().empty() ? identity.issuer() : TrustDomainOf(identity.spiffe_id());
  return context.external != nullptr && !issuer.empty() &&
         context.external->MayEnter(issuer, identity.namespace_(), org);
}

absl::StatusOr<records::WorkloadIdentityRecord> ParseKubernetes(const v1::KubernetesIdentity& asked,
                                                                const std::string& field) {
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
  records::WorkloadIdentityRecord record;
  record.set_issuer(asked.issuer());
  record.set_namespace_(asked.namespace_());
  record.set_service_account(asked.service_account());
  record.set_pod(asked.pod());
  record.set_pod_uid(asked.pod_uid());
  return record;
}

absl::StatusOr<records::WorkloadIdentityRecord> ParseIdentity(const v1::WorkloadIdentity& asked,
                                                              const std::string& field) {
  if (asked.has_kubernetes() == !asked.spiffe_id().empty()) {
    return InvalidField(field, "not exactly one identity", "Set either `kubernetes` or `spiffe_id`.");
  }
  if (asked.has_kubernetes()) {
    return ParseKubernetes(asked.kubernetes(), absl::StrCat(field, ".kubernetes"));
  }
  if (TrustDomainOf(asked.spiffe_id()).empty()) {
    return InvalidField(absl::StrCat(field, ".spiffe_id"), "not a SPIFFE ID", "Use `spiffe://TRUST_DOMAIN/PATH`.");
  }
  records::WorkloadIdentityRecord record;
  record.set_spiffe_id(asked.spiffe_id());
  return record;
}

std::tuple<std::string, std::string, std::string> AccountOf(const records::WorkloadIdentityRecord& identity) {
  return {identity.issuer(), identity.namespace_(), identity.service_account()};
}

// The service accounts of which a workload of another org has an identity with which that org may be entered.
absl::StatusOr<Accounts> AccountsOfOthers(const DirectoryContext& context, const storage::StoreView& view,
                                          const std::string& org) {
  ASSIGN_OR_RETURN(const auto indexed, ScanRecords<records::WorkloadIdentityIndexRecord>(view, Table::kWorkloadIdentity,
                                                                                         /*org=*/"", /*parent=*/""));
  std::set<std::pair<std::string, std::string>> others;
  for (const auto& index : indexed) {
    if (index.record.org() != org) others.emplace(index.record.org(), index.record.workload());
  }
  Accounts accounts;
  for (const auto& [other, id] : others) {
    const auto workload = ReadRecord<records::WorkloadRecord>(view, {Table::kWorkload, other, "", id});
    if (absl::IsNotFound(workload.status())) continue;  // The org's keyring was destroyed.
    if (!workload.ok()) return workload.status();
    if (!workload->has_value()) continue;
    for (const auto& identity : (*workload)->record.identities()) {
      if (identity.spiffe_id().empty() && MayEnter(context, identity, other)) accounts.insert(AccountOf(identity));
    }
  }
  return accounts;
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
                                                const IdentityRecords& before, const std::string& org,
                                                const std::string& field) {
  if (asked.size() > kMaxIdentities)
    return InvalidField(field, "more than 16", "Make another workload for the others.");
  // What the workload has may stay, so that of several one can be revoked whatever the configuration says now.
  const std::set<std::string> kept = IdsOf(before);
  IdentityRecords identities;
  std::set<std::string> ids;
  for (int i = 0; i < asked.size(); ++i) {
    const std::string item = absl::StrCat(field, "[", i, "]");
    ASSIGN_OR_RETURN(*identities.Add(), ParseIdentity(asked[i], item));
    const std::string id = IdentityId(identities[i]);
    if (!ids.insert(id).second) return InvalidField(item, "named twice", "Name each identity once.");
    if (kept.count(id) == 0 && !MayEnter(context, identities[i], org)) return NotTrusted(item, identities[i]);
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

absl::Status StageIdentities(const DirectoryContext& context, const storage::StoreView& view,
                             const std::string& workload, const IdentityRecords& before, const IdentityRecords& after,
                             const std::string& field, storage::Mutation* mutation) {
  ASSIGN_OR_RETURN(const ChildName name, ParseOrgChild(workload, "workloads", "workload.name"));
  const std::string& org = name.parent.org;
  const std::set<std::string> old_ids = IdsOf(before);
  const std::set<std::string> new_ids = IdsOf(after);
  records::WorkloadIdentityIndexRecord index;
  index.set_org(org);
  index.set_workload(name.id);
  std::optional<Accounts> taken;
  for (int i = 0; i < after.size(); ++i) {
    const std::string id = IdentityId(after[i]);
    if (old_ids.count(id) != 0) continue;
    const auto holder = ReadRecord<records::WorkloadIdentityIndexRecord>(view, IndexKey(id));
    if (!holder.ok()) return FromStore(holder.status(), workload);
    const std::string item = absl::StrCat(field, "[", i, "]");
    if (holder->has_value()) return (*holder)->record.org() == org ? Taken(workload) : NotTrusted(item, after[i]);
    if (after[i].spiffe_id().empty()) {
      if (!taken.has_value()) {
        auto of_others = AccountsOfOthers(context, view, org);
        if (!of_others.ok()) return FromStore(of_others.status(), workload);
        taken = *std::move(of_others);
      }
      if (taken->count(AccountOf(after[i])) != 0) return NotTrusted(item, after[i]);
    }
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
