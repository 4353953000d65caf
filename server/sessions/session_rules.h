#ifndef KEYFERRY_SERVER_SESSIONS_SESSION_RULES_H_
#define KEYFERRY_SERVER_SESSIONS_SESSION_RULES_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "google/protobuf/empty.pb.h"
#include "keyferry/v1/sessions.pb.h"
#include "server/access/access.h"
#include "server/identity/caller.h"
#include "server/names.h"
#include "server/pagination.h"
#include "server/sessions/session_quota.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;

// The rules of SessionService (keyferry/v1/sessions.proto says what each method answers). Thread-safe.
//
// A session gives nothing that its user could not launch: at creation the user must exist, be a member of the session's
// team and be able to launch each MCP server; SessionVerifier checks the same again at each use. A session that a user
// makes ends no later than the token that they presented, so that a leaked short-lived token cannot be turned into a
// longer grant. Expired sessions look absent.
class SessionRules {
 public:
  // All pointers must outlive this.
  SessionRules(storage::Store* store, Clock clock, const PageTokens* pages, SessionLimits limits = SessionLimits());

  // The response holds the token's text: wipe it.
  absl::StatusOr<v1::CreateSessionResponse> CreateSession(const Caller& caller,
                                                          const v1::CreateSessionRequest& request);
  absl::StatusOr<v1::Session> GetSession(const Caller& caller, const v1::GetSessionRequest& request) const;
  absl::StatusOr<v1::ListSessionsResponse> ListSessions(const Caller& caller,
                                                        const v1::ListSessionsRequest& request) const;
  absl::StatusOr<google::protobuf::Empty> RevokeSession(const Caller& caller, const v1::RevokeSessionRequest& request);
  absl::StatusOr<v1::ListSessionKeysResponse> ListSessionKeys(const Caller& caller,
                                                              const v1::ListSessionKeysRequest& request) const;

 private:
  // The session that the caller may do `action` to; NOT_FOUND in the words of absence otherwise.
  absl::StatusOr<storage::records::SessionRecord> Find(const storage::StoreView& view, const Caller& caller,
                                                       Action action, const std::string& name, ChildName* parsed) const;
  // Checks the request against one view and commits the record. ABORTED if something that it depends on changed.
  absl::StatusOr<v1::CreateSessionResponse> Store(const Caller& caller, storage::records::SessionRecord record,
                                                  const ParentName& user);

  storage::Store* const store_;
  const Clock clock_;
  const PageTokens* const pages_;
  SessionQuota quota_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SESSIONS_SESSION_RULES_H_
