#include "server/identity/caller.h"

#include "absl/strings/str_cat.h"

namespace keyferry::server {

std::string Caller::Name() const {
  switch (kind) {
    case PrincipalKind::kUser:
      return absl::StrCat("orgs/", org, "/users/", id);
    case PrincipalKind::kService:
      return absl::StrCat("orgs/", org, "/services/", id);
    case PrincipalKind::kWorkload:
      break;
  }
  return absl::StrCat("orgs/", org, "/workloads/", id);
}

v1::TeamRole Caller::RoleIn(absl::string_view team) const {
  for (const auto& [id, role] : teams) {
    if (id == team) return role;
  }
  return v1::TEAM_ROLE_UNSPECIFIED;
}

bool IsTeamSuspended(v1::Tier tier, absl::string_view team) {
  switch (tier) {
    case v1::TIER_BUSINESS:
    case v1::TIER_ENTERPRISE:
      return false;
    case v1::TIER_TEAM:
      return team != kDefaultTeam;
    default:
      return true;
  }
}

}  // namespace keyferry::server
