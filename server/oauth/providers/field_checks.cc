#include "server/oauth/providers/field_checks.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "server/errors.h"
#include "server/http/url.h"
#include "server/names.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr int kMaxParameters = 64;
constexpr int kMaxPathSegments = 16;

bool IsPlaceholderName(absl::string_view name) {
  return !name.empty() && absl::ascii_islower(static_cast<unsigned char>(name[0])) &&
         std::all_of(name.begin(), name.end(), [](char c) {
           const auto u = static_cast<unsigned char>(c);
           return absl::ascii_islower(u) || absl::ascii_isdigit(u) || c == '_';
         });
}

// Takes `{NAME}` out, with `stand_in` in its place. Other braces stay.
absl::Status ReplacePlaceholders(absl::string_view text, const Placeholders& placeholders, absl::string_view stand_in,
                                 absl::string_view field, std::string* replaced) {
  replaced->clear();
  while (!text.empty()) {
    const size_t open = text.find('{');
    absl::StrAppend(replaced, text.substr(0, open));
    if (open == absl::string_view::npos) break;
    text.remove_prefix(open);
    const size_t close = text.find('}');
    const absl::string_view name = close == absl::string_view::npos ? "" : text.substr(1, close - 1);
    if (!IsPlaceholderName(name)) {
      absl::StrAppend(replaced, "{");
      text.remove_prefix(1);
      continue;
    }
    if (placeholders.find(name) == placeholders.end()) {
      return InvalidField(field, absl::StrCat("`{", name.substr(0, kMaxNameBytes), "}` stands for nothing here"),
                          "Declare it in url_variables, or correct the name.");
    }
    absl::StrAppend(replaced, stand_in);
    text.remove_prefix(close + 1);
  }
  return absl::OkStatus();
}

bool IsUriCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         absl::string_view("-._~:/?#[]@!$&'()*+,;=%").find(c) != absl::string_view::npos;
}

bool IsTokenCharacter(char c) {
  return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
         absl::string_view("!#$%&'*+-.^_`|~").find(c) != absl::string_view::npos;
}

// Those that say how the message is framed, whom it goes to, or what Keyferry alone decides.
bool IsOwnHeader(absl::string_view lower) {
  static const auto* const own = new std::set<std::string, std::less<>>{
      "accept-encoding", "connection", "content-encoding", "content-length",    "content-type", "expect",    "host",
      "keep-alive",      "te",         "trailer",          "transfer-encoding", "upgrade",      "user-agent"};
  return own->find(lower) != own->end() || absl::StartsWith(lower, "proxy-");
}

absl::Status CheckCount(int count, absl::string_view field) {
  if (count <= kMaxParameters) return absl::OkStatus();
  return InvalidField(field, absl::StrCat("more than ", kMaxParameters), "Use fewer.");
}

std::string At(absl::string_view field, int index, absl::string_view member) {
  return absl::StrCat(field, "[", index, "].", member);
}

absl::Status CheckExpandedValue(absl::string_view value, const Placeholders& placeholders, const std::string& field) {
  RETURN_IF_ERROR(CheckText(value, kMaxParameterBytes, field));
  std::string replaced;
  return ReplacePlaceholders(value, placeholders, "x", field, &replaced);
}

}  // namespace

absl::Status CheckPrintable(absl::string_view text, size_t max_bytes, absl::string_view field) {
  if (text.size() > max_bytes)
    return InvalidField(field, absl::StrCat("longer than ", max_bytes, " bytes"), "Shorten it.");
  if (!std::all_of(text.begin(), text.end(), [](unsigned char c) { return absl::ascii_isprint(c); })) {
    return InvalidField(field, "holds characters other than printable ASCII", "Use printable ASCII.");
  }
  return absl::OkStatus();
}

absl::Status CheckHttpsUrl(absl::string_view url, const Placeholders& placeholders, absl::string_view field) {
  if (url.empty()) return absl::OkStatus();
  const auto wrong = [field](absl::string_view problem) {
    return InvalidField(field, problem, "Send a URL like `https://auth.example.com/oauth/token`.");
  };
  if (url.size() > kMaxUrlBytes) return wrong("longer than 2048 bytes");
  std::string filled;
  RETURN_IF_ERROR(ReplacePlaceholders(url, placeholders, "x", field, &filled));
  // In one form alone, so that whoever looks for the host in a template finds it.
  if (!absl::StartsWith(url, "https://")) return wrong("does not begin with `https://`");
  const absl::StatusOr<HttpsUrl> parsed = ParseHttpsUrl(filled);
  return parsed.ok() ? absl::OkStatus() : wrong(parsed.status().message());
}

absl::Status CheckResourceIndicator(absl::string_view uri, absl::string_view field) {
  const size_t colon = uri.find(':');
  const bool has_scheme = colon != absl::string_view::npos && colon > 0 && colon + 1 < uri.size() &&
                          absl::ascii_isalpha(static_cast<unsigned char>(uri[0])) &&
                          std::all_of(uri.begin(), uri.begin() + static_cast<ptrdiff_t>(colon), [](unsigned char c) {
                            return absl::ascii_isalnum(c) || c == '+' || c == '-' || c == '.';
                          });
  if (uri.size() <= kMaxUrlBytes && has_scheme && !absl::StrContains(uri, '#') &&
      std::all_of(uri.begin(), uri.end(), IsUriCharacter)) {
    return absl::OkStatus();
  }
  return InvalidField(field, "not an absolute URI of at most 2048 bytes without a fragment",
                      "Send the resource's identifier, e.g. `https://mcp.example.com/`.");
}

