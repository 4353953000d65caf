#include "server/oauth/protocol/url_template.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "re2/re2.h"
#include "server/errors.h"
#include "server/http/url.h"
#include "server/oauth/protocol/encoding.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr absl::string_view kDefaultPattern = "[A-Za-z0-9-]+";
constexpr absl::string_view kScheme = "https://";
constexpr size_t kMaxValueBytes = 255;
constexpr int64_t kMaxPatternMemory = 1 << 20;

bool MatchesPattern(absl::string_view value, absl::string_view pattern) {
  RE2::Options options;
  options.set_log_errors(false);
  options.set_max_mem(kMaxPatternMemory);
  const RE2 compiled(re2::StringPiece(pattern.data(), pattern.size()), options);
  return compiled.ok() && RE2::FullMatch(re2::StringPiece(value.data(), value.size()), compiled);
}

// Whatever a definition's pattern lets through, these would let a value leave its place.
bool StaysInItsPlace(absl::string_view value) {
  return value.size() <= kMaxValueBytes && std::all_of(value.begin(), value.end(), [](char c) {
           return absl::ascii_isgraph(c) && absl::string_view("/?#@:\\%").find(c) == absl::string_view::npos;
         });
}

absl::Status CheckValue(const v1::OauthUrlVariable& variable, absl::string_view value, absl::string_view field) {
  const absl::string_view pattern =
      variable.pattern().empty() ? kDefaultPattern : absl::string_view(variable.pattern());
  if (!value.empty() && StaysInItsPlace(value) && MatchesPattern(value, pattern)) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("does not match `", Printable(pattern, 128), "`"),
                      variable.description().empty() ? "Give the value that the provider uses for your account."
                                                     : absl::StrCat("Give: ", Printable(variable.description(), 256)));
}

bool IsNameByte(char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '_'; }

// Size of the `{NAME}` that the text begins with, 0 if it begins with none.
size_t PlaceholderSize(absl::string_view text) {
  if (text.size() < 3 || text[0] != '{' || !absl::ascii_islower(text[1])) return 0;
  size_t end = 2;
  while (end < text.size() && IsNameByte(text[end])) ++end;
  return end < text.size() && text[end] == '}' ? end + 1 : 0;
}

bool IsHostValue(absl::string_view value) {
  for (const absl::string_view label : absl::StrSplit(value, '.')) {
    if (label.empty() || !std::all_of(label.begin(), label.end(),
                                      [](char c) { return absl::ascii_isalnum(c) || c == '-' || c == '_'; })) {
      return false;
    }
  }
  return true;
}

// A dot may be written as %2e as well (WHATWG URL, section 4.2).
bool HasDotSegment(absl::string_view path) {
  for (const absl::string_view segment : absl::StrSplit(path, '/')) {
    std::string decoded;
    if (!FormUnescape(segment, &decoded) || decoded == "." || decoded == "..") return true;
  }
  return false;
}

}  // namespace

absl::StatusOr<UrlVariables> ResolveUrlVariables(const v1::OauthProvider& provider, const UrlVariables& given,
                                                 absl::string_view field) {
  UrlVariables all;
  size_t used = 0;
  for (const v1::OauthUrlVariable& variable : provider.url_variables()) {
    const auto found = given.find(variable.name());
    const std::string where = absl::StrCat(field, ".", variable.name());
    if (found != given.end() && !variable.value().empty()) {
      return InvalidField(where, "is set by the provider for all connections", "Leave it out.");
    }
    if (found == given.end() && variable.value().empty()) {
      return InvalidField(where, "has no value",
                          absl::StrCat("Give a value for it", variable.description().empty() ? "" : ": ",
                                       Printable(variable.description(), 256), "."));
    }
    used += found != given.end() ? 1 : 0;
    const std::string& value = found != given.end() ? found->second : variable.value();
    RETURN_IF_ERROR(CheckValue(variable, value, where));
    all[variable.name()] = value;
  }
  if (used != given.size()) {
    return InvalidField(field, "names a variable that the provider does not have",
                        "Look at the provider's `url_variables` for their names.");
  }
  return all;
}

absl::StatusOr<std::string> ExpandUrl(absl::string_view url, const UrlVariables& variables, absl::string_view field) {
  const auto wrong = [field](absl::string_view problem) {
    return InvalidField(field, problem, "Correct the provider's definition or the variables of the connection.");
  };
  if (!absl::StartsWith(url, kScheme)) return wrong("is no https URL");
  const size_t host_end = std::min(url.size(), url.find_first_of("/?#", kScheme.size()));
  std::string out;
  size_t out_host_end = 0;
  for (size_t at = 0; at < url.size();) {
    if (at == host_end) out_host_end = out.size();
    const size_t size = PlaceholderSize(url.substr(at));
    if (size == 0) {
      out.push_back(url[at++]);
      continue;
    }
    const auto found = variables.find(std::string(url.substr(at + 1, size - 2)));
    if (found == variables.end()) return wrong("names a variable that has no value");
    if (at < host_end) {
      if (!IsHostValue(found->second)) return wrong("has a variable in its host whose value is no part of a host name");
      out.append(found->second);
    } else {
      out.append(UriEscape(found->second));
    }
    at += size;
  }
  if (host_end == url.size()) out_host_end = out.size();
  const absl::string_view path =
      absl::string_view(out).substr(out_host_end, out.find('?', out_host_end) - out_host_end);
  if (HasDotSegment(path)) return wrong("has a path segment `.` or `..`, or a broken escape");
  if (!ParseHttpsUrl(out).ok()) return wrong("is no valid https URL");
  return out;
}

std::string ExpandText(absl::string_view text, const UrlVariables& variables) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    const size_t size = PlaceholderSize(text.substr(at));
    const auto found = size == 0 ? variables.end() : variables.find(std::string(text.substr(at + 1, size - 2)));
    if (found == variables.end()) {
      out.push_back(text[at++]);
      continue;
    }
    out.append(found->second);
    at += size;
  }
  return out;
}

}  // namespace keyferry::server
