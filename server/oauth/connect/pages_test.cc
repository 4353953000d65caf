#include "server/oauth/connect/pages.h"

#include <atomic>
#include <thread>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/oauth/connect/granted.h"
#include "server/oauth/connect/testing_connect.h"

namespace keyferry::server {
namespace {

using testing::HasSubstr;
using testing::Not;

TEST(PagesTest, Escaping) {
  struct Case {
    const char* name;
    std::string text;
    std::string shown;
  };
  const Case kCases[] = {
      {"plain", "Ada Lovelace", "Ada Lovelace"},
      {"markup", "<a href=\"x\" title='y'>&", "&lt;a href=&quot;x&quot; title=&#39;y&#39;&gt;&amp;"},
      {"other alphabets", "\xC3\x89\xE4\xB8\xAD", "\xC3\x89\xE4\xB8\xAD"},
      {"broken UTF-8", "a\xC3<", "a?&lt;"},
      {"a control character", std::string("a\0b", 3), "a?b"},
      {"an escape sequence", "\x1B[31m", "?[31m"},
      {"empty", "", ""},
  };
  for (const Case& c : kCases) EXPECT_EQ(EscapeHtml(c.text), c.shown) << c.name;
}

TEST(PagesTest, EveryPartIsEscaped) {
  const std::string html = Page("<t>")
                               .Text("<p1>")
                               .Warning("<p2>")
                               .Code("<p3>")
                               .Facts({{"<n>", "<v>"}})
                               .Form("/\"<a>", {{"\"<h>", "\"<w>"}}, "<b>")
                               .Build();
  for (const char* markup : {"<t>", "<p1>", "<p2>", "<p3>", "<n>", "<v>", "<a>", "<h>", "<w>", "<b>", "\"\""}) {
    EXPECT_THAT(html, Not(HasSubstr(markup)));
  }
  EXPECT_THAT(html, HasSubstr("<html lang=\"en\">"));
  EXPECT_THAT(html, HasSubstr("name=\"viewport\""));
  for (const char* foreign : {"<script", "src=", "href=", "url(", "@import", "http:"}) {
    EXPECT_THAT(html, Not(HasSubstr(foreign))) << foreign;
  }
}

TEST(PagesTest, WhatIsShownOfForeignText) {
  EXPECT_EQ(ShowableText("one\ntwo", 100), "one two");
  EXPECT_EQ(ShowableText("\x1B[31m", 100), "?[31m");
  EXPECT_EQ(ShowableText("caf\xC3\xA9", 4), "caf");
  EXPECT_EQ(ShowableText("caf\xC3\xA9", 5), "caf\xC3\xA9");
  EXPECT_EQ(ShowableText("\xFF\xFE", 100), "??");
}

class HandlerTest : public testing::Test {
 protected:
  ConnectWorld world_;
  TestBrowser browser_{&world_.handler};
};

TEST_F(HandlerTest, PathsAndMethods) {
  struct Case {
    const char* method;
    const char* url;
    int status;
  };
  constexpr char kCallback[] = "/oauth/callback/00112233445566778899aabbccddeeff";
  constexpr char kLongId[] = "/oauth/callback/00112233445566778899aabbccddeeff0";
  const Case kCases[] = {
      {"GET", "/oauth/start", 404},
      {"GET", "/oauth/start?t=x", 404},
      {"PUT", "/oauth/start", 405},
      {"POST", "/oauth/start", 403},
      {"POST", "/oauth/connect", 405},
      {"GET", "/oauth/connect?org=acme&provider=google", 200},
      {"GET", "/oauth/", 404},
      {"GET", "/oauth/start/", 404},
      {"POST", kCallback, 405},
      {"HEAD", kCallback, 405},
      {"GET", kCallback, 400},
      {"GET", "/oauth/callback", 404},
      {"GET", "/oauth/callback/", 404},
      {"GET", "/oauth/callback/google", 404},
      {"GET", "/oauth/callback/00112233445566778899AABBCCDDEEFF", 404},
      {"GET", "/oauth/callback/00112233445566778899aabbccddeef", 404},
      {"GET", kLongId, 404},
      {"GET", "/oauth/callback/00112233445566778899aabbccddeeff/", 404},
      {"GET", "/oauth/callback/0011223344556677/8899aabbccddeeff", 404},
  };
  for (const Case& c : kCases) {
    EXPECT_EQ(browser_.Send(c.method, c.url, "").status, c.status) << c.method << " " << c.url;
  }
}

TEST_F(HandlerTest, HowToConnectSaysTheSameOfWhatIsThereAndWhatIsNot) {
  const auto page = [&](const std::string& org, const std::string& provider) {
    std::string body = browser_.Get("/oauth/connect?org=" + org + "&provider=" + provider).body;
    for (const std::string& name : {org, provider}) {
      for (size_t at = body.find(name); at != std::string::npos; at = body.find(name))
        body.replace(at, name.size(), "_");
    }
    return body;
  };
  EXPECT_EQ(page("acme", "google"), page("nosuch0", "nosuch1"));
  EXPECT_THAT(browser_.Get("/oauth/connect?org=acme&provider=google").body, HasSubstr("keyferry connect google"));
}

TEST_F(HandlerTest, AnAddressHasARate) {
  ConnectHandlerOptions options;
  options.public_url = "https://keyferry.example:8443";
  options.rate = {1, 2};
  options.clock = [] { return int64_t{1}; };
  HttpHandler handler = MakeConnectHandler(world_.flow.get(), world_.executor.get(), options);
  TestBrowser one(&handler, "203.0.113.7:1");
  TestBrowser same(&handler, "203.0.113.7:2");
  TestBrowser other(&handler, "203.0.113.8:1");
  TestBrowser six(&handler, "[2001:db8::1]:1");
  TestBrowser same_six(&handler, "[2001:db8::2]:1");
  EXPECT_EQ(one.Get("/oauth/start").status, 404);
  EXPECT_EQ(same.Get("/oauth/start").status, 404);
  const HttpResponse refused = one.Get("/oauth/start");
  EXPECT_EQ(refused.status, 429);
  EXPECT_NE(HeaderOf(refused, "Retry-After"), "");
  EXPECT_EQ(other.Get("/oauth/start").status, 404);
  EXPECT_EQ(six.Get("/oauth/start").status, 404);
  EXPECT_EQ(same_six.Get("/oauth/start").status, 404);
  EXPECT_EQ(six.Get("/oauth/start").status, 429);
}

TEST_F(HandlerTest, WhatWaitedForItsTurnUntilTheServerEndsIsTurnedAway) {
  const auto started = world_.Start(world_.directory.As("orgs/acme/users/ada"), "orgs/acme/users/ada");
  const std::string callback = ConnectWorld::CallbackFor(world_.Confirm(&browser_, started.start_url()));
  std::atomic<bool> ending{false};
  Executor::Options one_at_a_time;
  one_at_a_time.threads = 1;
  Executor executor(one_at_a_time);
  ConnectHandlerOptions options;
  options.public_url = "https://keyferry.example:8443";
  options.ending = [&ending] { return ending.load(); };
  HttpHandler handler = MakeConnectHandler(world_.flow.get(), &executor, options);
  absl::Notification go;
  ASSERT_TRUE(executor.TryRun("another", [&go] { go.WaitForNotification(); }));
  std::thread ends([&] {
    ending = true;
    go.Notify();
  });
  TestBrowser queued(&handler);
  queued.cookies = browser_.cookies;
  const HttpResponse answer = queued.Get(callback);
  ends.join();
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("is stopping"));
  EXPECT_EQ(world_.tokens.exchanges.size(), 0u);
  // Another server takes the same answer.
  EXPECT_EQ(browser_.Get(callback).status, 200);
}

}  // namespace
}  // namespace keyferry::server
