#ifndef KEYFERRY_SERVER_HTTP_ANSWER_H_
#define KEYFERRY_SERVER_HTTP_ANSWER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/http/http_client.h"

namespace keyferry::server {

// What a page may do unless its handler sets Content-Security-Policy itself: no scripts, styles of its own, forms that
// lead back here. Browsers hold the redirects of a form's answer to form-action as well.
inline constexpr absl::string_view kContentSecurityPolicy =
    "default-src 'none'; style-src 'self' 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

// "Not Found" for 404; "" for a status that this server does not answer with.
absl::string_view ReasonPhrase(int status);

// A short text/plain answer.
HttpResponse PlainAnswer(int status, absl::string_view text = "");

struct AnswerForm {
  bool to_head = false;    // Headers only.
  bool close = false;      // The connection ends with this answer.
  bool only_https = true;  // Strict-Transport-Security (RFC 6797): not for an address or localhost.
  absl::Time now;
};

// The whole message of HTTP/1.1 (RFC 9112) with the headers of security that every answer has: those of `answer`
// first, then each that it does not set of Content-Security-Policy, X-Content-Type-Options, X-Frame-Options,
// Referrer-Policy, Cache-Control, Cross-Origin-Opener-Policy, Cross-Origin-Resource-Policy, Permissions-Policy. A
// handler may override Content-Security-Policy, Cache-Control and Referrer-Policy only; an own value of another one is
// INVALID_ARGUMENT, and so is a header that could split the answer (server/http/header_rules.h) or an unknown status.
absl::StatusOr<std::string> ComposeAnswer(const HttpResponse& answer, const AnswerForm& form);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_ANSWER_H_
