#include "server/oauth/refresh/loaded_connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "keyferry/v1/connections.pb.h"
#include "server/identity/caller.h"
#include "server/oauth/connection_records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

// A token that ends within this is not handed out; less for short-lived ones.
constexpr absl::Duration kLastMoments = absl::Seconds(10);
constexpr int kLastMomentsDivisor = 10;
// Two exchanges for one connection are at least this far from one another, unless one is forced; less for short
// lifetimes.
constexpr absl::Duration kSpacing = absl::Seconds(10);
constexpr absl::Duration kLeastSpacing = absl::Seconds(1);
// A record from further ahead than this was written before the clock was set back.
constexpr absl::Duration kAhead = absl::Minutes(5);

absl::Time FromNanos(int64_t nanos) { return nanos == 0 ? absl::InfiniteFuture() : absl::FromUnixNanos(nanos); }

absl::Duration LifetimeOf(const records::ConnectionRecord& connection) {
  return connection.lifetime() == 0 ? absl::InfiniteDuration() : absl::Nanoseconds(connection.lifetime());
}

bool HasEnded(const records::ConnectionRecord& connection, absl::Time now) {
  return connection.expire_time() != 0 && connection.expire_time() <= absl::ToUnixNanos(now);
}

// The times in the record are of a clock that has been set back since, so nobody knows how old the token is.
bool IsFromAhead(const records::ConnectionRecord& connection, absl::Time now) {
  const int64_t last = connection.failure_count() > 0 ? connection.last_error_time() : connection.last_refresh_time();
  return last > absl::ToUnixNanos(now + kAhead);
}

absl::Duration SpacingOf(const records::ConnectionRecord& connection) {
  return std::clamp(LifetimeOf(connection) / 2, kLeastSpacing, kSpacing);
}

// Whether the last refresh that succeeded was less than `spacing` ago.
bool WasRefreshedWithin(const records::ConnectionRecord& connection, absl::Time now, absl::Duration spacing) {
  const absl::Duration since = now - absl::FromUnixNanos(connection.last_refresh_time());
  return connection.last_refresh_time() != 0 && since >= absl::ZeroDuration() && since < spacing;
}

bool FailedWithin(const records::ConnectionRecord& connection, absl::Time now, absl::Duration spacing) {
  const absl::Duration since = now - absl::FromUnixNanos(connection.last_error_time());
  return connection.failure_count() > 0 && since >= absl::ZeroDuration() && since < spacing;
}

// What failed may succeed with what the provider is now.
bool MayBeRepaired(const records::ConnectionRecord& connection, int64_t provider_update_time, absl::Time now) {
  return connection.failure_count() > 0 && provider_update_time > connection.last_error_time() &&
         provider_update_time <= absl::ToUnixNanos(now);
}

bool IsDue(const records::ConnectionRecord& connection, absl::Time now) {
  if (FromNanos(connection.next_attempt_time()) <= now || IsFromAhead(connection, now)) return true;
  return connection.failure_count() == 0 && HasEnded(connection, now);
}

// For a connection that can be refreshed, whatever pause its provider has asked for.
Need AssessRefresh(const LoadedConnection& loaded, absl::Time now, RefreshReason reason) {
  const records::ConnectionRecord& connection = loaded.connection->record;
  const bool waits = connection.failure_count() > 0 && !IsDue(connection, now) &&
                     !MayBeRepaired(connection, loaded.provider_record->update_time(), now);
  if (reason == RefreshReason::kForced) {
    if (FailedWithin(connection, now, kSpacing) || (waits && connection.pause_time() != 0)) return Need::kBackoff;
    return WasRefreshedWithin(connection, now, kSpacing) ? Need::kNothing : Need::kExchange;
  }
  if (reason == RefreshReason::kAsked && HasValidToken(connection, now)) return Need::kNothing;
  if (WasRefreshedWithin(connection, now, SpacingOf(connection))) return Need::kNothing;
  if (waits) return HasValidToken(connection, now) ? Need::kNothing : Need::kBackoff;
  const bool wanted = reason == RefreshReason::kAsked || connection.failure_count() > 0 || IsDue(connection, now);
  return wanted ? Need::kExchange : Need::kNothing;
}

// Nothing of it is sent to the provider as it is now. The access token may be used to its end: it is for the services
// that processes call with it, and goes to them alone. One whose end is not known would stay for ever.
Need AssessOutdated(const LoadedConnection& loaded, absl::Time now, RefreshReason reason) {
  const records::ConnectionRecord& connection = loaded.connection->record;
  const bool timed = connection.expire_time() != 0;
  if (timed && (connection.refreshable() || !loaded.token->refresh_token().empty())) return Need::kOutdated;
  if (!timed || HasEnded(connection, now)) return Need::kEnded;
  return reason == RefreshReason::kForced ? Need::kCannotRefresh : Need::kNothing;
}

absl::Status LoadUserState(const storage::StoreView& view, const ConnectionKey& key, LoadedConnection* loaded) {
  absl::string_view user = key.parent;
  if (!absl::ConsumePrefix(&user, "users/")) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto found,
                   ReadRecord<records::UserRecord>(view, {Table::kUser, key.org, "", std::string(user)}));
  loaded->user_revision = found.has_value() ? found->revision : 0;
  const int64_t kept = loaded->connection->record.user_create_time();
  const int64_t made_for = kept != 0 ? kept : loaded->token->user_create_time();
  loaded->user_gone =
      !found.has_value() || ((kept != 0 || loaded->token_revision != 0) && found->record.create_time() != made_for);
  return absl::OkStatus();
}

