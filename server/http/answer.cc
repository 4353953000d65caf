#include "server/http/answer.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/http/header_rules.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

struct SecurityHeader {
  absl::string_view name;
  absl::string_view value;
  bool may_be_overridden;
};

constexpr SecurityHeader kSecurityHeaders[] = {
    {"Content-Security-Policy", kContentSecurityPolicy, true},
    {"Cache-Control", "no-store", true},
    {"Referrer-Policy", "no-referrer", true},
    {"X-Content-Type-Options", "nosniff", false},
    {"X-Frame-Options", "DENY", false},
    {"Cross-Origin-Opener-Policy", "same-origin", false},
    {"Cross-Origin-Resource-Policy", "same-origin", false},
    {"Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()", false},
};

struct Phrase {
  int status;
  absl::string_view text;
};

constexpr Phrase kPhrases[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {413, "Content Too Large"},
    {415, "Unsupported Media Type"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
};

bool HasBody(int status) { return status != 204 && status != 304; }

}  // namespace

absl::string_view ReasonPhrase(int status) {
  for (const Phrase& phrase : kPhrases) {
    if (phrase.status == status) return phrase.text;
  }
  return "";
}

HttpResponse PlainAnswer(int status, absl::string_view text) {
  HttpResponse answer;
  answer.status = status;
  answer.headers = {{"Content-Type", "text/plain; charset=utf-8"}};
  answer.body = absl::StrCat(text.empty() ? ReasonPhrase(status) : text, "\n");
  return answer;
}

absl::StatusOr<std::string> ComposeAnswer(const HttpResponse& answer, const AnswerForm& form) {
  RETURN_IF_ERROR(CheckHeaders(answer.headers));
  const absl::string_view phrase = ReasonPhrase(answer.status);
  if (phrase.empty()) return absl::InvalidArgumentError(absl::StrCat("unknown status ", answer.status));
  size_t size = 1024 + kContentSecurityPolicy.size() + answer.body.size();
  for (const auto& [name, value] : answer.headers) size += name.size() + value.size() + 4;
  std::string text;
  text.reserve(size);
  absl::StrAppend(&text, "HTTP/1.1 ", answer.status, " ", phrase, "\r\n");
  for (const auto& [name, value] : answer.headers) {
    if (absl::EqualsIgnoreCase(name, "strict-transport-security")) {
      return absl::InvalidArgumentError(absl::StrCat("header ", name, " is not the handler's to set"));
    }
    for (const SecurityHeader& header : kSecurityHeaders) {
      if (!header.may_be_overridden && absl::EqualsIgnoreCase(header.name, name)) {
        return absl::InvalidArgumentError(absl::StrCat("header ", name, " is not the handler's to set"));
      }
    }
    absl::StrAppend(&text, name, ": ", value, "\r\n");
  }
  for (const SecurityHeader& header : kSecurityHeaders) {
    if (answer.Header(header.name).empty()) absl::StrAppend(&text, header.name, ": ", header.value, "\r\n");
  }
  if (form.only_https) absl::StrAppend(&text, "Strict-Transport-Security: max-age=31536000\r\n");
  absl::StrAppend(&text, "Date: ", absl::FormatTime("%a, %d %b %E4Y %H:%M:%S GMT", form.now, absl::UTCTimeZone()),
                  "\r\n");
  if (form.close) absl::StrAppend(&text, "Connection: close\r\n");
  if (HasBody(answer.status)) absl::StrAppend(&text, "Content-Length: ", answer.body.size(), "\r\n");
  absl::StrAppend(&text, "\r\n");
  if (!form.to_head && HasBody(answer.status)) text += answer.body;
  return text;
}

}  // namespace keyferry::server
