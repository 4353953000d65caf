// Whose credentials may answer: the one place that turns a caller into a session.
#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/errors.h"
#include "server/resolution/resolver.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

absl::Status Refused(absl::string_view reason, const std::string& resource, absl::string_view problem,
                     absl::string_view next_step) {
  v1::ErrorDetail detail;
  detail.set_reason(std::string(reason));
  detail.set_resource(resource);
  detail.set_next_step(std::string(next_step));
  return MakeError(absl::StatusCode::kPermissionDenied, absl::StrCat(resource, ": ", problem), detail);
}

std::string TeamName(const std::string& org, const std::string& team) {
  return absl::StrCat("orgs/", org, "/teams/", team);
}

// For a caller who may see the team.
absl::Status NotAMember(const storage::StoreView& view, const std::string& org, const std::string& team) {
  const std::string team_name = TeamName(org, team);
  const auto exists = view.Contains({storage::Table::kTeam, org, /*parent=*/"", team});
  if (!exists.ok()) return FromStore(exists.status(), team_name);
  if (!*exists) return NotFound(team_name);
  return Refused("NOT_A_TEAM_MEMBER", team_name, "its credentials answer for its members alone",
                 "Ask an OWNER or ADMIN of the team to add the user.");
}

// The id of the team that answers: the MCP server's, or the one that the request names. Checks form only.
absl::StatusOr<std::string> TeamFor(const ChildName& server, const std::string& requested) {
  ParentName team;
  if (!requested.empty()) {
    ASSIGN_OR_RETURN(team, ParseParent(requested, "team"));
    if (team.kind != ParentName::kTeam || team.org != server.parent.org) {
      return InvalidField("team", "not a team of the MCP server's organization", "Use `orgs/{org}/teams/{team}`.");
    }
  }
  if (server.parent.kind != ParentName::kTeam) return team.id;
  if (!requested.empty() && team.id != server.parent.id) {
    return InvalidField("team", "not the MCP server's own team", "Leave it empty for a team's MCP server.");
  }
  return server.parent.id;
}

}  // namespace

absl::StatusOr<Session> Resolver::SessionFor(const Caller& caller, const ChildName& server,
                                             const std::string& requested_team) const {
  Session session;
  session.org = server.parent.org;
  ASSIGN_OR_RETURN(session.team, TeamFor(server, requested_team));
  session.team_suspended = !session.team.empty() && IsTeamSuspended(caller.tier, session.team);
  const std::string team_name = session.team.empty() ? "" : TeamName(session.org, session.team);
  if (caller.kind == PrincipalKind::kUser) {
    session.user = caller.id;
    session.user_create_time = caller.user_create_time;
    if (!session.team.empty() && caller.RoleIn(session.team) == v1::TEAM_ROLE_UNSPECIFIED) {
      const Resource team = {ResourceKind::kTeam, session.org, session.team, "", team_name};
      RETURN_IF_ERROR(Authorize(caller, Action::kSee, team));
      return NotAMember(*store_->View(), session.org, session.team);
    }
  } else if (server.parent.kind != ParentName::kTeam && !session.team.empty()) {
    return Refused("TEAM_NOT_GRANTED", server.Name("mcpServers"),
                   "a workload gets a team's credentials only for an MCP server of that team",
                   "Leave the team out, or grant the workload an MCP server of the team.");
  }
  if (server.parent.kind == ParentName::kTeam && session.team_suspended) {
    return Suspended(server.Name("mcpServers"));
  }
  return session;
}

absl::StatusOr<Session> Resolver::PresentedSession(const storage::StoreView& view, uint64_t stamp, const Caller& caller,
                                                   const ChildName& server, const v1::ResolveRequest& request,
                                                   Dependencies* dependencies) const {
  ASSIGN_OR_RETURN(const std::string requested_team, TeamFor(server, request.team()));
  ASSIGN_OR_RETURN(const ActiveSession active, sessions_.Verify(view, stamp, caller, request.session_token(), server));
  if (dependencies != nullptr) {
    dependencies->caller.insert(dependencies->caller.end(), active.records.begin(), active.records.end());
    dependencies->expire_time = active.expire_time;
  }
  Session session;
  session.org = server.parent.org;
  session.user = active.user;
  session.user_create_time = active.user_create_time;
  session.name = active.name;
  if (server.parent.kind == ParentName::kTeam) {
    session.team = server.parent.id;
  } else if (!requested_team.empty() && requested_team != active.team) {
    return Refused("TEAM_NOT_GRANTED", active.name, "names another team, or none",
                   "Leave the team out, or ask for a session that names it.");
  } else {
    session.team = active.team;
  }
  session.team_suspended = !session.team.empty() && IsTeamSuspended(caller.tier, session.team);
  if (server.parent.kind == ParentName::kTeam && session.team_suspended) {
    return Suspended(server.Name("mcpServers"));
  }
  return session;
}

absl::StatusOr<Session> Resolver::SessionForOther(const storage::StoreView& view, const Caller& caller,
                                                  const ChildName& server, const v1::ExplainRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName user, ParseParent(request.user(), "user"));
  if (user.kind != ParentName::kUser || user.org != server.parent.org) {
    return InvalidField("user", "not a user of the MCP server's organization", "Use `orgs/{org}/users/{user}`.");
  }
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, {ResourceKind::kUser, user.org, "", user.id, request.user()}));
  const auto exists = view.Contains({storage::Table::kUser, user.org, "", user.id});
  if (!exists.ok()) return FromStore(exists.status(), request.user());
  if (!*exists) return NotFound(request.user());
  Session session;
  session.org = user.org;
  session.user = user.id;
  ASSIGN_OR_RETURN(session.team, TeamFor(server, request.team()));
  if (!session.team.empty()) {
    const std::string team_name = TeamName(session.org, session.team);
    RETURN_IF_ERROR(Authorize(caller, Action::kSee, {ResourceKind::kTeam, session.org, session.team, "", team_name}));
    session.team_suspended = IsTeamSuspended(caller.tier, session.team);
    const auto member =
        view.Contains({storage::Table::kMembership, session.org, absl::StrCat("users/", user.id), session.team});
    if (!member.ok()) return FromStore(member.status(), team_name);
    if (!*member) return NotAMember(view, session.org, session.team);
  }
  if (server.parent.kind == ParentName::kTeam && session.team_suspended) {
    return Suspended(server.Name("mcpServers"));
  }
  return session;
}

}  // namespace keyferry::server
