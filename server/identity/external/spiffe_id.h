#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_SPIFFE_ID_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_SPIFFE_ID_H_

#include <string>

#include "absl/strings/string_view.h"

namespace keyferry::server {

// The trust domain of a SPIFFE ID of at most 2048 bytes with a path (SPIFFE-ID, section 2): lower-case domain, segments
// of letters, digits, `.`, `-` and `_`, none of them empty, `.` or `..`. "" for any other text.
std::string TrustDomainOf(absl::string_view spiffe_id);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_SPIFFE_ID_H_
