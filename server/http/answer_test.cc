#include "server/http/answer.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/time/time.h"
#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

HttpResponse With(int status, HttpHeaders headers, const std::string& body = "") {
  HttpResponse answer;
  answer.status = status;
  answer.headers = std::move(headers);
  answer.body = body;
  return answer;
}

AnswerForm Form() {
  AnswerForm form;
  form.now = absl::FromUnixSeconds(784111777);
  return form;
}

TEST(ComposeAnswerTest, IsAMessageWithEveryHeaderOfSecurity) {
  const auto message = ComposeAnswer(With(200, {{"Content-Type", "text/html"}}, "hi"), Form());
  ASSERT_TRUE(message.ok()) << message.status();
  EXPECT_EQ(*message,
            "HTTP/1.1 200 OK\r\n"
            "Content-Type: text/html\r\n"
            "Content-Security-Policy: default-src 'none'; style-src 'self' 'unsafe-inline'; form-action 'self'; "
            "base-uri 'none'; frame-ancestors 'none'\r\n"
            "Cache-Control: no-store\r\n"
            "Referrer-Policy: no-referrer\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "X-Frame-Options: DENY\r\n"
            "Cross-Origin-Opener-Policy: same-origin\r\n"
            "Cross-Origin-Resource-Policy: same-origin\r\n"
            "Permissions-Policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()\r\n"
            "Strict-Transport-Security: max-age=31536000\r\n"
            "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
            "Content-Length: 2\r\n"
            "\r\n"
            "hi");
}

TEST(ComposeAnswerTest, HasTheFormThatIsAskedFor) {
  AnswerForm form = Form();
  form.to_head = true;
  form.close = true;
  form.only_https = false;
  const std::string message = *ComposeAnswer(With(200, {}, "hi"), form);
  EXPECT_TRUE(absl::StrContains(message, "Connection: close\r\nContent-Length: 2\r\n\r\n"));
  EXPECT_TRUE(absl::EndsWith(message, "\r\n\r\n"));
  EXPECT_FALSE(absl::StrContains(message, "Strict-Transport-Security"));
  const std::string empty = *ComposeAnswer(With(204, {}, "dropped"), Form());
  EXPECT_FALSE(absl::StrContains(empty, "Content-Length"));
  EXPECT_TRUE(absl::EndsWith(empty, "\r\n\r\n"));
}

TEST(ComposeAnswerTest, AHandlerOverridesWhatItMay) {
  const std::string message =
      *ComposeAnswer(With(200, {{"content-security-policy", "default-src 'none'; form-action https://a.example"},
                                {"cache-control", "max-age=60"},
                                {"referrer-policy", "same-origin"}}),
                     Form());
  EXPECT_TRUE(absl::StrContains(message, "content-security-policy: default-src 'none'; form-action https://a.example"));
  EXPECT_FALSE(absl::StrContains(message, "Content-Security-Policy"));
  EXPECT_FALSE(absl::StrContains(message, "no-store"));
  EXPECT_FALSE(absl::StrContains(message, "no-referrer"));
  for (const char* name : {"X-Frame-Options", "x-content-type-options", "Strict-Transport-Security",
                           "cross-origin-opener-policy", "Cross-Origin-Resource-Policy", "Permissions-Policy"}) {
    EXPECT_EQ(ComposeAnswer(With(200, {{name, "x"}}), Form()).status().code(), absl::StatusCode::kInvalidArgument)
        << name;
  }
}

TEST(ComposeAnswerTest, RefusesWhatWouldSplitOrReframeIt) {
  const std::vector<std::pair<std::string, std::pair<std::string, std::string>>> cases = {
      {"newline in a value", {"Location", "https://a.example/\r\nSet-Cookie: a=b"}},
      {"line feed in a value", {"Location", "a\nb"}},
      {"carriage return in a value", {"Location", "a\rb"}},
      {"null in a value", {"Location", std::string("a\0b", 3)}},
      {"delete in a value", {"Location", "a\x7f"}},
      {"space before", {"Location", " a"}},
      {"space after", {"Location", "a "}},
      {"newline in a name", {"X\r\nY", "a"}},
      {"colon in a name", {"X:", "a"}},
      {"space in a name", {"X ", "a"}},
      {"no name", {"", "a"}},
      {"length", {"Content-Length", "5"}},
      {"coding", {"transfer-encoding", "chunked"}},
      {"connection", {"Connection", "keep-alive"}},
      {"date", {"Date", "now"}},
      {"proxy", {"Proxy-Authenticate", "Basic"}},
  };
  for (const auto& [name, header] : cases) {
    const auto message = ComposeAnswer(With(200, {header}), Form());
    ASSERT_FALSE(message.ok()) << name;
    EXPECT_EQ(message.status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
  for (const int status : {0, -1, 99, 100, 101, 299, 600, 1000}) {
    EXPECT_FALSE(ComposeAnswer(With(status, {}), Form()).ok()) << status;
  }
}

TEST(PlainAnswerTest, SaysWhatTheStatusSays) {
  const HttpResponse answer = PlainAnswer(404);
  EXPECT_EQ(answer.body, "Not Found\n");
  EXPECT_EQ(answer.Header("CONTENT-TYPE"), "text/plain; charset=utf-8");
  EXPECT_EQ(PlainAnswer(400, "no").body, "no\n");
}

}  // namespace
}  // namespace keyferry::server