absl::Status CheckParameterName(absl::string_view name, absl::string_view field) {
  if (!name.empty() && name.size() <= kMaxNameBytes && std::all_of(name.begin(), name.end(), [](unsigned char c) {
        return absl::ascii_isgraph(c) && c != '&' && c != '=' && c != '#';
      })) {
    return absl::OkStatus();
  }
  return InvalidField(field, "not the name of a parameter",
                      "Send 1 to 128 printable ASCII characters without spaces, `&`, `=` and `#`.");
}

absl::Status CheckParameters(const OauthParameters& parameters, const std::set<std::string>& reserved,
                             const Placeholders& placeholders, absl::string_view field) {
  RETURN_IF_ERROR(CheckCount(parameters.size(), field));
  std::set<absl::string_view> seen;
  for (int i = 0; i < parameters.size(); ++i) {
    const v1::OauthParameter& one = parameters[i];
    RETURN_IF_ERROR(CheckParameterName(one.name(), At(field, i, "name")));
    if (reserved.count(one.name()) != 0) {
      return InvalidField(At(field, i, "name"), "set by Keyferry itself", "Leave it out.");
    }
    if (!seen.insert(one.name()).second) return InvalidField(At(field, i, "name"), "there twice", "Name each once.");
    RETURN_IF_ERROR(CheckExpandedValue(one.value(), placeholders, At(field, i, "value")));
  }
  return absl::OkStatus();
}

absl::Status CheckHeaders(const OauthParameters& headers, bool own_authorization, const Placeholders& placeholders,
                          absl::string_view field) {
  RETURN_IF_ERROR(CheckCount(headers.size(), field));
  std::set<std::string> seen;
  for (int i = 0; i < headers.size(); ++i) {
    const std::string& name = headers[i].name();
    const std::string name_field = At(field, i, "name");
    if (name.empty() || name.size() > kMaxNameBytes || !std::all_of(name.begin(), name.end(), IsTokenCharacter)) {
      return InvalidField(name_field, "not the name of a header", "Send a name like `X-Api-Version`.");
    }
    const std::string lower = absl::AsciiStrToLower(name);
    if (IsOwnHeader(lower) || (!own_authorization && lower == "authorization")) {
      return InvalidField(name_field, "set by Keyferry itself", "Leave it out.");
    }
    if (!seen.insert(lower).second) return InvalidField(name_field, "there twice", "Name each once.");
    RETURN_IF_ERROR(CheckPrintable(headers[i].value(), kMaxParameterBytes, At(field, i, "value")));
    RETURN_IF_ERROR(CheckExpandedValue(headers[i].value(), placeholders, At(field, i, "value")));
  }
  return absl::OkStatus();
}

absl::Status CheckRenames(const OauthParameters& renames, const std::set<std::string>& standard,
                          absl::string_view field) {
  std::set<absl::string_view> names;
  std::set<absl::string_view> values;
  for (int i = 0; i < renames.size(); ++i) {
    const v1::OauthParameter& one = renames[i];
    if (standard.count(one.name()) == 0) {
      return InvalidField(At(field, i, "name"), "not a standard parameter of this request",
                          "Send the standard name, e.g. `client_id`.");
    }
    if (!names.insert(one.name()).second) return InvalidField(At(field, i, "name"), "there twice", "Name each once.");
    RETURN_IF_ERROR(CheckParameterName(one.value(), At(field, i, "value")));
    if (!values.insert(one.value()).second) {
      return InvalidField(At(field, i, "value"), "there twice", "Give each parameter a name of its own.");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckPath(absl::string_view path, absl::string_view field) {
  if (path.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(CheckText(path, kMaxPathSegments * (kMaxNameBytes + 1), field));
  int segments = 0;
  for (const absl::string_view segment : absl::StrSplit(path, '.')) {
    if (segment.empty() || segment.size() > kMaxNameBytes || ++segments > kMaxPathSegments) {
      return InvalidField(field, "not a path", "Send names joined by dots, e.g. `authed_user.access_token`.");
    }
  }
  return absl::OkStatus();
}

absl::Status CheckDuration(const google::protobuf::Duration& duration, absl::Duration least, absl::Duration most,
                           absl::string_view field) {
  // What is out of range here could overflow below, and has signs that disagree.
  const bool valid = duration.seconds() >= 0 && duration.seconds() <= int64_t{315576000000} && duration.nanos() >= 0 &&
                     duration.nanos() < 1000000000;
  const absl::Duration value = absl::Seconds(duration.seconds()) + absl::Nanoseconds(duration.nanos());
  if (valid && value >= least && value <= most) return absl::OkStatus();
  return InvalidField(field, "out of range",
                      absl::StrCat("Send ", absl::FormatDuration(least), " to ", absl::FormatDuration(most), "."));
}

std::string RenamedParameter(const OauthParameters& renames, absl::string_view name) {
  for (const v1::OauthParameter& one : renames) {
    if (one.name() == name) return one.value();
  }
  return std::string(name);
}

}  // namespace keyferry::server
