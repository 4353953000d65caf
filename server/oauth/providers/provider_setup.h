#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_SETUP_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_SETUP_H_

#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/http/http_client.h"

namespace keyferry::server {

// What a definition gets from the provider itself. Both wait for it, at most twice `timeout`.

// Whether an endpoint that the grant needs is missing, and there is somebody to ask.
bool NeedsDiscovery(const v1::OauthProvider& provider);

// Fills what is missing from the metadata of `endpoints.issuer` or `endpoints.resource`: endpoints, the resource's
// identifier, a way of authentication that the provider takes, and the demand for the callback's issuer where the
// provider sends it. FAILED_PRECONDITION, reason DISCOVERY_FAILED.
absl::Status DiscoverInto(HttpClient* http, absl::Duration timeout, v1::OauthProvider* provider);

// Registers a client and takes its id, secret and way of authentication. `jwks` is that of the key which Keyferry signs
// with, "" without. FAILED_PRECONDITION, reason REGISTRATION_FAILED.
absl::Status RegisterInto(HttpClient* http, absl::Duration timeout, const std::string& callback_url,
                          absl::string_view jwks, v1::OauthProvider* provider);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_SETUP_H_
