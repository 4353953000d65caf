#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_RESPONSE_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_RESPONSE_H_

#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

// How a response is to be read.
struct ResponseRules {
  v1::OauthResponse response;
  absl::string_view scope_separator = " ";
};

// What the token endpoint granted, or why not (RFC 6749, sections 5.1 and 5.2). Any 2xx may be a success. The lifetime
// is infinite if the response does not say.
//
// Tokens are printable ASCII (RFC 6749, appendix A.12) of at most 16 KiB; a token type that a bearer cannot use (mac,
// dpop) is refused. `now` turns dates into durations. `secrets` are those that were sent: the provider's words are not
// repeated where they hold one.
TokenResult ReadTokenResponse(const HttpResponse& response, const ResponseRules& rules, absl::Time now,
                              const std::vector<absl::string_view>& secrets);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_TOKEN_RESPONSE_H_
