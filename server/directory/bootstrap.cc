#include "server/directory/bootstrap.h"

#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/audit/call_record.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

absl::Status PutAdmin(const storage::StoreView& view, const std::string& org, const std::string& admin, int64_t now,
                      storage::Mutation* mutation) {
  const storage::RecordKey key{Table::kUser, org, "", admin};
  auto found = ReadRecord<records::UserRecord>(view, key);
  if (!found.ok()) return found.status();
  records::UserRecord user;
  if (found->has_value()) {
    user = (*found)->record;
    if (user.role() == v1::ORG_ROLE_ADMIN) return absl::OkStatus();
  } else {
    user.set_id(admin);
    user.set_create_time(now);
  }
  user.set_role(v1::ORG_ROLE_ADMIN);
  user.set_update_time(now);
  mutation->Put(key, storage::SerializeSecret(user), found->has_value() ? (*found)->version + 1 : 1,
                found->has_value() ? (*found)->revision : 0);
  return absl::OkStatus();
}

// Of what the program does by itself, at the word of whoever may start it.
CallRecord OwnRecord(const DirectoryContext& context, const std::string& org, absl::string_view method,
                     const std::string& resource) {
  CallRecord record;
  record.org = org;
  *record.entry.mutable_time() = ToTimestamp(context.NowNanos());
  record.entry.set_method(std::string(method));
  record.entry.set_resource(resource);
  return record;
}

}  // namespace

absl::StatusOr<bool> EnsureOrgWithAdmin(const DirectoryContext& context, const std::string& org, v1::Tier tier,
                                        const std::string& admin) {
  RETURN_IF_ERROR(CheckId(org, "org"));
  RETURN_IF_ERROR(CheckId(admin, "admin"));
  absl::MutexLock lock(context.changes);
  const absl::Status keyring = context.store->CreateKeyring(org);
  if (!keyring.ok() && !absl::IsAlreadyExists(keyring)) return keyring;
  const auto view = context.store->View();
  const int64_t now = context.NowNanos();
  const storage::RecordKey org_key{Table::kOrg, "", "", org};
  auto found = ReadRecord<records::OrgRecord>(*view, org_key);
  if (!found.ok()) return found.status();
  const bool made = !found->has_value();
  const int effective_tier = made ? static_cast<int>(tier) : (*found)->record.tier();
  storage::Mutation mutation;
  if (made) {
    records::OrgRecord record;
    record.set_id(org);
    record.set_tier(tier);
    record.set_create_time(now);
    record.set_update_time(now);
    mutation.Put(org_key, storage::SerializeSecret(record), /*version=*/1, /*expected=*/0);
  }
  RETURN_IF_ERROR(PutAdmin(*view, org, admin, now, &mutation));
  if (effective_tier == v1::TIER_TEAM && !mutation.empty()) {
    if (made) PutTeam(org, std::string(kDefaultTeam), "", now, &mutation);
    ASSIGN_OR_RETURN(const bool member, view->Contains({Table::kMembership, org, absl::StrCat("users/", admin),
                                                        std::string(kDefaultTeam)}));
    if (!member) PutMembership(org, std::string(kDefaultTeam), admin, v1::TEAM_ROLE_MEMBER, now, &mutation);
  }
  if (mutation.empty()) return made;
  CallRecord record = OwnRecord(context, org, "keyferryd/Init", absl::StrCat("orgs/", org, "/users/", admin));
  Caller self;
  self.record = &record;
  RETURN_IF_ERROR(CommitAudited(context.store, self, std::move(mutation)).status());
  return made;
}

absl::StatusOr<bool> HasOrg(storage::Store* store) {
  const auto view = store->View();
  ASSIGN_OR_RETURN(const auto orgs, ScanRecords<records::OrgRecord>(*view, Table::kOrg, "", ""));
  return !orgs.empty();
}

absl::StatusOr<IssuedToken> IssueTokenForUser(const DirectoryContext& context, const std::string& org,
                                              const std::string& user, absl::string_view display_name,
                                              absl::Duration ttl) {
  ParentName principal;
  principal.kind = ParentName::kUser;
  principal.org = org;
  principal.id = user;
  const auto view = context.store->View();
  ASSIGN_OR_RETURN(const storage::Revision revision, FindPrincipal(*view, principal));
  CallRecord record = OwnRecord(context, org, "keyferryd/IssueToken", principal.Name());
  Caller self;
  self.record = &record;
  return IssueToken(context, self, *view, principal, revision, display_name, principal.Name(), context.clock() + ttl);
}

absl::Status FinishOrgDeletions(storage::Store* store) {
  const auto view = store->View();
  ASSIGN_OR_RETURN(const auto orgs, ScanRecords<records::OrgRecord>(*view, Table::kOrg, "", ""));
  for (const auto& org : orgs) {
    if (!org.record.deleting()) continue;
    const auto info = store->GetKeyringInfo(org.record.id());
    if (!absl::IsNotFound(info.status())) continue;
    storage::Mutation mutation;
    mutation.Delete({Table::kOrg, "", "", org.record.id()}, org.revision);
    RETURN_IF_ERROR(store->Commit(mutation, storage::Durability::kSynced).status());
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
