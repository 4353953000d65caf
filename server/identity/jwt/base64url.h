#ifndef KEYFERRY_SERVER_IDENTITY_JWT_BASE64URL_H_
#define KEYFERRY_SERVER_IDENTITY_JWT_BASE64URL_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace keyferry::server {

// Bytes of base64url without padding (RFC 7515, section 2). Nullopt for padding, white space, any other character, a
// length that no bytes have, and bits beyond the last byte that are not zero: bytes have one spelling.
std::optional<std::string> DecodeBase64Url(absl::string_view text);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_JWT_BASE64URL_H_
