#include <algorithm>
#include <initializer_list>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "server/access/access.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

// How a caller stands to a resource of its own org. A caller may stand in several relations at once; what any of them
// allows is allowed.
enum class Relation {
  // A user or service with org role ADMIN.
  kOrgAdmin,
  // A user or service with any org role.
  kOrgMember,
  // A user with any org role: values go to people and workloads, not to services.
  kOrgUser,
  // OWNER or ADMIN of the resource's team.
  kTeamLead,
  // Any role in the resource's team.
  kTeamMember,
  // The user that the resource belongs to, or is.
  kSelf,
  // A workload that was granted the MCP server by name.
  kGranted,
  // A service that may create sessions for the org's users.
  kSessionMaker,
  // The user or service that made the resource.
  kCreator,
  // The principal, workloads too, whose watch made the record of a process.
  kWatcher,
  // Every authenticated caller.
  kAnyone,
};

constexpr unsigned Bit(Action action) { return 1u << static_cast<unsigned>(action); }
constexpr unsigned kSee = Bit(Action::kSee);
constexpr unsigned kCreate = Bit(Action::kCreate);
constexpr unsigned kUpdate = Bit(Action::kUpdate);
constexpr unsigned kDelete = Bit(Action::kDelete);
constexpr unsigned kResolve = Bit(Action::kResolve);
constexpr unsigned kManage = kSee | kCreate | kUpdate | kDelete;

struct Row {
  ResourceKind kind;
  Relation relation;
  unsigned actions;
};

// The policy: what is not in this table is not allowed.
constexpr Row kPolicy[] = {
    {ResourceKind::kOrgCredential, Relation::kOrgAdmin, kManage},
    {ResourceKind::kOrgCredential, Relation::kOrgMember, kSee},

    {ResourceKind::kTeamCredential, Relation::kOrgAdmin, kSee | kDelete},
    {ResourceKind::kTeamCredential, Relation::kTeamLead, kManage},
    {ResourceKind::kTeamCredential, Relation::kTeamMember, kSee},

    {ResourceKind::kUserCredential, Relation::kSelf, kManage},

    {ResourceKind::kOauthProvider, Relation::kOrgAdmin, kManage},
    {ResourceKind::kOauthProvider, Relation::kOrgMember, kSee},

    {ResourceKind::kConnectionAttempt, Relation::kCreator, kSee},

    {ResourceKind::kOrgMcpServer, Relation::kOrgAdmin, kManage},
    {ResourceKind::kOrgMcpServer, Relation::kOrgMember, kSee},
    {ResourceKind::kOrgMcpServer, Relation::kOrgUser, kResolve},
    {ResourceKind::kOrgMcpServer, Relation::kGranted, kResolve},

    {ResourceKind::kTeamMcpServer, Relation::kOrgAdmin, kManage},
    {ResourceKind::kTeamMcpServer, Relation::kTeamLead, kManage},
    {ResourceKind::kTeamMcpServer, Relation::kTeamMember, kSee | kResolve},
    {ResourceKind::kTeamMcpServer, Relation::kGranted, kResolve},

    {ResourceKind::kOrg, Relation::kOrgAdmin, kManage},
    {ResourceKind::kOrg, Relation::kOrgMember, kSee},

    {ResourceKind::kUser, Relation::kOrgAdmin, kManage},
    {ResourceKind::kUser, Relation::kSelf, kSee},

    {ResourceKind::kTeam, Relation::kOrgAdmin, kManage},
    {ResourceKind::kTeam, Relation::kTeamMember, kSee},

    {ResourceKind::kTeamMember, Relation::kOrgAdmin, kManage},
    {ResourceKind::kTeamMember, Relation::kTeamLead, kManage},
    {ResourceKind::kTeamMember, Relation::kTeamMember, kSee},

    {ResourceKind::kService, Relation::kOrgAdmin, kManage},
    {ResourceKind::kWorkload, Relation::kOrgAdmin, kManage},

    {ResourceKind::kToken, Relation::kOrgAdmin, kManage},
    {ResourceKind::kToken, Relation::kSelf, kManage},

    {ResourceKind::kSession, Relation::kOrgAdmin, kSee | kDelete},
    {ResourceKind::kSession, Relation::kSelf, kSee | kCreate | kDelete},
    {ResourceKind::kSession, Relation::kSessionMaker, kCreate},
    {ResourceKind::kSession, Relation::kCreator, kSee | kDelete},

    {ResourceKind::kProcess, Relation::kOrgAdmin, kDelete},
    {ResourceKind::kProcess, Relation::kWatcher, kUpdate | kDelete},

    {ResourceKind::kOwnIdentity, Relation::kAnyone, kSee},

    {ResourceKind::kAuditLog, Relation::kOrgAdmin, kUpdate},
    {ResourceKind::kAuditLog, Relation::kAnyone, kSee},
    {ResourceKind::kAuditEntry, Relation::kOrgAdmin, kSee},
    {ResourceKind::kAuditEntry, Relation::kTeamLead, kSee},
    {ResourceKind::kAuditEntry, Relation::kSelf, kSee},
    {ResourceKind::kOwnAuditEntry, Relation::kAnyone, kSee},
};

