// The parsers and encoders that stand under the token client.
#include <map>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/oauth/protocol/document.h"
#include "server/oauth/protocol/encoding.h"
#include "server/oauth/protocol/expiry.h"
#include "server/oauth/protocol/token_response.h"

namespace keyferry::server {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);

TEST(EncodingTest, FormAndUri) {
  const std::string all = "aZ9*-._~ +&=/%\x01\xC3\xA4";
  EXPECT_EQ(FormEscape(all), "aZ9*-._%7E+%2B%26%3D%2F%25%01%C3%A4");
  EXPECT_EQ(UriEscape(all), "aZ9%2A-._~%20%2B%26%3D%2F%25%01%C3%A4");
  EXPECT_EQ(UriEscapeLoosely("a+b,c&d#e %20%zz/:"), "a+b,c%26d%23e%20%20%25zz/:");
  std::string out;
  EXPECT_TRUE(FormUnescape(FormEscape(all), &out) && out == all);
  EXPECT_TRUE(FormUnescape(UriEscape(all), &out) && out == all);
  for (const char* bad : {"%", "a%4", "%g0", "%0g"}) EXPECT_FALSE(FormUnescape(bad, &out)) << bad;
}

TEST(EncodingTest, Utf8IsHeldToTheLetter) {
  for (const char* good :
       {"", "a", "\xC2\x80", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(IsUtf8(good)) << good;
  }
  for (const char* bad : {"\x80", "\xC0\x80", "\xC1\xBF", "\xC2", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
                          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xE2\x82"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

TEST(ParameterListTest, ReplacesRenamesAndRemoves) {
  ParameterList list;
  for (int i = 0; i < 40; ++i) list.Add(absl::StrCat("n", i % 4), absl::StrCat("v", i));
  EXPECT_EQ(list.Get("n1"), "v1");
  list.Rename("n1", "m");
  EXPECT_FALSE(list.Has("n1"));
  EXPECT_EQ(list.Get("m"), "v1");
  list.Set("m", "one");
  EXPECT_EQ(list.all().size(), 31u);
  list.Rename("m", "");
  EXPECT_EQ(list.all().size(), 30u);
  ParameterList moved = std::move(list);
  EXPECT_EQ(moved.Get("n2"), "v2");
}

TEST(DocumentTest, ReadsJson) {
  const auto document = Document::ParseJson(
      R"({"a":{"b":[1,"two",{"c":true}]},"x.y":"dotted","n":null,"f":1.50,"big":12345678901234567890,"neg":-3})");
  ASSERT_TRUE(document.ok()) << document.status();
  EXPECT_EQ(document->TextAt("a.b.0"), "1");
  EXPECT_EQ(document->TextAt("a.b.1"), "two");
  EXPECT_EQ(document->TextAt("a.b.2.c"), "true");
  EXPECT_EQ(document->TextAt("x.y"), "dotted");
  EXPECT_EQ(document->TextAt("f"), "1.50");
  EXPECT_EQ(document->TextAt("big"), "12345678901234567890");
  EXPECT_EQ(document->TextAt("neg"), "-3");
  for (const char* none : {"n", "a.b.3", "a.b.-1", "a.b.x", "a.c", "", "a.", ".a", "a.b.1.c"}) {
    EXPECT_EQ(document->Find(none), nullptr) << none;
  }
  EXPECT_EQ(document->StringsAt("a.b"), std::vector<std::string>{"two"});
}

TEST(DocumentTest, RefusesWhatTwoReadersCouldReadInTwoWays) {
  std::string deep;
  for (int i = 0; i < 17; ++i) deep += "[";
  for (int i = 0; i < 17; ++i) deep += "]";
  std::string many = "[0";
  for (int i = 0; i < 5000; ++i) many += ",0";
  for (const std::string& text :
       {std::string(R"({"a":1,"a":2})"), std::string(R"({"a":{"b":1,"b":2}})"), std::string(R"({"a":1,"\u0061":2})"),
        deep, many + "]", std::string(100000, '['), std::string(R"({"a":1} {"a":2})"), std::string("{'a':1}"),
        std::string("{\"a\":\"\xFF\"}"), std::string(R"({"a":1e999})"), std::string(R"({"a":NaN})"),
        std::string("//\n{}"), std::string(), std::string("{\"a\":\"") + std::string(256 * 1024, 'x') + "\"}"}) {
    EXPECT_EQ(Document::ParseJson(text).status().code(), absl::StatusCode::kInvalidArgument) << text.substr(0, 40);
  }
  EXPECT_TRUE(Document::ParseJson(deep.substr(1, 32)).ok());
}

TEST(DocumentTest, EveryTruncationAndFlipIsReadOrRefused) {
  const std::string text = R"({"access_token":"a\u00e4\n","expires_in":3600,"scope":["x","y"],"o":{"k":null}})";
  for (size_t size = 0; size < text.size(); ++size)
    EXPECT_FALSE(Document::ParseJson(text.substr(0, size)).ok()) << size;
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    std::string flipped = text;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << (bit % 8)));
    (void)Document::ParseJson(flipped);
  }
}

TEST(ExpiryTest, WhatSaysNothingIsNotKnown) {
  for (const char* text : {"", "0", "-1", "never", "1e300", "inf", "nan", "99999999999999999999"}) {
    EXPECT_EQ(LifetimeOf(text, v1::OAUTH_EXPIRY_FORMAT_SECONDS, kNow), absl::InfiniteDuration()) << text;
  }
  for (const char* text : {"P", "PT", "P1H", "PT1", "PTH", "P1Y", "P1M", "1:00", "x:y:z", "PT1HT1M", "PT-1H"}) {
    EXPECT_EQ(LifetimeOf(text, v1::OAUTH_EXPIRY_FORMAT_DURATION, kNow), absl::InfiniteDuration()) << text;
  }
  EXPECT_EQ(LifetimeOf("P1DT2H3M4.5S", v1::OAUTH_EXPIRY_FORMAT_DURATION, kNow),
            absl::Hours(26) + absl::Minutes(3) + absl::Milliseconds(4500));
  EXPECT_EQ(LifetimeOf("P2W", v1::OAUTH_EXPIRY_FORMAT_DURATION, kNow), absl::Hours(24 * 14));
  EXPECT_EQ(LifetimeOf("2020-01-01T00:00:00Z", v1::OAUTH_EXPIRY_FORMAT_DATE, kNow), absl::InfiniteDuration());
  EXPECT_EQ(LifetimeOf("tomorrow", v1::OAUTH_EXPIRY_FORMAT_DATE, kNow), absl::InfiniteDuration());
  EXPECT_EQ(LifetimeOf("3600", v1::OAUTH_EXPIRY_FORMAT_UNIX_SECONDS, kNow), absl::InfiniteDuration());
}

HttpResponse Json(const std::string& body) {
  HttpResponse response;
  response.status = 200;
  response.headers = {{"Content-Type", "application/json"}};
  response.body = body;
  return response;
}

TEST(TokenResponseTest, TokensThatNobodyCouldSendAreRefused) {
  struct Case {
    const char* name;
    std::string body;
    bool ok;
  };
  for (const Case& c : {
           Case{"plain", R"({"access_token":"a b~!"})", true},
           Case{"16 KiB", absl::StrCat(R"({"access_token":")", std::string(16384, 'a'), R"("})"), true},
           Case{"longer", absl::StrCat(R"({"access_token":")", std::string(16385, 'a'), R"("})"), false},
           Case{"NUL", R"({"access_token":"a\u0000b"})", false},
           Case{"line break", R"({"access_token":"a\r\nX: y"})", false},
           Case{"delete", R"({"access_token":"a\u007f"})", false},
           Case{"not ASCII", R"({"access_token":"a\u00e4"})", false},
           Case{"empty", R"({"access_token":""})", false},
           Case{"number", R"({"access_token":17})", false},
           Case{"object", R"({"access_token":{"a":"b"}})", false},
           Case{"null", R"({"access_token":null})", false},
           Case{"twice", R"({"access_token":"a","access_token":"b"})", false},
           Case{"refresh token with NUL", R"({"access_token":"a","refresh_token":"b\u0000"})", false},
           Case{"refresh token too long",
                absl::StrCat(R"({"access_token":"a","refresh_token":")", std::string(16385, 'a'), R"("})"), false},
           Case{"no refresh token", R"({"access_token":"a","refresh_token":null})", true},
           Case{"bearer", R"({"access_token":"a","token_type":"BEARER"})", true},
           Case{"harmless type", R"({"access_token":"a","token_type":"bot"})", true},
           Case{"mac", R"({"access_token":"a","token_type":"mac"})", false},
           Case{"DPoP", R"({"access_token":"a","token_type":"DPoP"})", false},
       }) {
    const TokenResult result = ReadTokenResponse(Json(c.body), {}, kNow, {});
    EXPECT_EQ(absl::holds_alternative<TokenGrant>(result), c.ok) << c.name;
  }
}

TEST(TokenResponseTest, NoTokenIsMetadataWhateverPathLeadsToIt) {
  v1::OauthResponse response;
  for (const auto& [name, path] : {std::pair("a", "copy.access"), std::pair("r", "copy.refresh"),
                                   std::pair("same", "refresh_token"), std::pair("team", "team.id")}) {
    v1::OauthParameter* kept = response.add_metadata();
    kept->set_name(name);
    kept->set_value(path);
  }
  ResponseRules rules;
  rules.response = response;
  TokenResult result = ReadTokenResponse(
      Json(R"({"access_token":"t1","refresh_token":"r1","copy":{"access":"t1","refresh":"r1"},"team":{"id":"T"}})"),
      rules, kNow, {});
  ASSERT_TRUE(absl::holds_alternative<TokenGrant>(result));
  const std::map<std::string, std::string> metadata = absl::get<TokenGrant>(result).metadata;
  EXPECT_EQ(metadata, (std::map<std::string, std::string>{{"team", "T"}}));
}

TEST(TokenResponseTest, ScopesInEveryForm) {
  struct Case {
    const char* scope;
    std::vector<std::string> scopes;
  };
  for (const Case& c : {Case{R"("a b")", {"a", "b"}}, Case{R"("a,b")", {"a", "b"}}, Case{R"(["a","b"])", {"a", "b"}},
                        Case{R"("a|b a")", {"a", "b"}}, Case{R"("")", {}}, Case{"null", {}}, Case{"7", {}},
                        Case{R"("a\u0000 b")", {"b"}}, Case{R"([{"a":1}])", {}}}) {
    ResponseRules rules;
    rules.scope_separator = "|";
    TokenResult result =
        ReadTokenResponse(Json(absl::StrCat(R"({"access_token":"t","scope":)", c.scope, "}")), rules, kNow, {});
    ASSERT_TRUE(absl::holds_alternative<TokenGrant>(result)) << c.scope;
    EXPECT_EQ(absl::get<TokenGrant>(result).scopes, c.scopes) << c.scope;
  }
}

}  // namespace
}  // namespace keyferry::server
