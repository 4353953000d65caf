#include "server/identity/find_person.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/identity/load_user.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

std::string Quoted(const std::string& org, const std::string& user) {
  return absl::StrCat("`orgs/", org, "/users/", user, "`");
}

// Whether somebody can be put into the team.
absl::StatusOr<bool> TakesMembers(const storage::StoreView& view, const Caller& caller, const std::string& team) {
  if (IsTeamSuspended(caller.tier, team)) return false;
  return view.Contains({Table::kTeam, caller.org, "", team});
}

absl::StatusOr<std::vector<std::pair<std::string, v1::TeamRole>>> TeamsToChange(const storage::StoreView& view,
                                                                                const Caller& caller,
                                                                                const PersonClaims& claims) {
  std::vector<std::pair<std::string, v1::TeamRole>> changes;
  for (auto [team, role] : claims.teams) {
    // On tier TEAM every user belongs to it.
    if (caller.tier == v1::TIER_TEAM && team == kDefaultTeam) role = std::max(role, v1::TEAM_ROLE_MEMBER);
    if (caller.RoleIn(team) == role) continue;
    if (role != v1::TEAM_ROLE_UNSPECIFIED) {
      ASSIGN_OR_RETURN(const bool takes, TakesMembers(view, caller, team));
      if (!takes) continue;
    }
    changes.emplace_back(team, role);
  }
  return changes;
}

}  // namespace

absl::StatusOr<FoundPerson> FindPerson(const storage::StoreView& view, const ExternalIdentity& identity) {
  const PersonClaims& claims = *identity.person;
  FoundPerson found;
  const auto refuse = [&found](std::string why) {
    found.refusal = std::move(why);
    return found;
  };
  auto org = ReadRecord<records::OrgRecord>(view, {Table::kOrg, "", "", claims.org});
  if (!org.ok() && !absl::IsNotFound(org.status())) return org.status();
  if (!org.ok() || !org->has_value()) return refuse(absl::StrCat("there is no organization `", claims.org, "`"));
  auto user = LoadUser(view, claims.org, claims.user);
  if (absl::IsNotFound(user.status())) return refuse(absl::StrCat("there is no organization `", claims.org, "`"));
  if (!user.ok()) return user.status();
  if (!user->has_value() && !claims.may_be_created) {
    return refuse(absl::StrCat("there is no user ", Quoted(claims.org, claims.user)));
  }
  if (!user->has_value()) {
    found.caller.org = claims.org;
    found.caller.id = claims.user;
    found.plan.create = true;
  } else {
    const LoadedUser& loaded = **user;
    found.caller = loaded.caller;
    found.plan.bind = loaded.issuer.empty();
    if (found.plan.bind && claims.may_be_created) {
      return refuse(
          absl::StrCat("the user ", Quoted(claims.org, claims.user), " was not made by it; see `keyferry user bind`"));
    }
    if (!found.plan.bind && (loaded.issuer != identity.issuer || loaded.subject != identity.subject)) {
      return refuse(absl::StrCat("the user ", Quoted(claims.org, claims.user), " is somebody else"));
    }
    if (loaded.claims_time > absl::ToUnixNanos(claims.issue_time)) {
      found.caller.tier = static_cast<v1::Tier>((*org)->record.tier());
      return found;
    }
  }
  found.caller.tier = static_cast<v1::Tier>((*org)->record.tier());
  if (found.plan.create) {
    found.plan.role = claims.role == v1::ORG_ROLE_UNSPECIFIED ? v1::ORG_ROLE_MEMBER : claims.role;
  } else if (claims.role != found.caller.role) {
    found.plan.role = claims.role;
  }
  ASSIGN_OR_RETURN(found.plan.teams, TeamsToChange(view, found.caller, claims));
  return found;
}

}  // namespace keyferry::server
