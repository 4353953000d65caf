#ifndef KEYFERRY_SERVER_SESSIONS_SESSION_VERIFIER_H_
#define KEYFERRY_SERVER_SESSIONS_SESSION_VERIFIER_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/identity/caller.h"
#include "server/names.h"
#include "server/sessions/session_text.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;

// A session that holds at this moment.
struct ActiveSession {
  // Resource name.
  std::string name;
  // Ids of the user and of the session's team, "" if it names none.
  std::string user;
  std::string team;
  // `create_time` of the user's record.
  int64_t user_create_time = 0;
  absl::Time expire_time;
  // The records that say so: until it expires it holds for the same caller and MCP server while none of them changes.
  std::vector<storage::RecordKey> records;
};

// Says whether a workload may act in a session now. Thread-safe.
//
// Everything is checked at each use, from the caller's one view: that the session was not revoked and has not ended,
// that the user is still the same and may launch the MCP server, and the team still theirs. Only that a token's
// signature holds is remembered, by the token's hash and while no commit touches the signing keys.
class SessionVerifier {
 public:
  // `store` must outlive this.
  SessionVerifier(storage::Store* store, Clock clock, size_t max_cached = 65536);

  // Read it before the view that is given to Verify.
  uint64_t Stamp() const { return store_->Generation(storage::Table::kSessionKey); }

  // `workload` is the caller, whose grant of the MCP server was decided before.
  //
  // UNAUTHENTICATED with reason SESSION_MALFORMED (the form alone; the store is not asked), SESSION_UNKNOWN (another
  // signature, revoked, of another org, or its user is gone: not to be told apart) or SESSION_EXPIRED.
  // PERMISSION_DENIED with reason SESSION_NOT_ALLOWED (this workload may act in no session or not in this one, or the
  // session is not for this MCP server) or NOT_A_TEAM_MEMBER (the user is no member of the session's or MCP server's
  // team any more). Otherwise what the store answers. No message holds any part of a token.
  absl::StatusOr<ActiveSession> Verify(const storage::StoreView& view, uint64_t stamp, const Caller& workload,
                                       absl::string_view token, const ChildName& mcp_server)
      ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  absl::Status CheckSignature(const storage::StoreView& view, uint64_t stamp, absl::string_view text,
                              const SessionToken& token) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<storage::records::SessionRecord> ReadSession(const storage::StoreView& view,
                                                              const SessionToken& token) const;

  storage::Store* const store_;
  const Clock clock_;
  const size_t max_cached_;

  absl::Mutex mutex_;
  uint64_t stamp_ ABSL_GUARDED_BY(mutex_) = 0;
  // Hashes of tokens whose signature holds.
  absl::flat_hash_set<std::string> signed_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_SESSIONS_SESSION_VERIFIER_H_
