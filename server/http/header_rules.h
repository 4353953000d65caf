#ifndef KEYFERRY_SERVER_HTTP_HEADER_RULES_H_
#define KEYFERRY_SERVER_HTTP_HEADER_RULES_H_

#include "absl/status/status.h"
#include "server/http/http_client.h"

namespace keyferry::server {

// INVALID_ARGUMENT unless every name is a token (RFC 9110 section 5.6.2), every value is free of control characters
// and of whitespace at its ends, so that nothing splits or smuggles a message, and none of them frames the message or
// is the transport's to set: Connection, Content-Length, Transfer-Encoding, TE, Trailer, Upgrade, Expect, Keep-Alive,
// Host, User-Agent, Accept-Encoding, Date, Proxy-*. Messages hold no value.
absl::Status CheckHeaders(const HttpHeaders& headers);

// A token of upper-case letters, e.g. "POST", other than CONNECT and TRACE.
bool IsMethod(absl::string_view method);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_HEADER_RULES_H_
