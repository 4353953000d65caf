#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_EXPIRY_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_EXPIRY_H_

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "keyferry/v1/oauth_providers.pb.h"

namespace keyferry::server {

// The lifetime from `now` that a number or text of a token response stands for. Infinite, which means that it is not
// known, if it says nothing of the format, zero, less, or more than 100 years: providers write that of tokens that do
// not end.
absl::Duration LifetimeOf(absl::string_view text, v1::OauthExpiryFormat format, absl::Time now);

// The value of a Retry-After header (RFC 9110, section 10.2.3): seconds, or a date of any of the three forms. Zero if
// it is neither or past; at most a day.
absl::Duration ParseRetryAfter(absl::string_view text, absl::Time now);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_EXPIRY_H_
