#include "server/identity/jwt/jwt.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/identity/jwt/testing_jwt.h"

namespace keyferry::server {
namespace {

const absl::Time kNow = absl::FromUnixSeconds(1700000000);
constexpr char kIssuer[] = "https://issuer.example.com";

std::string Claims() { return TestServiceAccountClaims(kIssuer, "tools", "runner", "pod-0", "uid-0", kNow); }

absl::Status Check(absl::string_view payload, absl::Time now = kNow) {
  return CheckClaims(payload, {kIssuer, {"keyferry"}}, now).status();
}

std::string With(absl::string_view from, absl::string_view to) {
  const std::string changed = absl::StrReplaceAll(Claims(), {{from, to}});
  EXPECT_NE(changed, Claims()) << from;
  return changed;
}

TEST(JwtTest, GoodClaimsPass) {
  const auto claims = CheckClaims(Claims(), {kIssuer, {"keyferry"}}, kNow);
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->subject, "system:serviceaccount:tools:runner");
  EXPECT_EQ(claims->expire_time, kNow + absl::Hours(1));
  EXPECT_EQ(Check(With(R"(["keyferry"])", R"("keyferry")")), absl::OkStatus());
  EXPECT_EQ(Check(With(R"(["keyferry"])", R"(["other",7,"keyferry"])")), absl::OkStatus());
  EXPECT_EQ(Check(With(R"("exp":1700003600)", R"("exp":1.7000036e9)")), absl::OkStatus());
}

TEST(JwtTest, WrongClaimsAreRefused) {
  const std::string cases[] = {
      With(kIssuer, "https://issuer.example.com/"),
      With(kIssuer, "https://ISSUER.example.com"),
      With(R"("iss":"https://issuer.example.com")", R"("iss":["https://issuer.example.com"])"),
      With(R"(["keyferry"])", R"(["keyferry2"])"),
      With(R"(["keyferry"])", R"("Keyferry")"),
      With(R"(["keyferry"])", "[]"),
      With(R"(["keyferry"])", R"({"keyferry":"keyferry"})"),
      With(R"("aud":["keyferry"],)", ""),
      With(R"("exp":1700003600)", R"("exp":"1700003600")"),
      With(R"("exp":1700003600)", R"("exp":-1)"),
      With(R"("exp":1700003600)", R"("exp":1e30)"),
      With(R"("exp":1700003600)", R"("exp":null)"),
      With(R"(,"exp":1700003600)", ""),
      With(R"("nbf":1700000000)", R"("nbf":true)"),
      With("system:serviceaccount:tools:runner", ""),
      With("system:serviceaccount:tools:runner", std::string(257, 's')),
      With(R"("sub":)", R"("sub":"twice","sub":)"),
      "[]",
      "",
      "{}",
      Claims() + "x",
  };
  for (const std::string& claims : cases) {
    EXPECT_TRUE(absl::IsPermissionDenied(Check(claims))) << claims << Check(claims);
  }
  // Nothing that is left unset is a wildcard.
  EXPECT_FALSE(CheckClaims(Claims(), {"", {"keyferry"}}, kNow).ok());
  EXPECT_FALSE(CheckClaims(With(kIssuer, ""), {"", {"keyferry"}}, kNow).ok());
  EXPECT_FALSE(CheckClaims(With(R"(["keyferry"])", R"("")"), {kIssuer, {""}}, kNow).ok());
}

TEST(JwtTest, TimesHaveOneMinuteOfLeeway) {
  const absl::Time expires = kNow + absl::Hours(1);
  EXPECT_EQ(Check(Claims(), expires + absl::Seconds(59)), absl::OkStatus());
  EXPECT_FALSE(Check(Claims(), expires + absl::Seconds(60)).ok());
  EXPECT_EQ(Check(Claims(), kNow - absl::Seconds(60)), absl::OkStatus());
  EXPECT_FALSE(Check(Claims(), kNow - absl::Seconds(61)).ok());
  // Each of the two is looked at.
  EXPECT_FALSE(Check(With(R"("nbf":1700000000)", R"("nbf":1700000061)")).ok());
  EXPECT_FALSE(Check(With(R"("iat":1700000000)", R"("iat":1700000061)")).ok());
}

struct Keys {
  Keys() : rsa(JwtAlgorithm::kRs256, "k"), ec(JwtAlgorithm::kEs256, "k"), ed(JwtAlgorithm::kEdDsa, "k") {
    set = *JwkSet::Parse(TestJwks(absl::StrCat(rsa.Jwk(), ",", ec.Jwk(), ",", ed.Jwk())));
  }
  absl::Status Verify(const std::string& token, std::vector<JwtAlgorithm> allowed = {
                                                    JwtAlgorithm::kRs256, JwtAlgorithm::kEs256, JwtAlgorithm::kEdDsa}) {
    const auto jws = ParseJws(token);
    return jws.ok() ? VerifyJws(*jws, allowed, *set).status() : jws.status();
  }
  TestJwtKey rsa, ec, ed;
  std::unique_ptr<const JwkSet> set;
};

TEST(JwtTest, TheConfiguredAlgorithmsDecideAndNotTheTokens) {
  Keys keys;
  for (const TestJwtKey* key : {&keys.rsa, &keys.ec, &keys.ed})
    EXPECT_EQ(keys.Verify(key->Sign("{}")), absl::OkStatus());
  EXPECT_TRUE(absl::IsPermissionDenied(keys.Verify(keys.rsa.Sign("{}"), {JwtAlgorithm::kEs256})));
  // A signature of one kind under the name of another.
  for (const char* alg : {"ES256", "EdDSA", "RS384", "PS256", "HS256", "none", "rs256", "RS256 ", ""}) {
    const std::string token = keys.rsa.SignText(absl::StrCat(R"({"alg":")", alg, R"(","kid":"k"})"), "{}");
    EXPECT_TRUE(absl::IsPermissionDenied(keys.Verify(token))) << alg;
  }
  EXPECT_TRUE(absl::IsPermissionDenied(keys.Verify(keys.rsa.SignText(R"({"alg":["RS256"],"kid":"k"})", "{}"))));
  EXPECT_TRUE(absl::IsPermissionDenied(keys.Verify(keys.rsa.SignText(R"({"kid":"k"})", "{}"))));
}

TEST(JwtTest, AnUnknownKeyIsToldApartSoThatKeysAreFetched) {
  Keys keys;
  EXPECT_TRUE(absl::IsNotFound(keys.Verify(TestJwtKey(JwtAlgorithm::kEs256, "new").Sign("{}"))));
  EXPECT_TRUE(absl::IsPermissionDenied(keys.Verify(TestJwtKey(JwtAlgorithm::kEs256, "k").Sign("{}"))));
}

TEST(JwtTest, NoKeyAndNoCriticalHeaderIsTakenFromTheToken) {
  Keys keys;
  const TestJwtKey stranger(JwtAlgorithm::kEs256, "k");
  const std::string own = absl::StrCat(R"({"alg":"ES256","kid":"k","jwk":)", stranger.Jwk(), "}");
  EXPECT_TRUE(absl::IsPermissionDenied(keys.Verify(stranger.SignText(own, "{}"))));
  for (const char* more : {R"("crit":["exp"])", R"("crit":[])", R"("crit":null)", R"("alg":"ES256")", R"("kid":7)"}) {
    const std::string token = keys.ec.SignText(absl::StrCat(R"({"alg":"ES256",)", more, "}"), "{}");
    EXPECT_TRUE(absl::IsInvalidArgument(keys.Verify(token))) << more;
  }
}

TEST(JwtTest, IsBounded) {
  Keys keys;
  const std::string token = keys.ec.Sign(absl::StrCat(R"({"a":")", std::string(kMaxJwtBytes, 'x'), "\"}"));
  EXPECT_FALSE(LooksLikeJwt(token));
  EXPECT_TRUE(absl::IsInvalidArgument(ParseJws(token).status()));
  const std::string deep = keys.ec.SignText(std::string(40, '[') + std::string(40, ']'), "{}");
  EXPECT_TRUE(absl::IsInvalidArgument(ParseJws(deep).status()));
  EXPECT_FALSE(Check(absl::StrCat(R"({"a":)", std::string(40, '['), std::string(40, ']'), "}")).ok());
  for (const char* text : {"", ".", "..", "a.b", "a..c", ".b.c", "a.b.c.d", "a b.c.d", "kf_u_abc"}) {
    EXPECT_FALSE(LooksLikeJwt(text)) << text;
    EXPECT_FALSE(ParseJws(text).ok()) << text;
  }
}

}  // namespace
}  // namespace keyferry::server
