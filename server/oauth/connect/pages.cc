#include "server/oauth/connect/pages.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/names.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

// Both schemes have at least 7:1 contrast.
constexpr absl::string_view kStyle =
    ":root{color-scheme:light dark}"
    "body{font:1.0625rem/1.55 system-ui,sans-serif;margin:0;color:#1b1b1f;background:#fff}"
    "main{max-width:34rem;margin:0 auto;padding:2.5rem 1.25rem}"
    "h1{font-size:1.5rem;line-height:1.25;margin:0 0 1rem}"
    "p{margin:0 0 1rem;overflow-wrap:anywhere}"
    "dl{margin:0 0 1rem}dt{font-weight:600}dd{margin:0 0 .6rem;overflow-wrap:anywhere}"
    ".code{font:600 1.375rem/1.4 ui-monospace,monospace;letter-spacing:.04em;padding:.6rem .9rem;"
    "border:2px solid #55555e;border-radius:.4rem;overflow-wrap:anywhere}"
    ".warning{border-left:.35rem solid #8a5a00;padding-left:.9rem}"
    "button{font:inherit;font-weight:600;padding:.7rem 1.4rem;border:2px solid #1b1b1f;border-radius:.4rem;"
    "color:#fff;background:#1f3a8a;cursor:pointer}"
    "button:focus-visible{outline:3px solid #b45309;outline-offset:3px}"
    "@media(prefers-color-scheme:dark){body{color:#f2f2f5;background:#17171b}"
    ".code{border-color:#b5b5c0}.warning{border-color:#e0a840}button{border-color:#f2f2f5}}";

// `form-action` allows any https target: browsers hold it against every redirect that follows the form, and where a
// provider's first page sends the browser on to is not known. Nothing else on the page can become a form.
std::string ContentSecurityPolicy() {
  const std::string hash = absl::Base64Escape(storage::View(storage::Sha256({kStyle})));
  return absl::StrCat("default-src 'none'; style-src 'sha256-", hash,
                      "'; form-action 'self' https:; frame-ancestors 'none'; base-uri 'none'");
}

// Isolated, so that a name with marks of direction changes nothing around it.
std::string Isolated(absl::string_view text) { return absl::StrCat("<bdi>", EscapeHtml(text), "</bdi>"); }

// The listener adds the others.
HttpHeaders CommonHeaders() {
  return {{"Cache-Control", "no-store"},
          {"Referrer-Policy", "no-referrer"},
          {"Content-Security-Policy", ContentSecurityPolicy()}};
}

}  // namespace

std::string EscapeHtml(absl::string_view text) {
  std::string shown(text);
  if (!CheckText(shown, shown.size(), "text").ok()) {
    std::replace_if(
        shown.begin(), shown.end(), [](char c) { return c < 0x20 || c > 0x7E; }, '?');
  }
  return absl::StrReplaceAll(shown, {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}, {"'", "&#39;"}});
}

Page& Page::Text(absl::string_view text) {
  absl::StrAppend(&body_, "<p>", Isolated(text), "</p>\n");
  return *this;
}

Page& Page::Warning(absl::string_view text) {
  absl::StrAppend(&body_, "<p class=\"warning\">", Isolated(text), "</p>\n");
  return *this;
}

Page& Page::Code(absl::string_view text) {
  absl::StrAppend(&body_, "<p class=\"code\">", Isolated(text), "</p>\n");
  return *this;
}

Page& Page::Facts(const std::vector<std::pair<std::string, std::string>>& facts) {
  absl::StrAppend(&body_, "<dl>\n");
  for (const auto& [name, value] : facts) {
    absl::StrAppend(&body_, "<dt>", EscapeHtml(name), "</dt><dd>", Isolated(value), "</dd>\n");
  }
  absl::StrAppend(&body_, "</dl>\n");
  return *this;
}

Page& Page::Form(absl::string_view action, const std::vector<std::pair<std::string, std::string>>& hidden,
                 absl::string_view button) {
  absl::StrAppend(&body_, "<form method=\"post\" action=\"", EscapeHtml(action), "\" autocomplete=\"off\">\n");
  for (const auto& [name, value] : hidden) {
    absl::StrAppend(&body_, "<input type=\"hidden\" name=\"", EscapeHtml(name), "\" value=\"", EscapeHtml(value),
                    "\">\n");
  }
  absl::StrAppend(&body_, "<button type=\"submit\">", EscapeHtml(button), "</button>\n</form>\n");
  return *this;
}

std::string Page::Build() const {
  return absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"robots\" content=\"noindex\">\n<title>",
      EscapeHtml(title_), " - Keyferry</title>\n<style>", kStyle, "</style>\n</head>\n<body>\n<main>\n<h1>",
      Isolated(title_), "</h1>\n", body_, "</main>\n</body>\n</html>\n");
}

HttpResponse PageResponse(int status, const Page& page) {
  HttpResponse response;
  response.status = status;
  response.headers = CommonHeaders();
  response.headers.emplace_back("Content-Type", "text/html; charset=utf-8");
  response.body = page.Build();
  return response;
}

HttpResponse SeeOther(std::string url) {
  HttpResponse response;
  response.status = 303;
  response.headers = CommonHeaders();
  response.headers.emplace_back("Location", std::move(url));
  return response;
}

}  // namespace keyferry::server