bool IsMcpServer(ResourceKind kind) {
  return kind == ResourceKind::kOrgMcpServer || kind == ResourceKind::kTeamMcpServer;
}

bool Stands(const Caller& caller, Relation relation, const Resource& resource) {
  const bool workload = caller.kind == PrincipalKind::kWorkload;
  const bool user = caller.kind == PrincipalKind::kUser;
  switch (relation) {
    case Relation::kOrgAdmin:
      return !workload && caller.role == v1::ORG_ROLE_ADMIN;
    case Relation::kOrgMember:
      return !workload && (caller.role == v1::ORG_ROLE_ADMIN || caller.role == v1::ORG_ROLE_MEMBER);
    case Relation::kOrgUser:
      return user && (caller.role == v1::ORG_ROLE_ADMIN || caller.role == v1::ORG_ROLE_MEMBER);
    case Relation::kTeamLead: {
      const v1::TeamRole role = user && !resource.team.empty() ? caller.RoleIn(resource.team) : v1::TeamRole();
      return role == v1::TEAM_ROLE_OWNER || role == v1::TEAM_ROLE_ADMIN;
    }
    case Relation::kTeamMember:
      return user && !resource.team.empty() && caller.RoleIn(resource.team) != v1::TEAM_ROLE_UNSPECIFIED;
    case Relation::kSelf:
      return user && !resource.user.empty() && caller.id == resource.user;
    case Relation::kGranted:
      return workload && IsMcpServer(resource.kind) && !resource.name.empty() &&
             std::find(caller.granted_mcp_servers.begin(), caller.granted_mcp_servers.end(), resource.name) !=
                 caller.granted_mcp_servers.end();
    case Relation::kSessionMaker:
      return caller.kind == PrincipalKind::kService && caller.can_create_sessions;
    case Relation::kCreator:
      return !workload && !resource.creator.empty() && caller.Name() == resource.creator;
    case Relation::kWatcher:
      return !resource.creator.empty() && caller.Name() == resource.creator;
    case Relation::kAnyone:
      return true;
  }
  return false;
}

unsigned AllowedActions(const Caller& caller, const Resource& resource) {
  if (caller.org.empty() || caller.org != resource.org) return 0;
  unsigned allowed = 0;
  for (const Row& row : kPolicy) {
    if (row.kind == resource.kind && Stands(caller, row.relation, resource)) allowed |= row.actions;
  }
  return allowed;
}

// Where a new resource of the kind would be made. A refused create says PERMISSION_DENIED if the caller may see that
// place: it tells nothing about what stands there.
Resource PlaceOf(const Resource& resource) {
  Resource place = resource;
  switch (resource.kind) {
    case ResourceKind::kTeamCredential:
    case ResourceKind::kTeamMcpServer:
    case ResourceKind::kTeamMember:
      place.kind = ResourceKind::kTeam;
      break;
    case ResourceKind::kUserCredential:
      place.kind = ResourceKind::kUser;
      break;
    case ResourceKind::kToken:
      place.kind = resource.user.empty() ? ResourceKind::kService : ResourceKind::kUser;
      break;
    default:
      place.kind = ResourceKind::kOrg;
  }
  return place;
}

