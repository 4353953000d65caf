#ifndef KEYFERRY_SERVER_OAUTH_PROTOCOL_ENCODING_H_
#define KEYFERRY_SERVER_OAUTH_PROTOCOL_ENCODING_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/oauth/protocol/parameters.h"

namespace keyferry::server {

// application/x-www-form-urlencoded (RFC 6749, appendix B): letters, digits and `*-._` stay, a space is `+`.
std::string FormEscape(absl::string_view text);
std::string FormText(const ParameterList& parameters);

// Percent-encoding of all but the unreserved characters (RFC 3986, section 2.3); a space is `%20`. For the parts of a
// URL.
std::string UriEscape(absl::string_view text);
std::string UriText(const ParameterList& parameters);
// The same, but what may stand in a query and does not end a parameter stays as it is, `+` and `,` included. A percent
// sign that begins an escape stays too.
std::string UriEscapeLoosely(absl::string_view text);

// Undoes FormEscape and UriEscape. False if a percent sign is not followed by two hexadecimal digits.
bool FormUnescape(absl::string_view text, std::string* out);

// Reads `a=1&b=2`. An empty piece is passed over; a name without `=` has an empty value. INVALID_ARGUMENT for more than
// `max_parameters`, a bad escape, NUL, or a name that comes twice; the message shows none of it.
absl::StatusOr<ParameterList> ParseForm(absl::string_view text, size_t max_parameters);

// Base64 with the alphabet of RFC 4648, section 5, without padding.
std::string Base64Url(absl::string_view bytes);
// Base64 with padding (RFC 4648, section 4).
std::string Base64(absl::string_view bytes);

// Whether the text is UTF-8 (RFC 3629).
bool IsUtf8(absl::string_view text);

// At most `max_bytes` of the text for people to read: characters outside of printable ASCII become `?`, runs of spaces
// one space.
std::string Printable(absl::string_view text, size_t max_bytes);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROTOCOL_ENCODING_H_
