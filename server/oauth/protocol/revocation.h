#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_REVOCATION_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_REVOCATION_H_

#include <functional>
#include <memory>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

// TokenClient::Revoke (RFC 7009). A server that does not revoke refresh tokens (`unsupported_token_type`) is given the
// access token.
void RevokeToken(HttpClient* http, std::shared_ptr<const ProviderDefinition> definition,
                 TokenClient::RefreshInput tokens, absl::Time now, absl::Duration timeout,
                 std::function<void(absl::Status)> done);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_REVOCATION_H_
