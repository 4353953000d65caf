#include "server/sessions/session_verifier.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/access/access.h"
#include "server/errors.h"
#include "server/identity/load_user.h"
#include "server/identity/token_text.h"
#include "server/mcpservers/definition.h"
#include "server/records.h"
#include "server/sessions/session_keys.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr char kResource[] = "the session";

absl::Status Refuse(absl::StatusCode code, absl::string_view reason, absl::string_view resource,
                    absl::string_view problem, absl::string_view next_step) {
  v1::ErrorDetail detail;
  detail.set_reason(std::string(reason));
  detail.set_resource(std::string(resource));
  detail.set_next_step(std::string(next_step));
  return MakeError(code, absl::StrCat(resource.empty() ? "the session's token" : resource, ": ", problem), detail);
}

absl::Status Malformed() {
  return Refuse(absl::StatusCode::kUnauthenticated, "SESSION_MALFORMED", "", "not a session's token",
                "Check that it was copied whole and unchanged, and that it is not an API token.");
}

absl::Status Unknown() {
  return Refuse(absl::StatusCode::kUnauthenticated, "SESSION_UNKNOWN", "",
                "not known, revoked, or its user was deleted", "Ask who made the session for a new one.");
}

absl::Status Expired() {
  return Refuse(absl::StatusCode::kUnauthenticated, "SESSION_EXPIRED", "", "the session has ended",
                "Ask who made the session for a new one.");
}

absl::Status NotAllowed(absl::string_view resource, absl::string_view problem, absl::string_view next_step) {
  return Refuse(absl::StatusCode::kPermissionDenied, "SESSION_NOT_ALLOWED", resource, problem, next_step);
}

absl::Status NotAMember(absl::string_view team) {
  return Refuse(absl::StatusCode::kPermissionDenied, "NOT_A_TEAM_MEMBER", team,
                "the session's user is not a member, and its credentials answer for its members alone",
                "Ask an OWNER or ADMIN of the team to add the user.");
}

// What the session's user may launch, by the one policy.
absl::Status CheckUser(const Caller& user, const records::SessionRecord& session, const ChildName& mcp_server) {
  const std::string server_name = mcp_server.Name("mcpServers");
  if (Decide(user, Action::kResolve, McpServerResource(mcp_server.parent, server_name)) != Decision::kAllow) {
    if (mcp_server.parent.kind == ParentName::kTeam) return NotAMember(mcp_server.parent.Name());
    return NotAllowed(server_name, "the session's user may not launch it", "Ask an ADMIN of the organization.");
  }
  if (session.team().empty()) return absl::OkStatus();
  const absl::StatusOr<ParentName> team = ParseParent(session.team(), "team");
  if (!team.ok() || user.RoleIn(team->id) == v1::TEAM_ROLE_UNSPECIFIED) return NotAMember(session.team());
  return absl::OkStatus();
}

}  // namespace

SessionVerifier::SessionVerifier(storage::Store* store, Clock clock, size_t max_cached)
    : store_(store), clock_(std::move(clock)), max_cached_(max_cached) {}

absl::StatusOr<ActiveSession> SessionVerifier::Verify(const storage::StoreView& view, uint64_t stamp,
                                                      const Caller& workload, absl::string_view text,
                                                      const ChildName& mcp_server) {
  if (workload.kind != PrincipalKind::kWorkload || !workload.can_use_sessions) {
    return NotAllowed(workload.Name(), "may act in no session",
                      workload.kind == PrincipalKind::kWorkload
                          ? "Ask an ADMIN of the organization to let the workload use sessions."
                          : "Leave the session out: only a workload acts in sessions, and a user is their own.");
  }
  const std::optional<SessionToken> token = ParseSessionText(text);
  if (!token.has_value()) return Malformed();
  if (token->payload.org() != workload.org) return Unknown();
  RETURN_IF_ERROR(FromStore(CheckSignature(view, stamp, text, *token), kResource));
  const absl::Time now = clock_();
  if (now >= absl::FromUnixSeconds(token->payload.expire_time_seconds())) return Expired();
  ASSIGN_OR_RETURN(const records::SessionRecord session, ReadSession(view, *token));
  if (absl::ToUnixNanos(now) >= session.expire_time()) return Expired();

  const absl::StatusOr<ParentName> user = ParseParent(session.user(), "user");
  if (!user.ok() || user->org != workload.org) return Unknown();
  const auto loaded = LoadUser(view, user->org, user->id);
  if (!loaded.ok()) return FromStore(loaded.status(), kResource);
  if (!loaded->has_value() || (*loaded)->create_time != session.user_create_time()) return Unknown();

  ActiveSession active;
  active.name = absl::StrCat("orgs/", workload.org, "/sessions/", session.id());
  active.user = user->id;
  active.user_create_time = (*loaded)->create_time;
  if (!session.workload().empty() && session.workload() != workload.Name()) {
    return NotAllowed(active.name, "another workload's", "Present it as the workload that it was made for.");
  }
  const std::string server_name = mcp_server.Name("mcpServers");
  if (std::find(session.mcp_servers().begin(), session.mcp_servers().end(), server_name) ==
      session.mcp_servers().end()) {
    return NotAllowed(active.name, absl::StrCat("not for ", server_name), "Ask for a session that names it.");
  }
  RETURN_IF_ERROR(CheckUser((*loaded)->caller, session, mcp_server));
  if (!session.team().empty()) active.team = session.team().substr(session.team().rfind('/') + 1);
  active.expire_time = absl::FromUnixNanos(session.expire_time());
  const std::string& org = workload.org;
  active.records = {{Table::kSession, org, "", session.id()}, {Table::kUser, org, "", user->id}};
  for (const std::string& team :
       {active.team, mcp_server.parent.kind == ParentName::kTeam ? mcp_server.parent.id : ""}) {
    if (!team.empty()) active.records.push_back({Table::kMembership, org, absl::StrCat("users/", user->id), team});
  }
  return active;
}

absl::Status SessionVerifier::CheckSignature(const storage::StoreView& view, uint64_t stamp, absl::string_view text,
                                             const SessionToken& token) {
  std::string hash = HashTokenText(text);
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (stamp_ == stamp && signed_.contains(hash)) return absl::OkStatus();
  }
  const absl::StatusOr<std::string> key = ReadSessionKey(view, token.payload.org(), token.payload.key_id());
  if (absl::IsNotFound(key.status())) return Unknown();  // The org's keyring was destroyed.
  RETURN_IF_ERROR(key.status());
  if (!token.IsSignedBy(*key)) return Unknown();
  absl::MutexLock lock(&mutex_);
  if (stamp_ < stamp || signed_.size() >= max_cached_) signed_.clear();
  if (stamp_ <= stamp) {
    stamp_ = stamp;
    signed_.insert(std::move(hash));
  }
  return absl::OkStatus();
}

absl::StatusOr<records::SessionRecord> SessionVerifier::ReadSession(const storage::StoreView& view,
                                                                    const SessionToken& token) const {
  auto found =
      ReadRecord<records::SessionRecord>(view, {Table::kSession, token.payload.org(), "", token.payload.session()});
  if (absl::IsNotFound(found.status())) return Unknown();
  if (!found.ok()) return FromStore(found.status(), kResource);
  if (!found->has_value()) return Unknown();
  return std::move((*found)->record);
}

}  // namespace keyferry::server
