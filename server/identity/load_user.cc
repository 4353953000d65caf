#include "server/identity/load_user.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {

namespace records = storage::records;
using storage::Table;

absl::StatusOr<std::optional<LoadedUser>> LoadUser(const storage::StoreView& view, const std::string& org,
                                                   const std::string& id) {
  ASSIGN_OR_RETURN(const auto user, ReadRecord<records::UserRecord>(view, {Table::kUser, org, "", id}));
  if (!user.has_value()) return std::optional<LoadedUser>();
  LoadedUser loaded;
  loaded.caller.kind = PrincipalKind::kUser;
  loaded.caller.org = org;
  loaded.caller.id = id;
  loaded.caller.role = static_cast<v1::OrgRole>(user->record.role());
  loaded.create_time = user->record.create_time();
  loaded.caller.user_create_time = loaded.create_time;
  loaded.revision = user->revision;
  loaded.issuer = user->record.issuer();
  loaded.issuer_url = user->record.issuer_url();
  loaded.subject = user->record.subject();
  loaded.claims_time = user->record.claims_time();
  ASSIGN_OR_RETURN(const auto memberships,
                   ScanRecords<records::MembershipRecord>(view, Table::kMembership, org, absl::StrCat("users/", id)));
  for (const auto& membership : memberships) {
    loaded.caller.teams.emplace_back(membership.record.team(), static_cast<v1::TeamRole>(membership.record.role()));
  }
  return std::optional<LoadedUser>(std::move(loaded));
}

}  // namespace keyferry::server