absl::Status LoadTeamState(const storage::StoreView& view, const ConnectionKey& key, LoadedConnection* loaded) {
  absl::string_view team = key.parent;
  if (!absl::ConsumePrefix(&team, "teams/")) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto org, ReadRecord<records::OrgRecord>(view, {Table::kOrg, "", "", key.org}));
  loaded->suspended = !org.has_value() || IsTeamSuspended(static_cast<v1::Tier>(org->record.tier()), team);
  return absl::OkStatus();
}

absl::Status LoadParts(const storage::StoreView& view, const ConnectionKey& key, LoadedConnection* loaded) {
  ASSIGN_OR_RETURN(loaded->connection,
                   ReadRecord<records::ConnectionRecord>(view, ConnectionRecordKey(Table::kConnection, key)));
  // Also without the connection, whose deletion may have come in the middle of an exchange.
  ASSIGN_OR_RETURN(loaded->lease,
                   ReadRecord<records::ConnectionLeaseRecord>(view, ConnectionRecordKey(Table::kConnectionLease, key)));
  if (!loaded->connection.has_value()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto token, view.Get(ConnectionRecordKey(Table::kConnectionToken, key)));
  if (token.has_value()) {
    RETURN_IF_ERROR(storage::ParseSecretInto(token->payload, *loaded->token));
    loaded->token_revision = token->revision;
  }
  ASSIGN_OR_RETURN(const auto provider, view.Get(ProviderKey(key.org, key.provider)));
  if (provider.has_value()) {
    RETURN_IF_ERROR(storage::ParseSecretInto(provider->payload, *loaded->provider_record));
    ASSIGN_OR_RETURN(loaded->provider, DefinitionOf(*loaded->provider_record));
    loaded->outdated = loaded->provider_record->endpoint_epoch() != loaded->connection->record.endpoint_epoch();
  }
  RETURN_IF_ERROR(LoadUserState(view, key, loaded));
  return LoadTeamState(view, key, loaded);
}

}  // namespace

absl::StatusOr<LoadedConnection> LoadConnection(const storage::StoreView& view, const ConnectionKey& key) {
  LoadedConnection loaded;
  loaded.revision = view.revision();
  const absl::Status status = LoadParts(view, key, &loaded);
  if (absl::IsNotFound(status)) {
    LoadedConnection absent;
    absent.revision = view.revision();
    return absent;
  }
  RETURN_IF_ERROR(status);
  return loaded;
}

bool HasValidToken(const records::ConnectionRecord& connection, absl::Time now) {
  if (connection.state() != v1::CONNECTION_STATE_CONNECTED) return false;
  const absl::Duration moments = std::min(kLastMoments, LifetimeOf(connection) / kLastMomentsDivisor);
  return now + moments < FromNanos(connection.expire_time());
}

absl::Duration PauseLeft(const records::ConnectionRecord& connection, int64_t provider_update_time, absl::Time now) {
  if (connection.pause_time() == 0 || IsFromAhead(connection, now) ||
      MayBeRepaired(connection, provider_update_time, now)) {
    return absl::ZeroDuration();
  }
  const absl::Time longest = absl::FromUnixNanos(connection.last_error_time()) + kMaxPause;
  const absl::Time until = std::min(absl::FromUnixNanos(connection.pause_time()), longest);
  return std::clamp(until - now, absl::ZeroDuration(), kMaxPause);
}

Need Assess(const LoadedConnection& loaded, absl::Time now, RefreshReason reason, bool paused) {
  if (!loaded.connection.has_value()) return Need::kAbsent;
  const records::ConnectionRecord& connection = loaded.connection->record;
  if (loaded.user_gone) return Need::kDelete;
  if (connection.state() != v1::CONNECTION_STATE_CONNECTED) return Need::kConnectNeeded;
  if (loaded.suspended) return Need::kSuspended;
  if (loaded.outdated) return AssessOutdated(loaded, now, reason);
  if (loaded.provider == nullptr || !CanRefresh(loaded.provider->provider, *loaded.token)) {
    if (HasEnded(connection, now)) return Need::kEnded;
    return reason == RefreshReason::kForced ? Need::kCannotRefresh : Need::kNothing;
  }
  const Need need = AssessRefresh(loaded, now, reason);
  const int64_t provider_update_time = loaded.provider_record->update_time();
  paused = paused || PauseLeft(connection, provider_update_time, now) > absl::ZeroDuration();
  if (need != Need::kExchange || !paused) return need;
  return reason != RefreshReason::kForced && HasValidToken(connection, now) ? Need::kNothing : Need::kBackoff;
}

absl::Time NextLook(const records::ConnectionRecord& connection, int64_t provider_update_time, absl::Time now,
                    absl::Duration interval, double random) {
  // Spread, so that connections which were loaded together are not looked at together.
  const absl::Time latest = now + interval * (1 + random) / 2;
  if (connection.state() != v1::CONNECTION_STATE_CONNECTED) return latest;
  absl::Time next = FromNanos(connection.next_attempt_time());
  // Whether it can be refreshed or not, its end is news.
  if (connection.failure_count() == 0 || !connection.refreshable()) {
    next = std::min(next, FromNanos(connection.expire_time()));
  }
  if (WasRefreshedWithin(connection, now, SpacingOf(connection))) {
    next = std::max(next, absl::FromUnixNanos(connection.last_refresh_time()) + SpacingOf(connection));
  } else if (IsFromAhead(connection, now) || MayBeRepaired(connection, provider_update_time, now)) {
    next = now;
  }
  return std::clamp(next, now, latest);
}

std::string ConnectionName(const ConnectionKey& key) {
  return absl::StrCat("orgs/", key.org, key.parent.empty() ? "" : "/", key.parent, "/connections/", key.provider);
}

}  // namespace keyferry::server
