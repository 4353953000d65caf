#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_ERROR_RESPONSE_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_ERROR_RESPONSE_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/http/http_client.h"
#include "server/oauth/protocol/document.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

// The error of a response that is no success, whatever its endpoint: by its status, and by its document if it has one
// (RFC 6749, section 5.2). 429 is kRateLimited, 408, 425 and all 5xx are kTemporary whatever they say, a redirect is
// kRejected, and `invalid_grant`, of these alone, kInvalidGrant. Other refusals are kRejected: a connection is not
// given up for words that are not the standard's. `secrets` are those that were sent: the provider's words are not
// repeated where they hold one, nor where they hold what looks like one.
TokenError ReadErrorResponse(const HttpResponse& response, const v1::OauthResponse& rules, absl::Time now,
                             const std::vector<absl::string_view>& secrets);

// The same for a document that was read, of any status.
TokenError ErrorOfDocument(const Document& document, const HttpResponse& response, const v1::OauthResponse& rules,
                           absl::Time now, const std::vector<absl::string_view>& secrets);

// The error of a request that had no response. The status' message names the host and nothing secret (http_client.h).
TokenError ErrorOfSending(const absl::Status& status);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_ERROR_RESPONSE_H_
