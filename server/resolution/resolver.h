#ifndef KEYFERRY_SERVER_RESOLUTION_RESOLVER_H_
#define KEYFERRY_SERVER_RESOLUTION_RESOLVER_H_

#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "keyferry/v1/resolution.pb.h"
#include "server/identity/caller.h"
#include "server/names.h"
#include "server/oauth/connection_refresher.h"
#include "server/processes/process_table.h"
#include "server/resolution/scope_plan.h"
#include "server/resolution/server_cache.h"
#include "server/sessions/session_verifier.h"
#include "server/usage/usage_recorder.h"
#include "storage/records/typed.h"
#include "storage/store.h"

namespace keyferry::server {

using Clock = std::function<absl::Time()>;

// What an answer was computed from: while none of these records changes, it stands. Complete also if the answer is an
// error, but for one that ends the caller's right to ask.
struct Dependencies {
  // They say whether the caller may ask, and as whom, besides RecordsOf(caller): a membership, a session.
  std::vector<storage::RecordKey> caller;
  // What was looked for, whether it was there or not.
  std::vector<storage::RecordKey> answer;
  // When the right to ask ends by itself, if before the token: the session's expiry.
  absl::Time expire_time = absl::InfiniteFuture();
  // When the answer itself ends, without a commit: the first end of an access token in it.
  absl::Time answer_expire_time = absl::InfiniteFuture();
};

// Access tokens that an answer needs, that have ended, and of which fresh ones can be had without a person. Compute
// does not wait for them; who asks may, and then computes again.
struct Awaited {
  // The asker has waited, or does not: a variable that may be missing is then left out, others are UNAVAILABLE with
  // reason PROVIDER_UNAVAILABLE. Else the whole answer is, so that nothing is given out which the wait would change.
  bool waited = true;
  // Added by Compute.
  std::vector<ConnectionKey> connections;
};

// An answer that has not been given out.
struct Resolution {
  storage::Wiped<v1::ResolveResponse> response;
  ResolutionEvent event;
};

// The rules of ResolutionService (keyferry/v1/resolution.proto says what each method answers). Thread-safe.
//
// Bindings and credentials are read from one view; role, teams, grants and tier are those that the caller was
// authenticated with just before. Users are their own session; workloads get what they are granted by name, and of it
// only team and org values, a team's only for an MCP server of that team, unless they present a user's session, which
// is checked in the same view (SessionVerifier); services do not resolve. Of the candidates only the chosen value is
// opened.
//
// For an OAuth provider the first connection answers that has a valid access token, or can have one without a person:
// an ended token is not passed over for that of a wider scope, which may be another account's. A personal connection
// answers for the user that made it alone, not for a later one of the same id.
class Resolver {
 public:
  // All pointers must outlive this. Without `processes` none is tracked. `public_url` is where the server's own pages
  // are, "" if it has none.
  Resolver(storage::Store* store, Clock clock, UsageRecorder* usage, ProcessTable* processes = nullptr,
           std::string public_url = "");

  // Reads, and puts what it gives out into the record of the caller's call, which is stored before the answer leaves;
  // for a caller without one, stores an entry of its own. The values are in the response alone, which is the RPC
  // layer's to wipe.
  // `awaited` may be null for an asker that does not wait.
  absl::StatusOr<v1::ResolveResponse> Resolve(const Caller& caller, const v1::ResolveRequest& request,
                                              Awaited* awaited = nullptr);

  // Resolve in two steps, for answers that are compared before they are given out. Compute only reads; it adds to
  // `dependencies` unless that is null.
  absl::StatusOr<Resolution> Compute(const Caller& caller, const v1::ResolveRequest& request,
                                     Dependencies* dependencies, Awaited* awaited = nullptr) const;
  // Stores an audit entry of what a watch is about to be sent, and notes the process; on an error nothing may be given
  // out. `peer` is where the watch came from.
  absl::Status RecordWatched(const std::string& peer, Resolution* resolution);

  // Whether the caller may ask, as Compute would say; reads no credential.
  absl::Status Check(const Caller& caller, const v1::ResolveRequest& request) const;

  // Only reads, and opens no value.
  absl::StatusOr<v1::ExplainResponse> Explain(const Caller& caller, const v1::ExplainRequest& request) const;

 private:
  struct Answer;

  // Who asks for what: everything that is checked before anything is looked for.
  struct Asked {
    ChildName server;
    Session session;
  };
  // `session_stamp` was read before the view.
  absl::StatusOr<Asked> Admit(const storage::StoreView& view, uint64_t session_stamp, const Caller& caller,
                              const v1::ResolveRequest& request, Dependencies* dependencies) const;
  void NoteProcess(Resolution* resolution) const;
  absl::StatusOr<Session> SessionFor(const Caller& caller, const ChildName& server, const std::string& team) const;
  // What the session that `request` presents allows, checked in `view`, before which `stamp` was read.
  absl::StatusOr<Session> PresentedSession(const storage::StoreView& view, uint64_t stamp, const Caller& caller,
                                           const ChildName& server, const v1::ResolveRequest& request,
                                           Dependencies* dependencies) const;
  absl::StatusOr<Session> SessionForOther(const storage::StoreView& view, const Caller& caller, const ChildName& server,
                                          const v1::ExplainRequest& request) const;
  absl::Status ResolveCredential(const storage::StoreView& view, const Session& session, const Binding& binding,
                                 const Plan& plan, Answer* answer) const;
  absl::Status ResolveConnection(const storage::StoreView& view, const Session& session, const Binding& binding,
                                 const Plan& plan, Answer* answer) const;
  // Gives out the connection's token, or notes that a fresh one has to be waited for; false, and nothing is done, if
  // there is none, nor will be without a person, or it is not this user's.
  absl::StatusOr<bool> OpenToken(const storage::StoreView& view, const Session& session, const Binding& binding,
                                 const ParentName& parent, Answer* answer) const;
  // For an answer that waits for a token.
  static absl::Status Unavailable(const Answer& answer);
  absl::StatusOr<v1::MissingVariable> Missing(const storage::StoreView& view, const Session& session,
                                              const Binding& binding, const Plan& plan, Answer* answer) const;
  absl::Status ResolveServer(const storage::StoreView& view, const ChildName& server, const ServerBindings& cached,
                             const Session& session, bool allow_partial, Answer* answer) const;
  // Static values are moved out of `definition`, which may be null if there are none.
  absl::Status ResolveAll(const storage::StoreView& view, const ServerBindings& bindings, v1::McpServer* definition,
                          const Session& session, bool allow_partial, Answer* answer) const;

  storage::Store* const store_;
  const Clock clock_;
  UsageRecorder* const usage_;
  ProcessTable* const processes_;
  const std::string public_url_;
  // Filled by reads.
  mutable SessionVerifier sessions_;
  mutable ServerCache servers_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RESOLUTION_RESOLVER_H_
