#ifndef KEYFERRY_SERVER_IDENTITY_CALLER_H_
#define KEYFERRY_SERVER_IDENTITY_CALLER_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/directory.pb.h"
#include "server/identity/external_identity.h"

namespace keyferry::server {

struct CallRecord;

// What the access decisions of one call came to.
struct AccessTally {
  int allowed = 0;
  int refused = 0;
};

enum class PrincipalKind { kUser, kService, kWorkload };

// Who is calling, with everything that the access decision needs. Made by the Authenticator from one snapshot; valid
// for one request.
struct Caller {
  PrincipalKind kind = PrincipalKind::kUser;
  // Organization id and the principal's own id: `orgs/{org}/users/{id}`, `.../services/{id}` or `.../workloads/{id}`.
  std::string org;
  std::string id;
  v1::Tier tier = v1::TIER_UNSPECIFIED;
  // Of a user or a service; unspecified for a workload.
  v1::OrgRole role = v1::ORG_ROLE_UNSPECIFIED;
  // Of a user: `create_time` of their record. A later user of the same id is somebody else.
  int64_t user_create_time = 0;
  // Team id and role, for each team of a user. Suspended teams are among them, since their members still see what they
  // hold and may delete it; see IsTeamSuspended.
  std::vector<std::pair<std::string, v1::TeamRole>> teams;
  // Of a workload: resource names of the MCP servers that it may resolve.
  std::vector<std::string> granted_mcp_servers;
  // Of a service: whether it may create sessions for the org's users.
  bool can_create_sessions = false;
  // Of a workload: whether it may present users' sessions.
  bool can_use_sessions = false;
  absl::Time token_expire_time = absl::InfiniteFuture();
  // SHA-256 of the token that was presented, and where its record stands; empty if there was none.
  std::string token_hash;
  std::string token_parent;
  std::string token_id;
  // Who the caller is to the platform that runs it, or to the issuer of their ID token, if that is how they came in;
  // and of a workload the id of the record in Table::kWorkloadIdentity that says which one they call as.
  std::shared_ptr<const ExternalIdentity> external;
  std::string identity_id;
  // Where the call came from; set for streams alone, which record what they give out by themselves.
  std::string peer;
  // What this call will say of itself in the audit log (server/audit/call_record.h); null for callers that stand for no
  // call.
  CallRecord* record = nullptr;
  // Counts the decisions of this call; null for callers that stand for none.
  AccessTally* access = nullptr;

  // Resource name of the principal.
  std::string Name() const;
  // Role in the team, TEAM_ROLE_UNSPECIFIED if none.
  v1::TeamRole RoleIn(absl::string_view team) const;
};

// The one team of tier TEAM.
inline constexpr absl::string_view kDefaultTeam = "default";

// Whether `tier` does not include the scope of `team`: what it holds is seen and may be deleted, but is neither
// resolved nor written (SPEC 1).
bool IsTeamSuspended(v1::Tier tier, absl::string_view team);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_CALLER_H_
