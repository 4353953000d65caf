#ifndef KEYFERRY_SERVER_CONFIG_IDENTITY_CONFIG_H_
#define KEYFERRY_SERVER_CONFIG_IDENTITY_CONFIG_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/config/config.pb.h"

namespace keyferry::server {

// Fills in the defaults of `identity` and checks it. INVALID_ARGUMENT names the key and says what it may be.
absl::Status CompleteIdentity(config::Identity* identity);

// Whether the text is a trust domain of SPIFFE: 1 to 255 of `a` to `z`, digits, `.`, `-` and `_`.
bool IsTrustDomain(absl::string_view text);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_CONFIG_IDENTITY_CONFIG_H_
