#include "server/identity/find_person.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "server/identity/load_user.h"
#include "server/identity/person_binding.h"
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

// `may_give`: not only taken away.
absl::StatusOr<std::vector<std::pair<std::string, v1::TeamRole>>> TeamsToChange(const storage::StoreView& view,
                                                                                const Caller& caller,
                                                                                const PersonClaims& claims,
                                                                                bool may_give) {
  std::vector<std::pair<std::string, v1::TeamRole>> changes;
  for (auto [team, role] : claims.teams) {
    // On tier TEAM every user belongs to it.
    if (caller.tier == v1::TIER_TEAM && team == kDefaultTeam) role = std::max(role, v1::TEAM_ROLE_MEMBER);
    const v1::TeamRole before = caller.RoleIn(team);
    if (before == role || (role > before && !may_give)) continue;
    if (role != v1::TEAM_ROLE_UNSPECIFIED) {
      ASSIGN_OR_RETURN(const bool takes, TakesMembers(view, caller, team));
      if (!takes) continue;
    }
    changes.emplace_back(team, role);
  }
  return changes;
}

// Why they are not the user, who is there, or "".
std::string WhyNotUser(const LoadedUser& user, const ExternalIdentity& identity) {
  const PersonClaims& claims = *identity.person;
  const std::string name = Quoted(claims.org, claims.user);
  if (!user.issuer.empty()) {
    const bool same =
        user.issuer == identity.issuer && user.issuer_url == identity.issuer_url && user.subject == identity.subject;
    return same ? "" : absl::StrCat("the user ", name, " is somebody else");
  }
  if (claims.may_be_created) return absl::StrCat("the user ", name, " was not made by it; see `keyferry user bind`");
  return claims.may_bind ? "" : absl::StrCat("the user ", name, " is bound to nobody; see `keyferry user bind`");
}

// Why the subject may be no user of that name, for all that the user says.
absl::StatusOr<std::string> WhyNotSubject(const storage::StoreView& view, const ExternalIdentity& identity) {
  const PersonClaims& claims = *identity.person;
  const int64_t issued = absl::ToUnixNanos(claims.issue_time);
  ASSIGN_OR_RETURN(const auto ended,
                   ReadPersonBinding(view, claims.org, kEndedPeople, identity.issuer_url, identity.subject));
  if (ended.has_value() && issued <= ended->record.end_time()) {
    return std::string("your user was deleted or unbound after this token was issued; sign in again for a new one");
  }
  ASSIGN_OR_RETURN(auto bound,
                   ReadPersonBinding(view, claims.org, kBoundPeople, identity.issuer_url, identity.subject));
  if (bound.has_value() && bound->record.user() != claims.user) {
    return absl::StrCat("you are the user ", Quoted(claims.org, bound->record.user()), " already");
  }
  // Whoever is to be made or bound is nobody yet.
  auto since = std::move(bound);
  if (!since.has_value()) {
    ASSIGN_OR_RETURN(since, ReadEndedFloor(view, claims.org));
  }
  if (since.has_value() && issued <= since->record.end_time()) {
    return std::string("this token is from before its subject could be a user here; sign in again for a new one");
  }
  return std::string();
}

// What the claims make of a user who is there.
absl::Status PlanRoles(const storage::StoreView& view, const PersonClaims& claims, int64_t claims_time,
                       FoundPerson* found) {
  const int64_t issued = absl::ToUnixNanos(claims.issue_time);
  if (issued < claims_time) return absl::OkStatus();
  const bool newer = issued > claims_time;
  found->plan.note_claims = newer && (claims.role != v1::ORG_ROLE_UNSPECIFIED || !claims.teams.empty());
  if (claims.role != found->caller.role && (newer || claims.role < found->caller.role)) found->plan.role = claims.role;
  ASSIGN_OR_RETURN(found->plan.teams, TeamsToChange(view, found->caller, claims, /*may_give=*/newer));
  return absl::OkStatus();
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
  ASSIGN_OR_RETURN(std::string why, WhyNotSubject(view, identity));
  if (!why.empty()) return refuse(std::move(why));
  if (!user->has_value()) {
    if (!claims.may_be_created) return refuse(absl::StrCat("there is no user ", Quoted(claims.org, claims.user)));
    found.caller.org = claims.org;
    found.caller.id = claims.user;
    found.caller.tier = static_cast<v1::Tier>((*org)->record.tier());
    found.plan.create = true;
    found.plan.role = claims.role == v1::ORG_ROLE_UNSPECIFIED ? v1::ORG_ROLE_MEMBER : claims.role;
    ASSIGN_OR_RETURN(found.plan.teams, TeamsToChange(view, found.caller, claims, /*may_give=*/true));
    return found;
  }
  why = WhyNotUser(**user, identity);
  if (!why.empty()) return refuse(std::move(why));
  found.caller = (*user)->caller;
  found.caller.tier = static_cast<v1::Tier>((*org)->record.tier());
  found.plan.bind = (*user)->issuer.empty();
  ASSIGN_OR_RETURN(const auto noted,
                   ReadRecord<records::PersonClaimsRecord>(view, PersonClaimsKey(claims.org, claims.user)));
  const int64_t claims_time = std::max((*user)->claims_time, noted.has_value() ? noted->record.claims_time() : 0);
  RETURN_IF_ERROR(PlanRoles(view, claims, claims_time, &found));
  return found;
}

}  // namespace keyferry::server
