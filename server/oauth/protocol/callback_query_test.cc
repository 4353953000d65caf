#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/oauth/protocol/authorization_url.h"
#include "server/oauth/protocol/catalogue_of_quirks.h"

namespace keyferry::server {
namespace {

TEST(CallbackQueryTest, ReadsWhatTheProviderSends) {
  auto query = ParseCallbackQuery("code=a%2Fb+c&state=s%20t&iss=https%3A%2F%2Fprovider.test&x=%C3%A4&empty&=");
  ASSERT_TRUE(query.ok()) << query.status();
  EXPECT_EQ(query->state, "s t");
  EXPECT_EQ(query->issuer, "https://provider.test");
  EXPECT_EQ(query->parameters.at("x"), "\xC3\xA4");
  EXPECT_EQ(query->code, "");
  ASSERT_TRUE(TakeCode(QuirkDefinition(1), &*query).ok());
  EXPECT_EQ(query->code, "a/b c");
  EXPECT_TRUE(ParseCallbackQuery("").ok());
}

TEST(CallbackQueryTest, RefusesWhatIsMalformed) {
  std::string many;
  for (int i = 0; i < 65; ++i) absl::StrAppend(&many, "p", i, "=1&");
  for (const std::string& query :
       {std::string("code=1&code=2"), std::string("state=a&state=a"), std::string("code=%"), std::string("code=%4"),
        std::string("code=%zz"), std::string("state=a%00b"), std::string("state=a%0Ab"), std::string("iss=%7F"),
        std::string("x=%FF"), std::string("x=%C0%80"), std::string("x=%ED%A0%80"), many,
        absl::StrCat("x=", std::string(16 * 1024, 'a'))}) {
    const auto parsed = ParseCallbackQuery(query);
    EXPECT_EQ(parsed.status().code(), absl::StatusCode::kInvalidArgument) << query.substr(0, 40);
  }
}

TEST(CallbackQueryTest, ErrorsAreSaidInWordsToActOn) {
  struct Case {
    const char* query;
    const char* words;
  };
  for (const Case& c :
       {Case{"error=access_denied&state=s", "access was not granted"}, Case{"error=invalid_scope", "scopes"},
        Case{"error=server_error", "in a while"}, Case{"error=redirect_uri_mismatch", "redirect URI"},
        Case{"error=of+its+own", "`of its own`"}, Case{"error=x&error_description=a%0A%1b%5B31mb%C3%A4", "(a ?[31mb?"},
        Case{"error=access_denied&code=c", "access was not granted"}, Case{"state=s", "no code"},
        Case{"code=", "no code"}, Case{"code=a%01", "damaged code"}}) {
    auto query = ParseCallbackQuery(c.query);
    ASSERT_TRUE(query.ok()) << c.query;
    const absl::Status status = TakeCode(QuirkDefinition(1), &*query);
    EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition) << c.query;
    EXPECT_TRUE(absl::StrContains(status.message(), c.words)) << status;
    EXPECT_EQ(query->code, "");
  }
  auto query =
      ParseCallbackQuery(absl::StrCat("error=", std::string(5000, 'e'), "&error_description=", std::string(5000, 'd')));
  ASSERT_TRUE(query.ok());
  EXPECT_LE(query->error.size(), 64u);
  EXPECT_LE(query->error_description.size(), 256u);
}

TEST(CallbackQueryTest, TheIssuerIsTheOneThatWasAsked) {
  struct Case {
    const char* name;
    const char* issuer;
    bool required;
    const char* query;
    bool ok;
  };
  for (const Case& c : {
           Case{"same", "https://p.test", true, "code=c&iss=https://p.test", true},
           Case{"other", "https://p.test", false, "code=c&iss=https://evil.test", false},
           Case{"other, by a slash", "https://p.test", false, "code=c&iss=https://p.test/", false},
           Case{"other, with an error", "https://p.test", false, "error=access_denied&iss=https://evil.test", false},
           Case{"missing", "https://p.test", true, "code=c", false},
           Case{"missing, not required", "https://p.test", false, "code=c", true},
           Case{"not known here, of the host that was asked", "", false, "code=c&iss=https://provider.test/x", true},
           Case{"not known here, of another host", "", false, "code=c&iss=https://p.test", false},
           Case{"not known here, no URL", "", false, "code=c&iss=provider.test", false},
       }) {
    v1::OauthProvider provider = QuirkDefinition(1);
    provider.mutable_endpoints()->set_issuer(c.issuer);
    provider.mutable_authorization()->set_require_issuer(c.required);
    auto query = ParseCallbackQuery(c.query);
    ASSERT_TRUE(query.ok());
    EXPECT_EQ(TakeCode(provider, &*query).ok(), c.ok) << c.name;
  }
}

}  // namespace
}  // namespace keyferry::server
