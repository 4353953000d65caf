#include "server/directory/teams.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/audit/call_record.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::RecordKey;
using storage::Table;

Resource TeamResource(const ChildName& name) {
  return {ResourceKind::kTeam, name.parent.org, /*team=*/name.id, /*user=*/"", name.Name("teams")};
}

v1::Team ToProto(const std::string& org, v1::Tier tier, const records::TeamRecord& record) {
  v1::Team team;
  team.set_name(absl::StrCat("orgs/", org, "/teams/", record.id()));
  team.set_display_name(record.display_name());
  *team.mutable_create_time() = ToTimestamp(record.create_time());
  team.set_suspended(IsTeamSuspended(tier, record.id()));
  team.set_etag(EtagOf(record));
  return team;
}

absl::StatusOr<Stored<records::TeamRecord>> ReadTeam(const storage::StoreView& view, const ChildName& name) {
  auto found = ReadRecord<records::TeamRecord>(view, {Table::kTeam, name.parent.org, "", name.id});
  if (!found.ok()) return FromStore(found.status(), name.Name("teams"));
  if (!found->has_value()) return NotFound(name.Name("teams"));
  return std::move(**found);
}

absl::Status TierLimit(absl::string_view resource, absl::string_view message, absl::string_view next_step) {
  v1::ErrorDetail detail;
  detail.set_reason("TIER_LIMIT");
  detail.set_resource(std::string(resource));
  detail.set_next_step(std::string(next_step));
  return MakeError(absl::StatusCode::kFailedPrecondition, absl::StrCat(resource, ": ", message), detail);
}

}  // namespace

absl::StatusOr<v1::Team> TeamRules::CreateTeam(const Caller& caller, const v1::CreateTeamRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseOrg(request.parent(), "parent"));
  RETURN_IF_ERROR(CheckId(request.team_id(), "team_id"));
  const ChildName name{parent, request.team_id()};
  RETURN_IF_ERROR(Authorize(caller, Action::kCreate, TeamResource(name)));
  RETURN_IF_ERROR(CheckDisplayName(request.team().display_name(), "team.display_name"));
  absl::MutexLock lock(context_.changes);
  const auto view = context_.store->View();
  ASSIGN_OR_RETURN(const OrgState org, ReadOrg(*view, parent.org));
  const auto exists = view->Contains({Table::kTeam, parent.org, "", name.id});
  if (!exists.ok()) return FromStore(exists.status(), name.Name("teams"));
  if (*exists) return AlreadyExists(name.Name("teams"));
  if (IsTeamSuspended(static_cast<v1::Tier>(org.record.tier()), name.id)) {
    return TierLimit(name.Name("teams"), "the organization's tier does not include this team",
                     "Raise the organization's tier to BUSINESS first.");
  }
  storage::Mutation mutation;
  // A write that raced with the deletion of an earlier team of this id must not become this one's.
  RETURN_IF_ERROR(
      DeleteEverythingBelow(*view, parent.org, absl::StrCat("teams/", name.id), context_.clock(), &mutation));
  const int64_t now = context_.NowNanos();
  PutTeam(parent.org, name.id, request.team().display_name(), now, &mutation);
  const auto committed = CommitCounted(context_.store, &counts_, caller, parent.org, std::move(mutation));
  if (!committed.ok()) return FromStore(committed, name.Name("teams"));
  ASSIGN_OR_RETURN(const auto team, ReadTeam(*context_.store->View(), name));
  return ToProto(parent.org, static_cast<v1::Tier>(org.record.tier()), team.record);
}

absl::StatusOr<v1::Team> TeamRules::GetTeam(const Caller& caller, const v1::GetTeamRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseOrgChild(request.name(), "teams", "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, TeamResource(name)));
  ASSIGN_OR_RETURN(const auto team, ReadTeam(*context_.store->View(), name));
  return ToProto(name.parent.org, caller.tier, team.record);
}

absl::StatusOr<v1::ListTeamsResponse> TeamRules::ListTeams(const Caller& caller,
                                                           const v1::ListTeamsRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName parent, ParseOrg(request.parent(), "parent"));
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, {ResourceKind::kOrg, parent.org, "", "", parent.Name()}));
  const auto all = ScanRecords<records::TeamRecord>(*context_.store->View(), Table::kTeam, parent.org, "");
  if (!all.ok()) return FromStore(all.status(), parent.Name());
  std::map<std::string, const records::TeamRecord*> visible;
  std::vector<std::string> ids;
  for (const auto& team : *all) {
    if (Decide(caller, Action::kSee, TeamResource({parent, team.record.id()})) != Decision::kAllow) continue;
    visible[team.record.id()] = &team.record;
    ids.push_back(team.record.id());
  }
  ASSIGN_OR_RETURN(const IdPage page, MakePage(*context_.pages, caller, "ListTeams", request.parent(),
                                               request.page_size(), request.page_token(), std::move(ids)));
  v1::ListTeamsResponse response;
  for (const std::string& id : page.ids) *response.add_teams() = ToProto(parent.org, caller.tier, *visible.at(id));
  response.set_next_page_token(page.next_page_token);
  return response;
}

absl::StatusOr<google::protobuf::Empty> TeamRules::DeleteTeam(const Caller& caller,
                                                              const v1::DeleteTeamRequest& request) const {
  ASSIGN_OR_RETURN(const ChildName name, ParseOrgChild(request.name(), "teams", "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kDelete, TeamResource(name)));
  absl::MutexLock lock(context_.changes);
  const auto view = context_.store->View();
  ASSIGN_OR_RETURN(const OrgState org, ReadOrg(*view, name.parent.org));
  ASSIGN_OR_RETURN(const auto team, ReadTeam(*view, name));
  if (org.record.tier() == v1::TIER_TEAM && name.id == kDefaultTeam) {
    return TierLimit(request.name(), "is the one team of the organization's tier", "Change the tier first.");
  }
  const std::string below = absl::StrCat("teams/", name.id);
  storage::Mutation mutation;
  mutation.Delete({Table::kTeam, name.parent.org, "", name.id}, team.revision);
  RETURN_IF_ERROR(DeleteEverythingBelow(*view, name.parent.org, below, context_.clock(), &mutation));
  const auto members = ScanRecords<records::TeamMemberRecord>(*view, Table::kTeamMember, name.parent.org, below);
  if (!members.ok()) return FromStore(members.status(), request.name());
  for (const auto& member : *members) DeleteMembership(name.parent.org, name.id, member.record.user(), &mutation);
  const auto committed = CommitAudited(context_.store, caller, std::move(mutation));
  if (!committed.ok()) return FromStore(committed.status(), request.name());
  RETURN_IF_ERROR(SweepBelow(context_.store, name.parent.org, below, context_.clock()));
  return google::protobuf::Empty();
}

}  // namespace keyferry::server
