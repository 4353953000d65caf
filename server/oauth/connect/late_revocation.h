#ifndef KEYFERRY_SERVER_OAUTH_CONNECT_LATE_REVOCATION_H_
#define KEYFERRY_SERVER_OAUTH_CONNECT_LATE_REVOCATION_H_

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/oauth/connection_refresher.h"
#include "server/oauth/protocol/token_client.h"
#include "storage/store.h"

namespace keyferry::server {

// Puts into `mutation` that what a provider granted for a connection is to be revoked, since it could not be stored:
// who asked for it may not have it any more, or it leads nowhere. Adds nothing where the connection stands, since with
// many providers its own grant would end with the new one.
//
// `provider` is the one that granted, as it was then. Errors are the store's; NOT_FOUND if the organization is gone,
// with which there is nobody left to revoke for.
absl::Status AddLateRevocation(const storage::StoreView& view, const ConnectionKey& key,
                               const ProviderDefinition& provider, const UrlVariables& url_variables,
                               const TokenGrant& granted, absl::Time now, storage::Mutation* mutation);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_CONNECT_LATE_REVOCATION_H_
