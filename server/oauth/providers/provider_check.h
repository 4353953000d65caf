#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_CHECK_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_CHECK_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

// Reaches a provider's endpoints, all at once, and says in words what is wrong and what to do. Waits at most twice
// `timeout`. Nothing of the provider changes, and no token can come of it:
// - the metadata of the issuer or the resource is read and compared with the definition;
// - the authorization endpoint is asked for the page that a person would be sent to, which shows whether it knows the
//   client and the redirect URI;
// - the token endpoint is asked to exchange a code that cannot exist: `invalid_grant` means that it knows the client,
//   `invalid_client` that the id or the secret is wrong (RFC 6749, section 5.2). Parameters and a grant type of its own
//   are left out where they could stand for another grant;
// - the other endpoints must answer anything at all.
struct ProviderCheck {
  HttpClient* http;
  TokenClient* tokens;
  std::string callback_url;
  absl::Time now;
  absl::Duration timeout;
};
v1::CheckOauthProviderResponse CheckProvider(const ProviderCheck& check,
                                             const std::shared_ptr<const ProviderDefinition>& definition);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_PROVIDER_CHECK_H_