// Who stands in the relation, as an error says it; "" for those that nobody can be asked for.
absl::string_view WhoStands(Relation relation) {
  switch (relation) {
    case Relation::kOrgAdmin:
      return "an ADMIN of the organization";
    case Relation::kOrgMember:
    case Relation::kOrgUser:
      return "a user of the organization";
    case Relation::kTeamLead:
      return "an OWNER or ADMIN of the team";
    case Relation::kTeamMember:
      return "a member of the team";
    case Relation::kSelf:
      return "the user themselves";
    case Relation::kGranted:
      return "a workload that was granted it";
    case Relation::kSessionMaker:
      return "a service that may create sessions";
    case Relation::kCreator:
      return "who made it";
    case Relation::kWatcher:
    case Relation::kAnyone:
      return "";
  }
  return "";
}

// Who may do what the caller may not, by the table, and what an org ADMIN who is not among them can do about it.
std::string NextStep(const Caller& caller, Action action, const Resource& resource) {
  std::vector<absl::string_view> who;
  bool leaders_alone = true;
  std::string remedy;
  const bool admin = Stands(caller, Relation::kOrgAdmin, resource);
  for (const Row& row : kPolicy) {
    if (row.kind != resource.kind || (row.actions & Bit(action)) == 0 || WhoStands(row.relation).empty()) continue;
    who.push_back(WhoStands(row.relation));
    leaders_alone = leaders_alone && (row.relation == Relation::kOrgAdmin || row.relation == Relation::kTeamLead);
    if (!admin) continue;
    if (row.relation == Relation::kTeamLead || row.relation == Relation::kTeamMember) {
      const bool user = caller.kind == PrincipalKind::kUser;
      remedy = absl::StrCat(" An ADMIN of the organization can ", user ? "become one" : "make a user one",
                            ": `keyferry team add-member ", resource.team, " ", user ? caller.id : "USER",
                            row.relation == Relation::kTeamLead ? " --role admin`." : "`.");
    } else if (row.relation == Relation::kSessionMaker) {
      remedy =
          " An ADMIN of the organization can give a service that right: `keyferry service create ID "
          "--can-create-sessions`.";
    }
  }
  if (who.empty()) return "Nobody may do this.";
  const std::string last(who.back());
  who.pop_back();
  const std::string all = who.empty() ? last : absl::StrCat(absl::StrJoin(who, ", "), " or ", last);
  return absl::StrCat(leaders_alone ? absl::StrCat("Ask ", all, ".") : absl::StrCat("Only ", all, " may do this."),
                      remedy);
}

}  // namespace

Decision Decide(const Caller& caller, Action action, const Resource& resource) {
  const unsigned allowed = AllowedActions(caller, resource);
  if ((allowed & Bit(action)) != 0) return Decision::kAllow;
  const unsigned seen = action == Action::kCreate ? allowed | AllowedActions(caller, PlaceOf(resource)) : allowed;
  return (seen & kSee) != 0 ? Decision::kDeny : Decision::kHide;
}

absl::Status Authorize(const Caller& caller, Action action, const Resource& resource) {
  const Decision decision = Decide(caller, action, resource);
  if (caller.access != nullptr) ++(decision == Decision::kAllow ? caller.access->allowed : caller.access->refused);
  switch (decision) {
    case Decision::kAllow:
      return absl::OkStatus();
    case Decision::kHide:
      return NotFound(resource.name);
    case Decision::kDeny:
      break;
  }
  v1::ErrorDetail detail;
  detail.set_reason("PERMISSION_DENIED");
  detail.set_resource(resource.name);
  detail.set_next_step(NextStep(caller, action, resource));
  return MakeError(absl::StatusCode::kPermissionDenied, absl::StrCat(resource.name, ": not permitted"), detail);
}

}  // namespace keyferry::server
