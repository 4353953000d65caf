// What is kept of a refresh that succeeded at first and failed then.
#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/oauth/protocol/catalogue_of_quirks.h"
#include "server/oauth/protocol/quirk_world.h"

namespace keyferry::server {
namespace {

using Fault = FakeHttpClient::Fault;

constexpr char kSecondUrl[] = "https://provider.test/second";

std::string Text(const storage::SecretBytes& secret) { return std::string(secret.Expose()); }

std::string Rotated(const TokenError& error) {
  return error.rotated_refresh_token == nullptr ? "" : Text(*error.rotated_refresh_token);
}

MockProviderOptions WithSecond() {
  MockProviderOptions options;
  options.needs_second_exchange = true;
  return options;
}

TEST(RotatedTokenTest, AFailureOfTheSecondExchangeCarriesIt) {
  struct Case {
    const char* name;
    Fault fault;
    int count;
    TokenErrorKind kind;
  };
  for (const Case& c : {Case{"5xx", Fault::kServerError, 2, TokenErrorKind::kTemporary},
                        Case{"timeout", Fault::kTimeout, 2, TokenErrorKind::kTemporary},
                        Case{"no connection", Fault::kNoConnection, 2, TokenErrorKind::kTemporary},
                        Case{"HTML with status 200", Fault::kHtml, 1, TokenErrorKind::kTemporary},
                        Case{"429", Fault::kRateLimited, 1, TokenErrorKind::kRateLimited},
                        Case{"redirect", Fault::kRedirect, 1, TokenErrorKind::kRejected},
                        Case{"private address", Fault::kAddressRefused, 1, TokenErrorKind::kRejected}}) {
    SCOPED_TRACE(c.name);
    QuirkWorld world(QuirkDefinition(29), WithSecond());
    std::string newest = Text(GrantOf(world.Connect()).refresh_token);
    // Twice in a row, so that the token before the last is surely of no use any more.
    for (int i = 0; i < 2; ++i) {
      world.http().Inject(c.fault, c.count, kSecondUrl);
      const TokenError error = ErrorOf(world.Refresh(newest));
      EXPECT_EQ(error.kind, c.kind) << error.message;
      ASSERT_NE(error.rotated_refresh_token, nullptr);
      EXPECT_NE(Rotated(error), newest);
      EXPECT_FALSE(absl::StrContains(error.message, Rotated(error)));
      newest = Rotated(error);
    }
    EXPECT_TRUE(world.provider().IsActive(Text(GrantOf(world.Refresh(newest)).access_token)));
    EXPECT_EQ(world.provider().reuses(), 0);
  }
}

TEST(RotatedTokenTest, ARefusalOfTheSecondExchangeDoesNotEndTheGrant) {
  QuirkWorld world(QuirkDefinition(29), WithSecond());
  const TokenGrant first = GrantOf(world.Connect());
  auto* const parameters = world.definition()->provider.mutable_token()->mutable_second()->mutable_parameters();
  v1::OauthParameter* const token = parameters->Mutable(1);
  ASSERT_EQ(token->name(), "access_token");
  token->set_value("something else");
  const TokenError error = ErrorOf(world.Refresh(Text(first.refresh_token)));
  EXPECT_EQ(error.kind, TokenErrorKind::kRejected) << error.message;
  EXPECT_TRUE(absl::StrContains(error.message, "token.second"));
  token->set_value("{access_token}");
  EXPECT_TRUE(world.provider().IsActive(Text(GrantOf(world.Refresh(Rotated(error))).access_token)));
}

TEST(RotatedTokenTest, AFailureOfTheFirstExchangeCarriesNone) {
  QuirkWorld world(QuirkDefinition(29), WithSecond());
  const TokenGrant first = GrantOf(world.Connect());
  for (const Fault fault : {Fault::kServerError, Fault::kRateLimited, Fault::kHtml, Fault::kAnswerLost}) {
    world.http().Inject(fault, 1, "https://provider.test/token");
    EXPECT_EQ(ErrorOf(world.Refresh(Text(first.refresh_token))).rotated_refresh_token, nullptr);
  }
  EXPECT_EQ(ErrorOf(world.Refresh("no-such-token")).rotated_refresh_token, nullptr);
}

TEST(RotatedTokenTest, ASuccessWithoutAnAccessTokenThatIsOfUseCarriesIt) {
  struct Case {
    const char* name;
    const char* access;
    TokenErrorKind kind;
    bool carries;
  };
  for (const Case& c : {Case{"none where it should be", R"("other":"x")", TokenErrorKind::kTemporary, true},
                        Case{"no text", R"("access_token":7)", TokenErrorKind::kTemporary, true},
                        Case{"not printable", R"("access_token":"a\u0007b")", TokenErrorKind::kTemporary, true},
                        Case{"of a kind that needs a proof", R"("access_token":"a","token_type":"DPoP")",
                             TokenErrorKind::kRejected, true},
                        Case{"an error", R"("error":"invalid_grant")", TokenErrorKind::kInvalidGrant, false}}) {
    SCOPED_TRACE(c.name);
    MockProviderOptions options;
    std::string given;
    options.answer = [&](const MockGrant& grant) {
      given = grant.refresh_token;
      return Answer(200, "application/json",
                    absl::StrCat("{", c.access, R"(,"refresh_token":")", grant.refresh_token, R"("})"));
    };
    QuirkWorld world(QuirkDefinition(1), options);
    const MockGrant grant = world.provider().Issue();
    const TokenError error = ErrorOf(world.Refresh(grant.refresh_token));
    EXPECT_EQ(error.kind, c.kind) << error.message;
    EXPECT_NE(given, "");
    EXPECT_EQ(Rotated(error), c.carries ? given : "");
    EXPECT_FALSE(absl::StrContains(error.message, given));
  }
}

}  // namespace
}  // namespace keyferry::server
