#ifndef KEYFERRY_CLIENT_UTF8_H_
#define KEYFERRY_CLIENT_UTF8_H_

#include <cstddef>

#include "absl/strings/string_view.h"

namespace keyferry::client {

// The offset of the first byte that is not part of well-formed UTF-8 (RFC 3629), or npos if there is none. What is not
// UTF-8 cannot travel in a Protobuf string.
size_t FindInvalidUtf8(absl::string_view text);

}  // namespace keyferry::client

#endif  // KEYFERRY_CLIENT_UTF8_H_
