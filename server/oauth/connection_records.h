#ifndef KEYFERRY_SERVER_OAUTH_CONNECTION_RECORDS_H_
#define KEYFERRY_SERVER_OAUTH_CONNECTION_RECORDS_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/protocol/token_client.h"
#include "server/records.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

storage::RecordKey ProviderKey(absl::string_view org, absl::string_view provider);
// `table` is kConnection, kConnectionToken or kConnectionLease.
storage::RecordKey ConnectionRecordKey(storage::Table table, const ConnectionKey& key);

// The provider with its secrets; null if there is none, or if it is being deleted. Errors are the store's. A commit
// that makes a connection or an attempt must require the revision that the provider's record had in `view`: then none
// is left behind when the provider is deleted.
absl::StatusOr<std::shared_ptr<const ProviderDefinition>> ReadProvider(const storage::StoreView& view,
                                                                       absl::string_view org,
                                                                       absl::string_view provider);

// What a record defines. DATA_LOSS if it does not parse.
absl::StatusOr<std::shared_ptr<const ProviderDefinition>> DefinitionOf(
    const storage::records::OauthProviderRecord& record);

// When an access token granted at `now` for `lifetime` is to be refreshed: before its end by the definition's margin,
// or by the smaller of 15 minutes and a fifth of the lifetime, and up to half of that earlier by chance. `random` is
// uniform in [0, 1). Infinite if the lifetime is.
absl::Time RefreshTime(const v1::OauthProvider& provider, absl::Time now, absl::Duration lifetime, double random);

// Whether a fresh access token can be had without a person.
bool CanRefresh(const v1::OauthProvider& provider, const storage::records::ConnectionTokenRecord& token);

// Puts what was granted into both records: the tokens (a refresh token that did not come leaves the one there), version
// + 1, expiry, scopes, metadata and the next attempt; clears the last error. `token` keeps what it had where the grant
// is silent. Times are nanoseconds since the Unix epoch.
void ApplyGrant(const v1::OauthProvider& provider, const TokenGrant& grant, absl::Time now, double random,
                storage::records::ConnectionRecord* connection, storage::records::ConnectionTokenRecord* token);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECTION_RECORDS_H_
