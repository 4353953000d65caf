#ifndef KEYFERRY_SERVER_IDENTITY_CALLER_H_
#define KEYFERRY_SERVER_IDENTITY_CALLER_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "keyferry/v1/directory.pb.h"

namespace keyferry::server {

enum class PrincipalKind { kUser, kService, kWorkload };

// Who is calling, with everything that the access decision needs. Made by the Authenticator from one snapshot; valid for
// one request.
struct Caller {
  PrincipalKind kind = PrincipalKind::kUser;
  // Organization id and the principal's own id: `orgs/{org}/users/{id}`, `.../services/{id}` or `.../workloads/{id}`.
  std::string org;
  std::string id;
  v1::Tier tier = v1::TIER_UNSPECIFIED;
  // Of a user or a service; unspecified for a workload.
  v1::OrgRole role = v1::ORG_ROLE_UNSPECIFIED;
  // Team id and role, for each team of a user (suspended teams left out).
  std::vector<std::pair<std::string, v1::TeamRole>> teams;
  // Of a workload: resource names of the MCP servers that it may resolve.
  std::vector<std::string> granted_mcp_servers;
  absl::Time token_expire_time = absl::InfiniteFuture();

  // Resource name of the principal.
  std::string Name() const;
  // Role in the team, TEAM_ROLE_UNSPECIFIED if none.
  v1::TeamRole RoleIn(absl::string_view team) const;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_CALLER_H_
