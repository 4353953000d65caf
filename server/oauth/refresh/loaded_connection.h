#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_LOADED_CONNECTION_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_LOADED_CONNECTION_H_

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/protocol/token_client.h"
#include "server/records.h"
#include "storage/records/records.pb.h"
#include "storage/records/typed.h"
#include "storage/store.h"

namespace keyferry::server {

// A connection with all that decides about its refresh, as one view holds it.
struct LoadedConnection {
  storage::Revision revision = 0;
  // Absent with the connection, or with its organization.
  std::optional<Stored<storage::records::ConnectionRecord>> connection;
  storage::Wiped<storage::records::ConnectionTokenRecord> token;
  // 0 if there is none.
  storage::Revision token_revision = 0;
  // With its secrets; null if there is none.
  storage::Wiped<storage::records::OauthProviderRecord> provider_record;
  std::shared_ptr<const ProviderDefinition> provider;
  std::optional<Stored<storage::records::ConnectionLeaseRecord>> lease;
  // It was made for endpoints of the provider that have moved since.
  bool outdated = false;
  // The tier does not include the connection's team.
  bool suspended = false;
  // It was made by a user who is no more, and by whose id there is nobody or somebody else.
  bool user_gone = false;
  storage::Revision user_revision = 0;
};

// Errors are the store's, but an organization without a keyring is one without connections.
absl::StatusOr<LoadedConnection> LoadConnection(const storage::StoreView& view, const ConnectionKey& key);

// Why a connection is looked at.
enum class RefreshReason {
  // It is due, or something changed.
  kSchedule,
  // Somebody needs a valid token.
  kAsked,
  // Somebody wants another token than the one there is.
  kForced,
};

// What is to be done with a connection now.
enum class Need {
  kAbsent,
  // Delete it: the user is gone.
  kDelete,
  kSuspended,
  // Its state says that somebody must consent again.
  kConnectNeeded,
  // The token has ended, and there is no way to another: somebody must consent again. It is to get that state as well,
  // once the clock that says so is believed (BelievedClock).
  kEnded,
  // Its refresh token is to be forgotten, since it was made for endpoints that have moved; its access token stands.
  kOutdated,
  // Another token is wanted, and there is no way to one; the one there is stands.
  kCannotRefresh,
  // The token will do.
  kNothing,
  // A token is needed, but the provider's failures are to be waited out.
  kBackoff,
  kExchange,
};

// `paused`: the provider has asked for a pause, which even a forced refresh keeps. One that stands in the connection's
// record counts by itself.
Need Assess(const LoadedConnection& loaded, absl::Time now, RefreshReason reason, bool paused);

// The longest pause that a provider gets, whatever it asks for.
constexpr absl::Duration kMaxPause = absl::Hours(1);

// What is left of the pause that the provider asked for when the connection's refresh failed last. Zero if there is
// none, if the provider's record has changed since, or if the clock was set back behind the failure.
absl::Duration PauseLeft(const storage::records::ConnectionRecord& connection, int64_t provider_update_time,
                         absl::Time now);

// Whether the token can be handed out: it does not end within moments.
bool HasValidToken(const storage::records::ConnectionRecord& connection, absl::Time now);

// When to look at the connection next, at the latest after `interval`; not before now. `provider_update_time` is that
// of the provider's record.
absl::Time NextLook(const storage::records::ConnectionRecord& connection, int64_t provider_update_time, absl::Time now,
                    absl::Duration interval, double random);

// "orgs/acme/users/ada/connections/github".
std::string ConnectionName(const ConnectionKey& key);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_LOADED_CONNECTION_H_
