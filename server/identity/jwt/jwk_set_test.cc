#include "server/identity/jwt/jwk_set.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/identity/jwt/testing_jwt.h"

namespace keyferry::server {
namespace {

size_t SizeOf(absl::string_view keys) {
  const auto set = JwkSet::Parse(TestJwks(keys));
  EXPECT_TRUE(set.ok()) << set.status();
  return set.ok() ? (*set)->size() : 999;
}

TEST(JwkSetTest, FindsAKeyByIdAndAlgorithm) {
  const TestJwtKey rsa(JwtAlgorithm::kRs256, "a"), ec(JwtAlgorithm::kEs256, "a"), other(JwtAlgorithm::kEs256, "b");
  const auto set = JwkSet::Parse(TestJwks(absl::StrCat(rsa.Jwk(), ",", ec.Jwk(), ",", other.Jwk())));
  ASSERT_TRUE(set.ok()) << set.status();
  ASSERT_NE((*set)->Find(JwtAlgorithm::kRs256, "a"), nullptr);
  ASSERT_NE((*set)->Find(JwtAlgorithm::kEs256, "a"), nullptr);
  EXPECT_EQ((*set)->Find(JwtAlgorithm::kRs256, "a")->algorithm(), JwtAlgorithm::kRs256);
  EXPECT_EQ((*set)->Find(JwtAlgorithm::kEs256, "a")->algorithm(), JwtAlgorithm::kEs256);
  EXPECT_NE((*set)->Find(JwtAlgorithm::kEs256, "a"), (*set)->Find(JwtAlgorithm::kEs256, "b"));
  EXPECT_EQ((*set)->Find(JwtAlgorithm::kEdDsa, "a"), nullptr);
  EXPECT_EQ((*set)->Find(JwtAlgorithm::kRs256, "c"), nullptr);
  // Without an id, the only one of the algorithm.
  EXPECT_EQ((*set)->Find(JwtAlgorithm::kRs256, ""), (*set)->Find(JwtAlgorithm::kRs256, "a"));
  EXPECT_EQ((*set)->Find(JwtAlgorithm::kEs256, ""), nullptr);
  EXPECT_TRUE((*set)->Contains((*set)->Find(JwtAlgorithm::kEs256, "b")->fingerprint()));
  EXPECT_FALSE((*set)->Contains(std::string(32, '\0')));
}

TEST(JwkSetTest, PassesOverWhatIsNotForVerifying) {
  const TestJwtKey key(JwtAlgorithm::kEs256, "a");
  EXPECT_EQ(SizeOf(key.Jwk(R"(,"use":"sig","alg":"ES256","key_ops":["verify"])")), 1u);
  for (const char* more : {R"(,"use":"enc")", R"(,"use":7)", R"(,"use":null)", R"(,"alg":"ES512")", R"(,"alg":"RS256")",
                           R"(,"alg":null)", R"(,"key_ops":["sign"])", R"(,"key_ops":[])", R"(,"key_ops":"verify")"}) {
    EXPECT_EQ(SizeOf(key.Jwk(more)), 0u) << more;
  }
  EXPECT_EQ(
      SizeOf(R"({"kty":"oct","k":"AAAA"},{"kty":"EC","crv":"P-521"},{"kty":"OKP","crv":"Ed448"},{"kty":"new"},{})"),
      0u);
}

TEST(JwkSetTest, RefusesWhatItDoesNotUnderstandWhole) {
  const TestJwtKey ec(JwtAlgorithm::kEs256, "a"), rsa(JwtAlgorithm::kRs256, "r");
  const std::string off_curve = absl::StrReplaceAll(ec.Jwk(), {{R"("y":")", R"("y":"AAAA)"}});
  for (const std::string& keys :
       {absl::StrCat(ec.Jwk(), ",", ec.Jwk()), std::string("7"), std::string(R"({"kty":"EC","crv":"P-256"})"),
        off_curve, std::string(R"({"kty":"RSA","n":"AQAB","e":"AQAB"})"),
        std::string(R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})"),
        absl::StrReplaceAll(rsa.Jwk(), {{"AQAB\"", "AQ\""}}), absl::StrReplaceAll(rsa.Jwk(), {{"AQAB\"", "AQAC\""}}),
        ec.Jwk(R"(,"use":"sig","use":"sig")"), absl::StrReplaceAll(ec.Jwk(), {{R"("a")", "7"}}),
        absl::StrReplaceAll(ec.Jwk(), {{R"("a")", absl::StrCat("\"", std::string(257, 'k'), "\"")}})}) {
    const auto set = JwkSet::Parse(TestJwks(keys));
    EXPECT_TRUE(absl::IsInvalidArgument(set.status())) << keys << ": " << set.status();
  }
  for (const char* text : {"", "[]", "{}", R"({"keys":{}})", R"({"keys":null})",
                           R"({"keys":[]} )"
                           "x"}) {
    EXPECT_FALSE(JwkSet::Parse(text).ok()) << text;
  }
  EXPECT_FALSE(JwkSet::Parse(std::string(300 * 1024, ' ')).ok());
}

TEST(JwkSetTest, IsBounded) {
  std::string keys = R"({"kty":"new"})";
  for (size_t i = 1; i < JwkSet::kMaxKeys; ++i) keys += R"(,{"kty":"new"})";
  EXPECT_EQ(SizeOf(keys), 0u);
  EXPECT_FALSE(JwkSet::Parse(TestJwks(keys + R"(,{"kty":"new"})")).ok());
}

TEST(VerificationKeyTest, RsaHasTwoThousandToEightThousandBits) {
  const auto modulus = [](size_t bytes) { return std::string(1, '\x80') + std::string(bytes - 2, 'x') + "\x01"; };
  EXPECT_EQ(VerificationKey::Rsa(modulus(255), "\x03"), nullptr);
  EXPECT_NE(VerificationKey::Rsa(modulus(256), "\x03"), nullptr);
  EXPECT_NE(VerificationKey::Rsa(modulus(1024), "\x03"), nullptr);
  EXPECT_EQ(VerificationKey::Rsa(modulus(1025), "\x03"), nullptr);
  EXPECT_EQ(VerificationKey::Rsa(modulus(256).substr(0, 255) + "\x02", "\x03"), nullptr);
}

}  // namespace
}  // namespace keyferry::server
