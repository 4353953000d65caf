#include "server/oauth/protocol/authorization_url.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/errors.h"
#include "server/oauth/protocol/catalogue_of_quirks.h"
#include "server/oauth/protocol/url_template.h"

namespace keyferry::server {
namespace {

AuthorizationRequest Request() {
  AuthorizationRequest request;
  request.redirect_uri = "https://keyferry.test/oauth/callback";
  request.state = "the state";
  request.code_challenge = "the-challenge";
  return request;
}

TEST(AuthorizationUrlTest, HoldsWhatTheStandardsSay) {
  v1::OauthProvider provider = QuirkDefinition(1);
  provider.mutable_authorization()->add_resources("https://api.test/mcp?x=1");
  EXPECT_EQ(AuthorizationUrl(provider, Request()).value(),
            "https://provider.test/authorize?response_type=code&client_id=client-1"
            "&redirect_uri=https%3A%2F%2Fkeyferry.test%2Foauth%2Fcallback&scope=read%20write&state=the%20state"
            "&code_challenge=the-challenge&code_challenge_method=S256&resource=https%3A%2F%2Fapi.test%2Fmcp%3Fx%3D1");
}

TEST(AuthorizationUrlTest, KeepsTheQueryOfTheEndpoint) {
  v1::OauthProvider provider = QuirkDefinition(11);
  provider.mutable_endpoints()->set_authorization_url("https://provider.test/authorize?tenant=1");
  AuthorizationRequest request = Request();
  request.code_challenge.clear();
  request.scopes = {"only"};
  EXPECT_EQ(AuthorizationUrl(provider, request).value(),
            "https://provider.test/authorize?tenant=1&response_type=code&client_id=client-1"
            "&redirect_uri=https%3A%2F%2Fkeyferry.test%2Foauth%2Fcallback&scope=only&state=the%20state");
}

TEST(AuthorizationUrlTest, UnescapedScopesStillEndNoParameter) {
  v1::OauthProvider provider = QuirkDefinition(10);
  AuthorizationRequest request = Request();
  request.scopes = {"a&state=evil", "b#c", "d e", "https://x.test/y"};
  const std::string url = AuthorizationUrl(provider, request).value();
  EXPECT_TRUE(absl::StrContains(url, "&scope=a%26state%3Devil+b%23c+d%20e+https://x.test/y&state=")) << url;
}

TEST(AuthorizationUrlTest, ParametersOfTheDefinitionCannotTouchTheProtections) {
  for (const char* name : {"state", "redirect_uri", "code_challenge", "code_challenge_method", "my_state"}) {
    v1::OauthProvider provider = QuirkDefinition(1);
    auto* renamed = provider.mutable_authorization()->add_renamed_parameters();
    renamed->set_name("state");
    renamed->set_value("my_state");
    auto* parameter = provider.mutable_authorization()->add_parameters();
    parameter->set_name(name);
    parameter->set_value("fixed");
    EXPECT_EQ(AuthorizationUrl(provider, Request()).status().code(), absl::StatusCode::kInvalidArgument) << name;
  }
  v1::OauthProvider provider = QuirkDefinition(1);
  auto* parameter = provider.mutable_authorization()->add_parameters();
  parameter->set_name("response_type");
  parameter->set_value("code token");
  const std::string url = AuthorizationUrl(provider, Request()).value();
  EXPECT_FALSE(absl::StrContains(url, "response_type=code&")) << url;
  EXPECT_TRUE(absl::StrContains(url, "response_type=code%20token"));
}

TEST(UrlTemplateTest, ValuesStayWhereTheyArePut) {
  struct Case {
    const char* name;
    const char* url;
    const char* value;
    // "" if it is refused.
    const char* expanded;
  };
  for (const Case& c : {
           Case{"a label", "https://{x}.test/p", "acme", "https://acme.test/p"},
           Case{"labels", "https://{x}/p", "acme.my.test", "https://acme.my.test/p"},
           Case{"an empty label in front", "https://login{x}.test/p", ".evil", ""},
           Case{"an empty label behind", "https://{x}.test/p", "evil.", ""},
           Case{"two dots", "https://{x}.test/p", "a..b", ""},
           Case{"a host's end", "https://{x}.test/p", "evil.test/", ""},
           Case{"a user", "https://{x}.test/p", "evil@", ""},
           Case{"an escape in the host", "https://{x}.test/p", "a%2fb", ""},
           Case{"path", "https://h.test/{x}/p", "a b+c&d", "https://h.test/a%20b%2Bc%26d/p"},
           Case{"a slash in the path", "https://h.test/{x}/p", "../q", "https://h.test/..%2Fq/p"},
           Case{"one dot", "https://h.test/{x}/p", ".", ""},
           Case{"two dots in the path", "https://h.test/{x}/p", "..", ""},
           Case{"two dots from two halves", "https://h.test/.{x}/p", ".", ""},
           Case{"two dots at the end", "https://h.test/{x}", "..", ""},
           Case{"query", "https://h.test/p?t={x}", "a&b=c#d", "https://h.test/p?t=a%26b%3Dc%23d"},
           Case{"dots in the query", "https://h.test/p?t={x}", "..", "https://h.test/p?t=.."},
           Case{"the port", "https://h.test:{x}/p", "8443", "https://h.test:8443/p"},
           Case{"an unknown variable", "https://{y}.test/p", "a", ""},
           Case{"braces", "https://h.test/{X}", "a", ""},
           Case{"no https", "http://{x}.test/p", "a", ""},
           Case{"a user of the template", "https://u@{x}.test/p", "a", ""},
           Case{"an address in disguise", "https://{x}/p", "0x7f.1", ""},
           Case{"a line break", "https://h.test/{x}", "a\r\nb", "https://h.test/a%0D%0Ab"},
       }) {
    const auto expanded = ExpandUrl(c.url, {{"x", c.value}}, "url");
    EXPECT_EQ(expanded.ok() ? *expanded : "", c.expanded) << c.name;
  }
}

TEST(UrlTemplateTest, ValuesMatchTheirPatternAsAWhole) {
  struct Case {
    const char* name;
    const char* pattern;
    const char* value;
    bool ok;
  };
  for (const Case& c : {
           Case{"default", "", "acme-1", true},
           Case{"default, dot", "", "acme.test", false},
           Case{"default, line break at the end", "", "acme\n", false},
           Case{"own", "(eu|us)[0-9]", "eu1", true},
           Case{"own, more before", "(eu|us)[0-9]", "xeu1", false},
           Case{"own, more behind", "eu|us", "eux", false},
           Case{"own, dots", "[a-z.]+", "a.b", true},
           Case{"anything, slash", "(?s).*", "a/b", false},
           Case{"anything, question mark", ".*", "a?b", false},
           Case{"anything, at", ".*", "a@b", false},
           Case{"anything, colon", ".*", "a:b", false},
           Case{"anything, backslash", ".*", "a\\b", false},
           Case{"anything, percent", ".*", "a%2f", false},
           Case{"anything, empty", ".*", "", false},
           Case{"anything, not ASCII", ".*", "\xC3\xA4", false},
           Case{"no regular expression", "(", "a", false},
       }) {
    v1::OauthProvider provider = QuirkDefinition(16);
    provider.mutable_url_variables(0)->set_pattern(c.pattern);
    EXPECT_EQ(CheckUrlVariables(provider, {{"subdomain", c.value}}, "url_variables").ok(), c.ok) << c.name;
  }
  v1::OauthProvider provider = QuirkDefinition(16);
  provider.mutable_url_variables(0)->set_pattern("a*");
  EXPECT_TRUE(CheckUrlVariables(provider, {{"subdomain", std::string(255, 'a')}}, "v").ok());
  EXPECT_FALSE(CheckUrlVariables(provider, {{"subdomain", std::string(256, 'a')}}, "v").ok());
}

TEST(UrlTemplateTest, EachVariableHasOneValue) {
  v1::OauthProvider provider = QuirkDefinition(16);
  v1::ErrorDetail detail;
  ASSERT_TRUE(GetDetail(CheckUrlVariables(provider, {}, "url_variables"), &detail));
  EXPECT_EQ(detail.field(), "url_variables.subdomain");
  EXPECT_TRUE(absl::StrContains(detail.next_step(), "your shop"));
  EXPECT_FALSE(CheckUrlVariables(provider, {{"subdomain", "a"}, {"other", "b"}}, "url_variables").ok());
  provider.mutable_url_variables(0)->set_value("fixed");
  EXPECT_TRUE(CheckUrlVariables(provider, {}, "url_variables").ok());
  EXPECT_FALSE(CheckUrlVariables(provider, {{"subdomain", "mine"}}, "url_variables").ok());
}

TEST(UrlTemplateTest, TextKeepsBracesThatAreNoVariable) {
  EXPECT_EQ(ExpandText(R"({"userinfo":{"email":null}} {x} {y} {X} {)", {{"x", "1"}}),
            R"({"userinfo":{"email":null}} 1 {y} {X} {)");
  // What was put in is not looked at again.
  EXPECT_EQ(ExpandText("{a}{b}", {{"a", "{b}"}, {"b", "2"}}), "{b}2");
}

}  // namespace
}  // namespace keyferry::server
