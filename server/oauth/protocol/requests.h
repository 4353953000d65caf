#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_REQUESTS_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_REQUESTS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

// A provider as one operation sees it: with the values of its URL variables (url_template.h) and the time.
struct RequestContext {
  const ProviderDefinition* definition = nullptr;
  UrlVariables variables;
  absl::Time now;

  const v1::OauthProvider& provider() const { return definition->provider; }
};

// What each operation sends. INVALID_ARGUMENT says what in the definition, or in the connection's variables, is wrong.
//
// Parameters and headers of `token` go with every request for first tokens, the headers of `token` also with refreshes;
// refreshes have parameters of their own. `renamed_parameters` of `token` hold for all, those of `refresh` come on top.

// RFC 6749, section 4.1.3.
absl::StatusOr<HttpRequest> CodeRequest(const RequestContext& context, const TokenClient::CodeExchange& exchange);
// RFC 6749, section 4.4.2; RFC 7523 and RFC 7522, section 2.1.
absl::StatusOr<HttpRequest> GrantRequest(const RequestContext& context, const std::vector<std::string>& scopes);
// RFC 6749, section 6, or by the access token. Not for grants without a person.
absl::StatusOr<HttpRequest> RefreshRequest(const RequestContext& context, const TokenClient::RefreshInput& input);
absl::StatusOr<HttpRequest> SecondRequest(const RequestContext& context, const storage::SecretBytes& access_token);
// RFC 7009, section 2.1; JSON where the token endpoint takes JSON.
absl::StatusOr<HttpRequest> RevocationRequest(const RequestContext& context, const storage::SecretBytes& token,
                                              bool is_refresh_token);
// RFC 7662, section 2.1.
absl::StatusOr<HttpRequest> IntrospectionRequest(const RequestContext& context,
                                                 const storage::SecretBytes& access_token);
// RFC 6750, section 2.1.
absl::StatusOr<HttpRequest> UserinfoRequest(const RequestContext& context, const storage::SecretBytes& access_token);

// Whether the provider's grant needs no person.
bool IsWithoutPerson(const v1::OauthProvider& provider);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_REQUESTS_H_
