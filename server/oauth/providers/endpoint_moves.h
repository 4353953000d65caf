#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_ENDPOINT_MOVES_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_ENDPOINT_MOVES_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/oauth/providers/provider_record.h"
#include "storage/store.h"

namespace keyferry::server {

// What a change of a provider's endpoints may lead to: whoever may change them must not thereby get the secrets that
// were given for the endpoints before.

// The field of the first endpoint that `after` sends more to than `before` did, or "" if there is none.
//
// An endpoint counts by its origin (RFC 6454: scheme, host and port), with the values of URL variables in place and the
// patterns of those that are open. An origin gets nothing at all, access tokens (userinfo, a second exchange), the
// client's secret as well (introspection, a second exchange with `{client_secret}`), or refresh tokens, too (token,
// refresh, revocation). Another issuer than the one there was is a move, whatever the endpoints are.
std::string MovedEndpoint(const v1::OauthProvider& before, const v1::OauthProvider& after);

// To be called once an update has been applied to `stored`, discovery included: `before` is the definition as it was,
// `given` the request. If an endpoint has moved, counts the provider's endpoint epoch up, by which the connections that
// were made before are known, and has a new key made if Keyferry signs; `*moved` says whether. FAILED_PRECONDITION,
// reason CLIENT_SECRET_REQUIRED, if the stored client secret would go with it.
absl::Status ApplyMove(const v1::OauthProvider& before, const v1::UpdateOauthProviderRequest& given,
                       StoredProvider* stored, bool* moved);

// How many connections to the provider are in use, and were made for endpoints of another epoch than `epoch`.
absl::StatusOr<int> CountOutdated(const storage::StoreView& view, const std::string& org, const std::string& provider,
                                  int64_t epoch);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_ENDPOINT_MOVES_H_
