#include "server/identity/find_granted.h"

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {

namespace records = storage::records;
using storage::Table;

namespace {

// Nullopt also for an org whose keyring was destroyed.
template <typename T>
absl::StatusOr<std::optional<T>> ReadIfThere(const storage::StoreView& view, const storage::RecordKey& key) {
  auto found = ReadRecord<T>(view, key);
  if (absl::IsNotFound(found.status())) return std::optional<T>();
  if (!found.ok()) return FromStore(found.status(), "the identity");
  if (!found->has_value()) return std::optional<T>();
  return std::optional<T>(std::move((*found)->record));
}

// Nullopt if the grant is there no more.
absl::StatusOr<std::optional<Caller>> ReadGranted(const storage::StoreView& view, const std::string& id,
                                                  const records::WorkloadIdentityIndexRecord& index) {
  ASSIGN_OR_RETURN(const auto org, ReadIfThere<records::OrgRecord>(view, {Table::kOrg, "", "", index.org()}));
  if (!org.has_value()) return std::optional<Caller>();
  ASSIGN_OR_RETURN(const auto workload,
                   ReadIfThere<records::WorkloadRecord>(view, {Table::kWorkload, index.org(), "", index.workload()}));
  if (!workload.has_value() ||
      std::none_of(workload->identities().begin(), workload->identities().end(),
                   [&](const records::WorkloadIdentityRecord& own) { return IdentityId(own) == id; })) {
    return std::optional<Caller>();
  }
  Caller caller;
  caller.org = index.org();
  caller.id = index.workload();
  caller.tier = static_cast<v1::Tier>(org->tier());
  caller.identity_id = id;
  FillWorkload(*workload, &caller);
  return std::optional<Caller>(std::move(caller));
}

}  // namespace

void FillWorkload(const records::WorkloadRecord& workload, Caller* caller) {
  caller->kind = PrincipalKind::kWorkload;
  caller->granted_mcp_servers.assign(workload.mcp_servers().begin(), workload.mcp_servers().end());
  caller->can_use_sessions = workload.can_use_sessions();
}

absl::StatusOr<std::optional<Caller>> FindGranted(const storage::StoreView& view, const ExternalIdentity& identity,
                                                  const std::function<bool(const std::string& org)>& may_enter) {
  std::optional<Caller> counts;
  const std::vector<records::WorkloadIdentityRecord> fit = GrantsThatFit(identity);
  for (auto grant = fit.rbegin(); grant != fit.rend(); ++grant) {
    const std::string id = IdentityId(*grant);
    ASSIGN_OR_RETURN(const auto index,
                     ReadIfThere<records::WorkloadIdentityIndexRecord>(view, {Table::kWorkloadIdentity, "", "", id}));
    if (!index.has_value() || !may_enter(index->org())) continue;
    if (counts.has_value() && counts->org != index->org()) continue;
    ASSIGN_OR_RETURN(std::optional<Caller> granted, ReadGranted(view, id, *index));
    if (granted.has_value()) counts = std::move(granted);
  }
  return counts;
}

}  // namespace keyferry::server
