#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_REVOCATIONS_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_REVOCATIONS_H_

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// How long a revocation is tried.
constexpr absl::Duration kRevocationPeriod = absl::Hours(24);

// Puts into `mutation` that the tokens of a connection are to be revoked at their provider (RFC 7009), so that it is
// done if, and only if, the mutation is committed. For whoever deletes a connection, a provider, or a grant that came
// too late. Adds nothing where there is nothing to revoke: no token, or a provider without a revocation URL; nor where
// the provider's endpoints have moved since the connection was made, since its tokens are not for whoever is there now.
//
// `provider` is copied, since it may be deleted by the same mutation. The org's OauthSweeper sends what is added.
void AddRevocation(absl::string_view org, const storage::records::OauthProviderRecord& provider,
                   const storage::records::ConnectionRecord& connection,
                   const storage::records::ConnectionTokenRecord& token, absl::Time now, storage::Mutation* mutation);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_REVOCATIONS_H_
