#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_RUN_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_RUN_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/protocol/token_client.h"
#include "server/oauth/refresh/loaded_connection.h"
#include "server/oauth/refresh/refresh_context.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// Another server's lease, and since when, by the monotonic clock, it has been known to stand unchanged.
struct SeenLease {
  std::string owner;
  int64_t expire_time = 0;
  int64_t token_version = 0;
  absl::Time since;
};

struct RunResult {
  // For those who asked.
  absl::Status status;
  // There is no such connection (any more).
  bool absent = false;
  // The provider was asked.
  bool exchanged = false;
  // How that failed.
  std::optional<TokenErrorKind> failure;
  // An answer was thrown away, since the connection was deleted or made anew; one could not be stored.
  bool dropped = false;
  bool not_stored = false;
  // By the monotonic clock, how long no connection is to ask the provider: what it asked for now, or what the record
  // says that it asked for before.
  absl::Time paused_until = absl::InfinitePast();
  // Another server is at it: nothing was done, and there is nothing to tell yet.
  std::optional<SeenLease> waits_for;

  // As the newest view that was read shows the connection, if it is there.
  storage::Revision revision = 0;
  bool failing = false;
  bool connect_needed = false;
  // When to look again.
  absl::Time next;
};

// One look at one connection, with all that follows from it: lease, exchange with the provider, and the commit of what
// came. Single use.
//
// Between servers, the lease in the store lets one alone exchange a refresh token: it is taken by compare-and-set, on
// the condition that the token is the one that was read. It is respected for RefreshOptions::lease from when it was
// first seen, by the clock that only grows, so that no server's wall clock matters. What the provider answered becomes
// visible, and `done` is called, once one synced commit has stored tokens, metadata and audit entry and taken the lease
// away; without the entry nothing is stored. An answer that the disk does not take is tried again for half a minute,
// since the old refresh token may be of no use any more.
class RefreshRun : public std::enable_shared_from_this<RefreshRun> {
 public:
  using Done = std::function<void(RunResult)>;

  // Does it all on the context's queue, to which this thread belongs; `context` outlives that. One run per connection
  // at a time. Until `paused_until`, by the monotonic clock, the provider is not asked.
  static void Start(const RefreshContext* context, const ConnectionKey& key, RefreshReason reason,
                    absl::Time paused_until, std::optional<SeenLease> seen, Done done);

 private:
  RefreshRun(const RefreshContext* context, const ConnectionKey& key, RefreshReason reason, absl::Time paused_until,
             std::optional<SeenLease> seen, Done done);

  // Whether the end of an ended token is beyond doubt, or an outdated one has none.
  bool IsOver(const LoadedConnection& loaded) const;

  // From here on, each step ends in the next or in Finish.
  void Look();
  void Act(Need need, LoadedConnection loaded, absl::Time now, absl::Duration pause);
  void TakeLease(LoadedConnection loaded);
  // Whether another server's lease stands in the way.
  std::optional<SeenLease> Blocking(const LoadedConnection& loaded) const;
  void Exchange(LoadedConnection loaded);
  void StoreAnswer(int tries);

  // One attempt to store; ABORTED if something changed at the same time. Sets the result.
  absl::Status StoreOnce();
  absl::Status StoreGrant(const TokenGrant& grant, LoadedConnection now_stored);
  // Stores what the error carries: a rotated refresh token with everything else, in the same synced commit.
  absl::Status StoreError(const TokenError& error, LoadedConnection now_stored);
  // Whether an error with the token that was exchanged says anything of what is stored now.
  bool IsSameRefreshToken(const LoadedConnection& now_stored) const;
  // The connection is no more what it was: takes the lease away, and what came to where it is revoked.
  absl::Status Drop(LoadedConnection now_stored);
  absl::Status CommitConnectNeeded(absl::string_view why, LoadedConnection* loaded);
  absl::Status CommitOutdated(LoadedConnection* loaded);
  absl::Status CommitDelete(LoadedConnection* loaded);
  // Adds to the mutation that our lease goes.
  void ReleaseLease(const LoadedConnection& loaded, storage::Mutation* mutation) const;
  // Repeats what lost a race against another commit, from a fresh view.
  absl::Status Repeat(const std::function<absl::Status(LoadedConnection)>& attempt);

  void Describe(const LoadedConnection& loaded, absl::Time now);
  void Describe(const storage::records::ConnectionRecord& connection, int64_t provider_update_time, absl::Time now);
  // After a commit that may have lost a race (then all begins anew) or failed (then it is looked at again soon).
  void FinishWith(const absl::Status& status);
  void Finish();
  void Log(LogLevel level, absl::string_view message, absl::string_view why) const;

  const RefreshContext* const context_;
  const ConnectionKey key_;
  const RefreshReason reason_;
  const absl::Time paused_until_;
  const std::optional<SeenLease> seen_;
  Done done_;
  RunResult result_;

  // What was exchanged, to find out whether the connection is still the same, and the lease.
  storage::records::ConnectionRecord exchanged_;
  int64_t token_version_ = 0;
  storage::SecretBytes refresh_token_;
  int64_t lease_expire_time_ = 0;
  bool took_over_ = false;
  storage::Wiped<storage::records::OauthProviderRecord> provider_record_;
  std::shared_ptr<const ProviderDefinition> provider_;
  TokenResult answer_;
  absl::Time answer_time_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_RUN_H_
