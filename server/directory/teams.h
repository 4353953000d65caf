#ifndef KEYFERRY_SERVER_DIRECTORY_TEAMS_H_
#define KEYFERRY_SERVER_DIRECTORY_TEAMS_H_

#include <utility>

#include "absl/status/statusor.h"
#include "google/protobuf/empty.pb.h"
#include "keyferry/v1/directory.pb.h"
#include "server/credentials/parent_counts.h"
#include "server/directory/common.h"
#include "server/identity/caller.h"

namespace keyferry::server {

// The rules of DirectoryService for teams and their members. Thread-safe.
//
// Which teams there may be is the tier's to say: none on FREE, `default` alone on TEAM, any on the others. A team that
// the tier does not include is listed as suspended, takes no new members and can be deleted. Nobody joins a team by
// creating it. On TEAM everybody stays in `default`, and `default` stays.
class TeamRules {
 public:
  // Of one org; more answer RESOURCE_EXHAUSTED with reason TOO_MANY.
  static constexpr int kMaxTeams = 1000;

  explicit TeamRules(DirectoryContext context)
      : context_(std::move(context)), counts_(context_.store, storage::Table::kTeam, kMaxTeams, "teams") {}

  absl::StatusOr<v1::Team> CreateTeam(const Caller& caller, const v1::CreateTeamRequest& request) const;
  absl::StatusOr<v1::Team> GetTeam(const Caller& caller, const v1::GetTeamRequest& request) const;
  // Those that the caller may see: an ADMIN all, a user their own.
  absl::StatusOr<v1::ListTeamsResponse> ListTeams(const Caller& caller, const v1::ListTeamsRequest& request) const;
  // In one commit with the memberships, credentials and MCP servers of the team.
  absl::StatusOr<google::protobuf::Empty> DeleteTeam(const Caller& caller, const v1::DeleteTeamRequest& request) const;

  absl::StatusOr<v1::TeamMember> SetTeamMember(const Caller& caller, const v1::SetTeamMemberRequest& request) const;
  absl::StatusOr<v1::ListTeamMembersResponse> ListTeamMembers(const Caller& caller,
                                                              const v1::ListTeamMembersRequest& request) const;
  absl::StatusOr<google::protobuf::Empty> RemoveTeamMember(const Caller& caller,
                                                           const v1::RemoveTeamMemberRequest& request) const;

 private:
  const DirectoryContext context_;
  mutable ParentCounts counts_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_DIRECTORY_TEAMS_H_
