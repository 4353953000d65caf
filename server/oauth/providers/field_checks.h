#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_FIELD_CHECKS_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_FIELD_CHECKS_H_

#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/repeated_field.h"
#include "keyferry/v1/oauth_providers.pb.h"

namespace keyferry::server {

// Checks of single fields of a provider's definition. All answer INVALID_ARGUMENT naming `field`; none shows the value.

inline constexpr size_t kMaxUrlBytes = 2048;
inline constexpr size_t kMaxNameBytes = 128;
inline constexpr size_t kMaxParameterBytes = 4096;

using OauthParameters = google::protobuf::RepeatedPtrField<v1::OauthParameter>;
// Names that `{NAME}` may stand for.
using Placeholders = std::set<std::string, std::less<>>;

// Printable ASCII (0x20 to 0x7E) of at most `max_bytes`.
absl::Status CheckPrintable(absl::string_view text, size_t max_bytes, absl::string_view field);

// Empty, or an https URL (RFC 3986) with a host, without user information and fragment, in which `{NAME}` stands for
// one of `placeholders`.
absl::Status CheckHttpsUrl(absl::string_view url, const Placeholders& placeholders, absl::string_view field);

// An absolute URI without a fragment (RFC 8707, section 2).
absl::Status CheckResourceIndicator(absl::string_view uri, absl::string_view field);

// The name of a parameter: 1 to 128 printable characters without space, `&`, `=` and `#`.
absl::Status CheckParameterName(absl::string_view name, absl::string_view field);

// Names unique and not among `reserved`, which Keyferry sets itself; values of printable text.
absl::Status CheckParameters(const OauthParameters& parameters, const std::set<std::string>& reserved,
                             const Placeholders& placeholders, absl::string_view field);

// Names are tokens (RFC 9110, section 5.6.2) and not of headers that Keyferry sets itself; values hold no line ends.
// `own_authorization`: Keyferry sends no Authorization there, so that the definition may.
absl::Status CheckHeaders(const OauthParameters& headers, bool own_authorization, const Placeholders& placeholders,
                          absl::string_view field);

// Names are of `standard`, each once; values are parameter names, each once.
absl::Status CheckRenames(const OauthParameters& renames, const std::set<std::string>& standard,
                          absl::string_view field);

// Empty, or at most 16 names of at most 128 bytes, joined by dots.
absl::Status CheckPath(absl::string_view path, absl::string_view field);

absl::Status CheckDuration(const google::protobuf::Duration& duration, absl::Duration least, absl::Duration most,
                           absl::string_view field);

// The parameter's value, or `name` itself if it is not renamed.
std::string RenamedParameter(const OauthParameters& renames, absl::string_view name);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_FIELD_CHECKS_H_
