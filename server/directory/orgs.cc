#include "server/directory/orgs.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/audit/call_record.h"
#include "server/directory/workload_identities.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr int kMaxAllowedNames = 64;

absl::StatusOr<ParentName> AuthorizeOrg(const Caller& caller, Action action, absl::string_view name,
                                        absl::string_view field) {
  ASSIGN_OR_RETURN(ParentName org, ParseOrg(name, field));
  RETURN_IF_ERROR(Authorize(caller, action, {ResourceKind::kOrg, org.org, "", "", org.Name()}));
  return org;
}

// What a deletion that failed has marked is the same org.
std::string EtagOfOrg(records::OrgRecord record) {
  record.clear_deleting();
  return EtagOf(record);
}

v1::Org ToProto(const records::OrgRecord& record) {
  v1::Org org;
  org.set_name(absl::StrCat("orgs/", record.id()));
  org.set_display_name(record.display_name());
  org.set_tier(static_cast<v1::Tier>(record.tier()));
  *org.mutable_create_time() = ToTimestamp(record.create_time());
  org.set_etag(EtagOfOrg(record));
  *org.mutable_allowed_variable_names() = record.allowed_variable_names();
  return org;
}

// Well-formed, all different, and none that would be taken anyway.
absl::Status CheckAllowedNames(const v1::Org& org) {
  constexpr char kField[] = "org.allowed_variable_names";
  if (org.allowed_variable_names_size() > kMaxAllowedNames) {
    return InvalidField(kField, "more than 64", "Allow fewer names.");
  }
  absl::flat_hash_set<absl::string_view> seen;
  for (int i = 0; i < org.allowed_variable_names_size(); ++i) {
    const std::string& name = org.allowed_variable_names(i);
    const std::string field = absl::StrCat(kField, "[", i, "]");
    RETURN_IF_ERROR(CheckVariableForm(name, field));
    if (!IsHijackingName(name)) {
      return InvalidField(field, "needs no permission", "Leave it out: every organization may use this name.");
    }
    if (!seen.insert(name).second) return InvalidField(field, "named twice", "Name it once.");
  }
  return absl::OkStatus();
}

void SetAllowedNames(const v1::Org& org, records::OrgRecord* record) {
  *record->mutable_allowed_variable_names() = org.allowed_variable_names();
  std::sort(record->mutable_allowed_variable_names()->begin(), record->mutable_allowed_variable_names()->end());
}

// Tells a keyring that is missing since the org is being deleted from one that somebody has taken away.
absl::Status MarkDeleting(storage::Store* store, const std::string& id, OrgState org) {
  org.record.set_deleting(true);
  storage::Mutation mutation;
  mutation.Put({Table::kOrg, "", "", id}, storage::SerializeSecret(org.record), /*version=*/1, org.revision);
  return store->Commit(mutation, storage::Durability::kSynced).status();
}

// What a commit must also remove from the system space with the org.
absl::StatusOr<storage::Mutation> SystemRecordsOf(const storage::StoreView& view, const std::string& org) {
  storage::Mutation mutation;
  mutation.Delete({Table::kOrg, "", "", org}, std::nullopt);
  absl::Status decoded;
  RETURN_IF_ERROR(view.ScanAll(Table::kToken, org, [&](storage::Record record) {
    records::TokenRecord token;
    decoded = storage::ParseSecretInto(record.payload, token);
    if (decoded.ok()) {
      mutation.Delete({Table::kTokenIndex, "", "", absl::BytesToHexString(token.hash())}, std::nullopt);
    }
    return decoded.ok();
  }));
  RETURN_IF_ERROR(decoded);
  RETURN_IF_ERROR(view.ScanAll(Table::kWorkload, org, [&](storage::Record record) {
    records::WorkloadRecord workload;
    decoded = storage::ParseSecretInto(record.payload, workload);
    if (decoded.ok()) DeleteIdentities(workload, &mutation);
    return decoded.ok();
  }));
  RETURN_IF_ERROR(decoded);
  return mutation;
}

}  // namespace

absl::StatusOr<v1::Org> OrgRules::GetOrg(const Caller& caller, const v1::GetOrgRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName name, AuthorizeOrg(caller, Action::kSee, request.name(), "name"));
  ASSIGN_OR_RETURN(const OrgState org, ReadOrg(*context_.store->View(), name.org));
  return ToProto(org.record);
}

