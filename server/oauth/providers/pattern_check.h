#ifndef KEYFERRY_SERVER_OAUTH_PROVIDERS_PATTERN_CHECK_H_
#define KEYFERRY_SERVER_OAUTH_PROVIDERS_PATTERN_CHECK_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace keyferry::server {

// What values match that have no pattern of their own.
inline constexpr absl::string_view kDefaultVariablePattern = "[A-Za-z0-9-]+";

// OK if the text is an RE2 pattern of at most 256 bytes that matches no text with one of `/ ? # @ : \`, a space or a
// control character, whatever else it matches: such a text could change which server a URL names.
//
// The pattern is taken apart into what matches single characters, and each is tried. Groups with flags, `\Q`, `\C` and
// names of groups are refused, since they would change what the parts mean. INVALID_ARGUMENT naming `field`.
absl::Status CheckVariablePattern(absl::string_view pattern, absl::string_view field);

// Whether the pattern, or the default if it is empty, matches the whole of `value`. False for a pattern that is none.
bool MatchesVariable(absl::string_view pattern, absl::string_view value);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_PROVIDERS_PATTERN_CHECK_H_
