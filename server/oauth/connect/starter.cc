#include "server/oauth/connect/starter.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/identity/load_user.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

// Reads a record and requires that it stays as it is. The store answers NOT_FOUND for an organization that is gone.
template <typename T>
absl::StatusOr<std::optional<Stored<T>>> ReadRequired(const storage::StoreView& view, const storage::RecordKey& key,
                                                      storage::Mutation* mutation) {
  absl::StatusOr<std::optional<Stored<T>>> found = ReadRecord<T>(view, key);
  if (absl::IsNotFound(found.status())) return std::optional<Stored<T>>();
  if (found.ok() && found->has_value() && mutation != nullptr) mutation->Require(key, (*found)->revision);
  return found;
}

absl::StatusOr<bool> FillUser(const storage::StoreView& view, const ParentName& name, const ParentName& scope,
                              storage::Mutation* mutation, Starter* starter) {
  ASSIGN_OR_RETURN(const auto record,
                   ReadRequired<records::UserRecord>(view, {Table::kUser, name.org, "", name.id}, mutation));
  if (!record.has_value()) return false;
  ASSIGN_OR_RETURN(auto user, LoadUser(view, name.org, name.id));
  if (!user.has_value()) return false;
  starter->caller = std::move(user->caller);
  starter->display_name = record->record.display_name();
  starter->create_time = user->create_time;
  if (scope.kind == ParentName::kTeam) {
    const storage::RecordKey key = {Table::kMembership, name.org, absl::StrCat("users/", name.id), scope.id};
    RETURN_IF_ERROR(ReadRequired<records::MembershipRecord>(view, key, mutation).status());
  }
  return true;
}

absl::StatusOr<bool> FillService(const storage::StoreView& view, const ParentName& name, storage::Mutation* mutation,
                                 Starter* starter) {
  ASSIGN_OR_RETURN(const auto record,
                   ReadRequired<records::ServiceRecord>(view, {Table::kService, name.org, "", name.id}, mutation));
  if (!record.has_value()) return false;
  starter->caller.kind = PrincipalKind::kService;
  starter->caller.org = name.org;
  starter->caller.id = name.id;
  starter->caller.role = static_cast<v1::OrgRole>(record->record.role());
  starter->display_name = record->record.display_name();
  starter->create_time = record->record.create_time();
  return true;
}

}  // namespace

absl::StatusOr<std::optional<Starter>> LoadStarter(const storage::StoreView& view, const std::string& principal,
                                                   const ParentName& scope, storage::Mutation* mutation) {
  const absl::StatusOr<ParentName> name = ParseParent(principal, "principal");
  if (!name.ok() || (name->kind != ParentName::kUser && name->kind != ParentName::kService)) {
    return std::optional<Starter>();
  }
  ASSIGN_OR_RETURN(const auto org, ReadRequired<records::OrgRecord>(view, {Table::kOrg, "", "", name->org}, mutation));
  if (!org.has_value()) return std::optional<Starter>();
  Starter starter;
  ASSIGN_OR_RETURN(const bool exists, name->kind == ParentName::kUser ? FillUser(view, *name, scope, mutation, &starter)
                                                                      : FillService(view, *name, mutation, &starter));
  if (!exists) return std::optional<Starter>();
  starter.caller.tier = static_cast<v1::Tier>(org->record.tier());
  return std::optional<Starter>(std::move(starter));
}

}  // namespace keyferry::server
