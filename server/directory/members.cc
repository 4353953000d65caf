#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/audit/call_record.h"
#include "server/directory/teams.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::RecordKey;
using storage::Table;

absl::StatusOr<ChildName> ParseMember(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(ChildName member, ParseChild(name, "members", field));
  if (member.parent.kind != ParentName::kTeam) {
    return InvalidField(field, "not a member of a team", "Use `orgs/{org}/teams/{team}/members/{user}`.");
  }
  RETURN_IF_ERROR(CheckId(member.id, field));
  return member;
}

Resource MemberResource(const ParentName& team, const std::string& user, std::string name) {
  return {ResourceKind::kTeamMember, team.org, team.id, user, std::move(name)};
}

v1::TeamMember ToProto(const std::string& org, const records::TeamMemberRecord& record) {
  v1::TeamMember member;
  member.set_name(absl::StrCat("orgs/", org, "/teams/", record.team(), "/members/", record.user()));
  member.set_role(static_cast<v1::TeamRole>(record.role()));
  *member.mutable_create_time() = ToTimestamp(record.create_time());
  return member;
}

// OK if the org holds the team; NOT_FOUND naming it otherwise.
absl::Status RequireTeam(const storage::StoreView& view, const ParentName& team) {
  const auto exists = view.Contains({Table::kTeam, team.org, "", team.id});
  if (!exists.ok()) return FromStore(exists.status(), team.Name());
  return *exists ? absl::OkStatus() : NotFound(team.Name());
}

}  // namespace

absl::StatusOr<v1::TeamMember> TeamRules::SetTeamMember(const Caller& caller,
                                                        const v1::SetTeamMemberRequest& request) const {
  const std::string& member_name = request.member().name();
  ASSIGN_OR_RETURN(const ChildName name, ParseMember(member_name, "member.name"));
  const ParentName& team = name.parent;
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, MemberResource(team, name.id, member_name)));
  if (request.member().role() == v1::TEAM_ROLE_UNSPECIFIED || !v1::TeamRole_IsValid(request.member().role())) {
    return InvalidField("member.role", "not a role", "Use TEAM_ROLE_MEMBER, TEAM_ROLE_ADMIN or TEAM_ROLE_OWNER.");
  }
  absl::MutexLock lock(context_.changes);
  const auto view = context_.store->View();
  ASSIGN_OR_RETURN(const OrgState org, ReadOrg(*view, team.org));
  RETURN_IF_ERROR(RequireTeam(*view, team));
  if (IsTeamSuspended(static_cast<v1::Tier>(org.record.tier()), team.id)) return Suspended(team.Name());
  const std::string user_name = absl::StrCat("orgs/", team.org, "/users/", name.id);
  const auto user = view->Get({Table::kUser, team.org, "", name.id});
  if (!user.ok()) return FromStore(user.status(), user_name);
  if (!user->has_value()) return NotFound(user_name);
  auto member =
      ReadRecord<records::TeamMemberRecord>(*view, {Table::kTeamMember, team.org, team.RecordParent(), name.id});
  if (!member.ok()) return FromStore(member.status(), member_name);

  records::TeamMemberRecord record;
  record.set_team(team.id);
  record.set_user(name.id);
  record.set_role(request.member().role());
  record.set_create_time(member->has_value() ? (*member)->record.create_time() : context_.NowNanos());
  storage::Mutation mutation;
  mutation.Require({Table::kUser, team.org, "", name.id}, (*user)->revision);
  PutMembership(team.org, team.id, name.id, record.role(), record.create_time(), &mutation);
  const auto committed = CommitAudited(context_.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), member_name);
  return ToProto(team.org, record);
}

absl::StatusOr<v1::ListTeamMembersResponse> TeamRules::ListTeamMembers(
    const Caller& caller, const v1::ListTeamMembersRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName team, ParseParent(request.parent(), "parent"));
  if (team.kind != ParentName::kTeam) return InvalidField("parent", "not a team", "Use `orgs/{org}/teams/{team}`.");
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, MemberResource(team, "", team.Name())));
  const auto view = context_.store->View();
  RETURN_IF_ERROR(RequireTeam(*view, team));
  const auto all = ScanRecords<records::TeamMemberRecord>(*view, Table::kTeamMember, team.org, team.RecordParent());
  if (!all.ok()) return FromStore(all.status(), team.Name());
  std::map<std::string, const records::TeamMemberRecord*> by_user;
  std::vector<std::string> ids;
  for (const auto& member : *all) {
    by_user[member.record.user()] = &member.record;
    ids.push_back(member.record.user());
  }
  ASSIGN_OR_RETURN(const IdPage page, MakePage(*context_.pages, caller, "ListTeamMembers", request.parent(),
                                               request.page_size(), request.page_token(), std::move(ids)));
  v1::ListTeamMembersResponse response;
  for (const std::string& id : page.ids) *response.add_members() = ToProto(team.org, *by_user.at(id));
  response.set_next_page_token(page.next_page_token);
  return response;
}

absl::StatusOr<google::protobuf::Empty> TeamRules::RemoveTeamMember(const Caller& caller,
                                                                    const v1::RemoveTeamMemberRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseMember(request.name(), "name"));
  const ParentName& team = name.parent;
  RETURN_IF_ERROR(Authorize(caller, Action::kDelete, MemberResource(team, name.id, request.name())));
  absl::MutexLock lock(context_.changes);
  const auto view = context_.store->View();
  ASSIGN_OR_RETURN(const OrgState org, ReadOrg(*view, team.org));
  const auto member = view->Get({Table::kTeamMember, team.org, team.RecordParent(), name.id});
  if (!member.ok()) return FromStore(member.status(), request.name());
  if (!member->has_value()) return NotFound(request.name());
  if (org.record.tier() == v1::TIER_TEAM && team.id == kDefaultTeam) {
    v1::ErrorDetail detail;
    detail.set_reason("TIER_LIMIT");
    detail.set_resource(request.name());
    detail.set_next_step("Delete the user, or change the organization's tier.");
    return MakeError(absl::StatusCode::kFailedPrecondition,
                     absl::StrCat(request.name(), ": on tier TEAM every user belongs to this team"), detail);
  }
  storage::Mutation mutation;
  mutation.Require({Table::kTeamMember, team.org, team.RecordParent(), name.id}, (*member)->revision);
  mutation.Delete({Table::kMembership, team.org, absl::StrCat("users/", name.id), team.id}, std::nullopt);
  mutation.Delete({Table::kTeamMember, team.org, team.RecordParent(), name.id}, std::nullopt);
  const auto committed = CommitAudited(context_.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), request.name());
  return google::protobuf::Empty();
}

}  // namespace keyferry::server
