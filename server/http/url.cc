#include "server/http/url.h"

#include <arpa/inet.h>

#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxUrl = 8192;
constexpr size_t kMaxName = 253;
constexpr size_t kMaxLabel = 63;
constexpr size_t kMaxPairs = 256;
constexpr uint16_t kHttpsPort = 443;

absl::Status Bad(absl::string_view problem) { return absl::InvalidArgumentError(absl::StrCat("the URL ", problem)); }

bool IsUnreserved(char c) { return absl::ascii_isalnum(c) || c == '-' || c == '.' || c == '_' || c == '~'; }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

void AppendEncoded(absl::string_view text, std::string* out) {
  constexpr char kDigits[] = "0123456789ABCDEF";
  for (const char c : text) {
    if (IsUnreserved(c)) {
      *out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    *out += {'%', kDigits[byte >> 4], kDigits[byte & 15]};
  }
}

bool IsEscape(absl::string_view text) { return text.size() >= 3 && HexDigit(text[1]) >= 0 && HexDigit(text[2]) >= 0; }

// A label that makes WHATWG URL (section 3.5, "ends in a number") and inet_aton take the host for an IPv4 address.
bool IsNumber(absl::string_view label) {
  if (absl::StartsWithIgnoreCase(label, "0x")) return true;
  for (const char c : label) {
    if (!absl::ascii_isdigit(c)) return false;
  }
  return !label.empty();
}

bool IsLabel(absl::string_view label) {
  if (label.empty() || label.size() > kMaxLabel || label.front() == '-' || label.back() == '-') return false;
  for (const char c : label) {
    if (!absl::ascii_isalnum(c) && c != '-') return false;
  }
  return true;
}

absl::Status SetAddress(int family, absl::string_view text, HttpsUrl* url) {
  std::array<unsigned char, 16> bytes;
  std::array<char, INET6_ADDRSTRLEN> printed;
  if (inet_pton(family, std::string(text).c_str(), bytes.data()) != 1 ||
      inet_ntop(family, bytes.data(), printed.data(), printed.size()) == nullptr) {
    return Bad(family == AF_INET ? "has a host that ends in a number and is no IPv4 address in dotted decimal form"
                                 : "has no IPv6 address within the brackets");
  }
  url->host = printed.data();
  url->host_is_address = true;
  return absl::OkStatus();
}

absl::Status SetHost(absl::string_view text, HttpsUrl* url) {
  if (absl::ConsumePrefix(&text, "[")) {
    if (!absl::ConsumeSuffix(&text, "]")) return Bad("has an IPv6 address without a closing bracket");
    return SetAddress(AF_INET6, text, url);
  }
  if (text.empty()) return Bad("has no host");
  if (text.size() > kMaxName) return Bad("has a host that is longer than 253 characters");
  const std::vector<absl::string_view> labels = absl::StrSplit(text, '.');
  for (const absl::string_view label : labels) {
    if (!IsLabel(label)) return Bad("has a host that is not a DNS name of letters, digits and hyphens");
  }
  if (IsNumber(labels.back())) return SetAddress(AF_INET, text, url);
  url->host = absl::AsciiStrToLower(text);
  return absl::OkStatus();
}

absl::Status SetAuthority(absl::string_view text, HttpsUrl* url) {
  if (absl::StrContains(text, '@')) return Bad("has user information");
  const size_t bracket = text.rfind(']');
  const size_t colon = text.rfind(':');
  if (colon != absl::string_view::npos && (bracket == absl::string_view::npos || colon > bracket)) {
    const absl::string_view port = text.substr(colon + 1);
    uint32_t number = 0;
    if (port.empty() || port.size() > 5 || port[0] == '0' || !IsNumber(port) || !absl::SimpleAtoi(port, &number) ||
        number > 65535) {
      return Bad("has a port that is no number from 1 to 65535");
    }
    url->port = static_cast<uint16_t>(number);
    text = text.substr(0, colon);
  }
  return SetHost(text, url);
}

absl::Status CheckTarget(absl::string_view target) {
  for (size_t i = 0; i < target.size(); ++i) {
    const char c = target[i];
    if (c == '#') return Bad("has a fragment");
    if (c == '%' && !IsEscape(target.substr(i))) return Bad("has a % without two hexadecimal digits");
    if (!IsUnreserved(c) && !absl::StrContains("%!$&'()*+,;=:@/?", c)) {
      return Bad("has a character that must be percent-encoded");
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::string HttpsUrl::Authority() const {
  std::string text = absl::StrContains(host, ':') ? absl::StrCat("[", host, "]") : host;
  if (port != kHttpsPort) absl::StrAppend(&text, ":", port);
  return text;
}

std::string HttpsUrl::ToString() const { return absl::StrCat("https://", Authority(), target); }

absl::StatusOr<HttpsUrl> ParseHttpsUrl(absl::string_view text) {
  if (text.size() > kMaxUrl) return Bad("is longer than 8192 bytes");
  absl::string_view rest = text;
  if (!absl::StartsWithIgnoreCase(rest, "https://")) return Bad("does not start with https://");
  rest.remove_prefix(8);
  const size_t end = rest.find_first_of("/?#");
  const absl::string_view authority = rest.substr(0, end);
  const absl::string_view target = end == absl::string_view::npos ? "" : rest.substr(end);
  HttpsUrl url;
  RETURN_IF_ERROR(SetAuthority(authority, &url));
  RETURN_IF_ERROR(CheckTarget(target));
  url.target = absl::StartsWith(target, "/") ? std::string(target) : absl::StrCat("/", target);
  return url;
}

absl::StatusOr<HttpsUrl> ParseHttpsOrigin(absl::string_view text) {
  ASSIGN_OR_RETURN(HttpsUrl url, ParseHttpsUrl(text));
  if (url.target != "/") return Bad("has a path or a query");
  return url;
}

absl::StatusOr<std::string> NormalizeAuthority(absl::string_view text) {
  HttpsUrl url;
  RETURN_IF_ERROR(SetAuthority(text, &url));
  return url.Authority();
}

std::string PercentEncode(absl::string_view text) {
  std::string out;
  out.reserve(3 * text.size());
  AppendEncoded(text, &out);
  return out;
}

absl::StatusOr<std::string> PercentDecode(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (!IsEscape(text.substr(i))) return absl::InvalidArgumentError("a % without two hexadecimal digits");
    out += static_cast<char>(HexDigit(text[i + 1]) << 4 | HexDigit(text[i + 2]));
    i += 2;
  }
  return out;
}

std::string FormEncode(const std::vector<std::pair<std::string, std::string>>& pairs) {
  // One allocation, so that no copy of a secret stays behind as the text grows.
  size_t size = 0;
  for (const auto& [name, value] : pairs) size += 3 * (name.size() + value.size()) + 2;
  std::string out;
  out.reserve(size);
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    AppendEncoded(name, &out);
    out += '=';
    AppendEncoded(value, &out);
  }
  return out;
}

absl::StatusOr<std::vector<std::pair<std::string, std::string>>> FormDecode(absl::string_view text) {
  std::vector<std::pair<std::string, std::string>> pairs;
  const auto decode = [](absl::string_view part) {
    std::string spaced(part);
    for (char& c : spaced) {
      if (c == '+') c = ' ';
    }
    return PercentDecode(spaced);
  };
  while (!text.empty()) {
    const size_t end = text.find('&');
    const absl::string_view pair = text.substr(0, end);
    text = end == absl::string_view::npos ? "" : text.substr(end + 1);
    if (pair.empty()) continue;
    if (pairs.size() == kMaxPairs) return absl::InvalidArgumentError("more than 256 fields");
    const size_t equals = pair.find('=');
    ASSIGN_OR_RETURN(std::string name, decode(pair.substr(0, equals)));
    ASSIGN_OR_RETURN(std::string value, decode(equals == absl::string_view::npos ? "" : pair.substr(equals + 1)));
    pairs.emplace_back(std::move(name), std::move(value));
  }
  return pairs;
}

}  // namespace keyferry::server
