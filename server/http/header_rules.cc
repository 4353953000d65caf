#include "server/http/header_rules.h"

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace keyferry::server {
namespace {

constexpr const char* kReserved[] = {
    "connection", "content-length", "transfer-encoding", "te",   "trailer", "upgrade", "expect", "keep-alive",
    "host",       "user-agent",     "accept-encoding",   "date",
};

bool IsToken(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isalnum(c) && !absl::StrContains("!#$%&'*+-.^_`|~", c)) return false;
  }
  return !text.empty() && text.size() <= 128;
}

bool IsValue(absl::string_view text) {
  if (absl::StripAsciiWhitespace(text).size() != text.size()) return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\t') || byte == 0x7f) return false;
  }
  return true;
}

}  // namespace

absl::Status CheckHeaders(const HttpHeaders& headers) {
  for (const auto& [name, value] : headers) {
    if (!IsToken(name)) return absl::InvalidArgumentError("a header has a name that is no token");
    if (!IsValue(value))
      return absl::InvalidArgumentError(absl::StrCat("header ", name, " has a value that no header may have"));
    if (absl::StartsWithIgnoreCase(name, "proxy-"))
      return absl::InvalidArgumentError(absl::StrCat("header ", name, " is not to be set"));
    for (const char* reserved : kReserved) {
      if (absl::EqualsIgnoreCase(name, reserved))
        return absl::InvalidArgumentError(absl::StrCat("header ", name, " is not to be set"));
    }
  }
  return absl::OkStatus();
}

bool IsMethod(absl::string_view method) {
  for (const char c : method) {
    if (!absl::ascii_isupper(c)) return false;
  }
  return !method.empty() && method.size() <= 16 && method != "CONNECT" && method != "TRACE";
}

}  // namespace keyferry::server
