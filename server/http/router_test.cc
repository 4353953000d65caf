#include "server/http/router.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

HttpHandler Says(const std::string& text) {
  return [text](ReceivedRequest, std::function<void(HttpResponse)> respond) {
    HttpResponse answer;
    answer.status = 200;
    answer.body = text;
    respond(std::move(answer));
  };
}

TEST(RouterTest, FindsTheHandlerOfMethodAndPath) {
  Router router;
  router.Exact("GET", "/", Says("root"));
  router.Exact("GET", "/a", Says("get a"));
  router.Exact("POST", "/a", Says("post a"));
  router.Exact("POST", "/only-post", Says("post"));
  router.Prefix("GET", "/p/", Says("prefix"));
  router.Prefix("GET", "/p/longer/", Says("longer prefix"));
  router.Exact("GET", "/p/exact", Says("exact"));
  struct Case {
    std::string method;
    std::string url;
    int status;
    std::string body;
    std::string allow;
  };
  for (const Case& c : std::vector<Case>{
           {"GET", "/", 200, "root", ""},
           {"GET", "/?x=/a", 200, "root", ""},
           {"GET", "/a", 200, "get a", ""},
           {"HEAD", "/a", 200, "get a", ""},
           {"POST", "/a?b", 200, "post a", ""},
           {"GET", "/only-post", 405, "Method Not Allowed\n", "POST"},
           {"HEAD", "/only-post", 405, "Method Not Allowed\n", "POST"},
           {"POST", "/p/x", 405, "Method Not Allowed\n", "GET, HEAD"},
           {"GET", "/p/x", 200, "prefix", ""},
           {"GET", "/p/", 200, "prefix", ""},
           {"GET", "/p/longer/x", 200, "longer prefix", ""},
           {"GET", "/p/exact", 200, "exact", ""},
           {"GET", "/p/exact/", 200, "prefix", ""},
           {"GET", "/p", 404, "Not Found\n", ""},
           {"GET", "/a/", 404, "Not Found\n", ""},
           {"GET", "//a", 404, "Not Found\n", ""},
           {"GET", "/%61", 404, "Not Found\n", ""},
           {"GET", "/x/../a", 404, "Not Found\n", ""},
           {"GET", "/A", 404, "Not Found\n", ""},
       }) {
    SCOPED_TRACE(c.method + " " + c.url);
    ReceivedRequest request;
    request.request.method = c.method;
    request.request.url = c.url;
    int answers = 0;
    router.Handle(std::move(request), [&](HttpResponse answer) {
      ++answers;
      EXPECT_EQ(answer.status, c.status);
      EXPECT_EQ(answer.body, c.body);
      EXPECT_EQ(answer.Header("allow"), c.allow);
    });
    EXPECT_EQ(answers, 1);
  }
}

TEST(ReceivedRequestTest, CookiesAreReadByTheirExactName) {
  ReceivedRequest request;
  request.request.headers = {{"Cookie", "a=1; b=2=3;c=;  d = 4 "}, {"cookie", "e=5; a=second"}, {"X-Cookie", "f=6"}};
  EXPECT_EQ(request.Cookie("a"), "1");
  EXPECT_EQ(request.Cookie("b"), "2=3");
  EXPECT_EQ(request.Cookie("c"), "");
  EXPECT_EQ(request.Cookie("d"), "4");
  EXPECT_EQ(request.Cookie("e"), "5");
  EXPECT_EQ(request.Cookie("f"), "");
  EXPECT_EQ(request.Cookie("A"), "");
  EXPECT_EQ(request.Cookie(""), "");
}

}  // namespace
}  // namespace keyferry::server
