#include "server/http/http_handler.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace keyferry::server {

std::string ReceivedRequest::Cookie(absl::string_view name) const {
  for (const auto& [header, value] : request.headers) {
    if (!absl::EqualsIgnoreCase(header, "cookie")) continue;
    for (const absl::string_view pair : absl::StrSplit(value, ';')) {
      const size_t equals = pair.find('=');
      if (equals == absl::string_view::npos || absl::StripAsciiWhitespace(pair.substr(0, equals)) != name) continue;
      return std::string(absl::StripAsciiWhitespace(pair.substr(equals + 1)));
    }
  }
  return "";
}

}  // namespace keyferry::server
