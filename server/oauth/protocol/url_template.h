#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_URL_TEMPLATE_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_URL_TEMPLATE_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "keyferry/v1/oauth_providers.pb.h"
#include "server/oauth/protocol/token_client.h"

namespace keyferry::server {

// The values of all of a provider's URL variables, its own before `given`. INVALID_ARGUMENT, naming
// `{field}.{variable}`, if one has no value or a wrong one, or if `given` names a variable that the provider does not
// leave open. A value matches its pattern as a whole and holds, whatever the pattern, no character that ends a part of
// a URL (`/ ? # @ : \ %`), no space, no control character and nothing outside of ASCII, and at most 255 bytes.
absl::StatusOr<UrlVariables> ResolveUrlVariables(const v1::OauthProvider& provider, const UrlVariables& given,
                                                 absl::string_view field);

// `url` with the values in place of `{NAME}`. In the host a value is one label or more of it, never empty ones; in path
// and query it is percent-encoded, and no path segment becomes `.` or `..`. INVALID_ARGUMENT if a variable is unknown,
// or the result is no https URL (server/http/url.h); the message names `field`.
absl::StatusOr<std::string> ExpandUrl(absl::string_view url, const UrlVariables& variables, absl::string_view field);

// `text` with the values in place of `{NAME}`. Braces around anything else stay, as in JSON. For parameters and
// headers, which are encoded afterwards.
std::string ExpandText(absl::string_view text, const UrlVariables& variables);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_URL_TEMPLATE_H_
