#ifndef KEYFERRY_SERVER_HTTP_URL_H_
#define KEYFERRY_SERVER_HTTP_URL_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace keyferry::server {

// An https URL (RFC 3986, RFC 9110 section 4.2.2), read strictly.
struct HttpsUrl {
  // Lower-case DNS name without a trailing dot, dotted-decimal IPv4 address, or IPv6 address without brackets.
  std::string host;
  bool host_is_address = false;
  uint16_t port = 443;
  // Absolute path, "/" at least, with its query: the request target (RFC 9112 section 3.2.1). May hold secrets.
  std::string target;

  // "host", or "host:port" if the port is not 443; an IPv6 address stands in brackets. As the Host header has it.
  std::string Authority() const;
  // The URL again, normalized.
  std::string ToString() const;
};

// INVALID_ARGUMENT, with a message that holds no part of the URL, unless `text` is an https URL of at most 8192 bytes
// with a host, a port from 1 to 65535 if any, without user information and fragment, and only with the characters that
// RFC 3986 allows. A host is a DNS name of letters, digits and hyphens (internationalized names in their ASCII form),
// an IPv4 address in four decimal parts without leading zeros, or an IPv6 address in brackets without a zone. Whatever
// ends in a number is an IPv4 address or refused, so that no other form of one (octal, hexadecimal, one number) passes.
absl::StatusOr<HttpsUrl> ParseHttpsUrl(absl::string_view text);

// As ParseHttpsUrl for an origin: no path but "/", no query.
absl::StatusOr<HttpsUrl> ParseHttpsOrigin(absl::string_view text);

// The authority of a Host header, "host" or "host:port", as HttpsUrl::Authority has it. INVALID_ARGUMENT.
absl::StatusOr<std::string> NormalizeAuthority(absl::string_view text);

// Every byte but the unreserved characters of RFC 3986 section 2.3 as %XX.
std::string PercentEncode(absl::string_view text);

// INVALID_ARGUMENT for a "%" without two hexadecimal digits. "+" stays "+".
absl::StatusOr<std::string> PercentDecode(absl::string_view text);

// name=value pairs joined by "&" (application/x-www-form-urlencoded as WHATWG URL section 5 reads it; a space becomes
// %20, which every reader takes, "+" becomes %2B).
std::string FormEncode(const std::vector<std::pair<std::string, std::string>>& pairs);

// The pairs of a form or a query, in their order; "+" is a space. INVALID_ARGUMENT for a broken escape or more than
// 256 pairs. An empty text has none.
absl::StatusOr<std::vector<std::pair<std::string, std::string>>> FormDecode(absl::string_view text);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_URL_H_
