#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_OUTCOME_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_OUTCOME_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/protocol/token_client.h"
#include "server/oauth/refresh/loaded_connection.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {

// How long to wait after the `failures`-th failure in a row: exponential, with jitter; at least what the provider asked
// for, of which kMaxPause at most is kept, and up to a tenth more. A definition that the provider rejects waits longer
// than one that it could not answer. `random` is uniform in [0, 1).
absl::Duration BackoffOf(const TokenError& error, int failures, double random);

// How long all connections to the provider are to leave it alone: what it asked for (Retry-After), at most kMaxPause; a
// moment if it was asked too often and did not say; else zero.
absl::Duration PauseOf(const TokenError& error, double random);

// Notes a refresh that failed and may succeed later, and the pause. The token stays.
void ApplyFailure(const TokenError& error, absl::Time now, double random,
                  storage::records::ConnectionRecord* connection);

// Notes that somebody has to consent again, and why. The tokens are wiped; their version goes on counting.
void ApplyConnectNeeded(absl::string_view why, absl::Time now, storage::records::ConnectionRecord* connection,
                        storage::records::ConnectionTokenRecord* token);

// Why a token that cannot be refreshed is of no use any more.
inline constexpr absl::string_view kTokenEnded =
    "The access token has ended, and there is no refresh token to get another.";
// Why a connection that was made for endpoints which have moved is refreshed no more.
inline constexpr absl::string_view kEndpointsMoved =
    "The provider's endpoints have moved since, so that what was granted is not sent there.";

// Notes that what the connection was made for has moved. The refresh token is wiped; the access token stays to its end.
void ApplyOutdated(absl::string_view why, absl::Time now, storage::records::ConnectionRecord* connection,
                   storage::records::ConnectionTokenRecord* token);

// Why there is no fresh token, as ConnectionRefresher answers it. `delay`: after which it may be tried again.
absl::Status ConnectNeeded(const ConnectionKey& key, absl::string_view why);
absl::Status ProviderUnavailable(const ConnectionKey& key, absl::string_view why, absl::Duration delay);

// The answer to somebody who asks, where nothing has to be done for it. `pause`: what is left of the provider's.
std::optional<absl::Status> AnswerAtOnce(Need need, const ConnectionKey& key, const LoadedConnection& loaded,
                                         absl::Time now, absl::Duration pause);

// The entry of what the server does to a connection by itself, serialized. `status` of the outcome.
std::string ConnectionEntry(const ConnectionKey& key, absl::string_view method, int64_t version, absl::Time now,
                            const absl::Status& status);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_OUTCOME_H_