absl::StatusOr<v1::Org> OrgRules::UpdateOrg(const Caller& caller, const v1::UpdateOrgRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName name, AuthorizeOrg(caller, Action::kUpdate, request.org().name(), "org.name"));
  absl::flat_hash_set<std::string> set;
  if (!request.org().display_name().empty()) set.insert("display_name");
  if (request.org().tier() != v1::TIER_UNSPECIFIED) set.insert("tier");
  if (request.org().allowed_variable_names_size() > 0) set.insert("allowed_variable_names");
  ASSIGN_OR_RETURN(const auto paths, MaskPaths(request.update_mask(),
                                               {"display_name", "tier", "allowed_variable_names"}, std::move(set)));
  RETURN_IF_ERROR(CheckDisplayName(request.org().display_name(), "org.display_name"));
  if (paths.contains("tier") &&
      (request.org().tier() == v1::TIER_UNSPECIFIED || !v1::Tier_IsValid(request.org().tier()))) {
    return InvalidField("org.tier", "not a tier", "Use TIER_FREE, TIER_TEAM, TIER_BUSINESS or TIER_ENTERPRISE.");
  }
  RETURN_IF_ERROR(CheckAllowedNames(request.org()));
  absl::MutexLock lock(context_.changes);
  const auto view = context_.store->View();
  ASSIGN_OR_RETURN(OrgState org, ReadOrg(*view, name.org));
  RETURN_IF_ERROR(CheckEtag(request.org().etag(), EtagOfOrg(org.record), name.Name()));
  const int64_t now = context_.NowNanos();
  storage::Mutation mutation;
  if (paths.contains("display_name")) org.record.set_display_name(request.org().display_name());
  if (paths.contains("allowed_variable_names")) SetAllowedNames(request.org(), &org.record);
  if (paths.contains("tier") && org.record.tier() != request.org().tier()) {
    org.record.set_tier(request.org().tier());
    if (request.org().tier() == v1::TIER_TEAM) {
      RETURN_IF_ERROR(PutEveryUserInDefaultTeam(*view, name.org, now, &mutation));
    }
  }
  org.record.set_update_time(now);
  org.record.clear_deleting();
  mutation.Put({Table::kOrg, "", "", name.org}, storage::SerializeSecret(org.record), /*version=*/1, org.revision);
  const auto committed = CommitAudited(context_.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), name.Name());
  return ToProto(org.record);
}

absl::Status OrgRules::PutEveryUserInDefaultTeam(const storage::StoreView& view, const std::string& org, int64_t now,
                                                 storage::Mutation* mutation) const {
  const std::string team(kDefaultTeam);
  const std::string org_name = absl::StrCat("orgs/", org);
  const auto exists = view.Contains({Table::kTeam, org, "", team});
  if (!exists.ok()) return FromStore(exists.status(), org_name);
  if (!*exists) PutTeam(org, team, "", now, mutation);
  const auto users = ScanRecords<records::UserRecord>(view, Table::kUser, org, "");
  if (!users.ok()) return FromStore(users.status(), org_name);
  for (const auto& user : *users) {
    const auto member = view.Contains({Table::kMembership, org, absl::StrCat("users/", user.record.id()), team});
    if (!member.ok()) return FromStore(member.status(), org_name);
    if (!*member) PutMembership(org, team, user.record.id(), v1::TEAM_ROLE_MEMBER, now, mutation);
  }
  return absl::OkStatus();
}

absl::StatusOr<google::protobuf::Empty> OrgRules::DeleteOrg(const Caller& caller,
                                                            const v1::DeleteOrgRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName name, AuthorizeOrg(caller, Action::kDelete, request.name(), "name"));
  if (request.etag().empty()) {
    return InvalidField("etag", "required", "Read the organization with GetOrg and send its etag.");
  }
  absl::MutexLock lock(context_.changes);
  auto view = context_.store->View();
  ASSIGN_OR_RETURN(const OrgState org, ReadOrg(*view, name.org));
  RETURN_IF_ERROR(CheckEtag(request.etag(), EtagOfOrg(org.record), name.Name()));
  auto system_records = SystemRecordsOf(*view, name.org);
  if (!system_records.ok()) return FromStore(system_records.status(), name.Name());
  view.reset();  // It would keep the org's files alive.
  const absl::Status marked = MarkDeleting(context_.store, name.org, org);
  if (!marked.ok()) return FromStore(marked, name.Name());
  const absl::Status destroyed = context_.store->DestroyOrg(name.org);
  // Past the deadline the org is destroyed all the same; only its last bytes are still being purged.
  if (!destroyed.ok() && !absl::IsDeadlineExceeded(destroyed)) return FromStore(destroyed, name.Name());
  // The org's own log is gone with it.
  if (caller.record != nullptr) caller.record->org.clear();
  const auto committed = CommitAudited(context_.store, caller, *std::move(system_records));
  if (!committed.ok()) return FromStore(committed.status(), name.Name());
  return google::protobuf::Empty();
}

absl::StatusOr<v1::OrgEncryption> OrgRules::Encryption(const std::string& org) const {
  const std::string name = absl::StrCat("orgs/", org);
  const auto info = context_.store->GetKeyringInfo(org);
  if (!info.ok()) return FromStore(info.status(), name);
  v1::OrgEncryption encryption;
  encryption.set_name(name);
  encryption.set_current_key_id(info->current_key_id);
  encryption.set_key_count(info->key_count);
  encryption.set_seal_count(static_cast<int64_t>(info->seal_count));
  return encryption;
}

absl::StatusOr<v1::OrgEncryption> OrgRules::GetOrgEncryption(const Caller& caller,
                                                             const v1::GetOrgEncryptionRequest& request) const {
  // Key facts are the administrators' business: what may update the org may see them.
  ASSIGN_OR_RETURN(const ParentName name, AuthorizeOrg(caller, Action::kUpdate, request.name(), "name"));
  return Encryption(name.org);
}

absl::StatusOr<v1::OrgEncryption> OrgRules::RotateOrgDataKey(const Caller& caller,
                                                             const v1::RotateOrgDataKeyRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName name, AuthorizeOrg(caller, Action::kUpdate, request.name(), "name"));
  const absl::Status rotated = context_.store->RotateDataKey(name.org);
  if (!rotated.ok()) return FromStore(rotated, name.Name());
  return Encryption(name.org);
}

}  // namespace keyferry::server
