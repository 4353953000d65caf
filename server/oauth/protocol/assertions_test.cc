// What Keyferry signs, read and verified with BoringSSL and an XML library alone.
#include <stdio.h>

#include <fstream>
#include <memory>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "openssl/bn.h"
#include "openssl/ec_key.h"
#include "openssl/ecdsa.h"
#include "openssl/evp.h"
#include "openssl/rsa.h"
#include "openssl/sha.h"
#include "server/oauth/protocol/fake_http_client.h"
#include "server/oauth/protocol/grant_assertion.h"
#include "server/oauth/protocol/jws.h"
#include "server/oauth/protocol/make_token_client.h"

namespace keyferry::server {
namespace {

using Json = nlohmann::json;

constexpr char kTokenUrl[] = "https://provider.test/token";
const absl::Time kNow = absl::FromUnixSeconds(1'790'000'000);

std::string Decode(absl::string_view base64url) {
  std::string bytes;
  EXPECT_TRUE(absl::WebSafeBase64Unescape(base64url, &bytes)) << base64url;
  EXPECT_FALSE(absl::StrContains(base64url, '=')) << "padded (RFC 7515, section 2)";
  return bytes;
}

bssl::UniquePtr<BIGNUM> Number(const Json& key, const char* member) {
  const std::string bytes = Decode(key.at(member).get<std::string>());
  return bssl::UniquePtr<BIGNUM>(BN_bin2bn(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), nullptr));
}

bool VerifiesRsa(const Json& key, bool pss, const std::string& text, const std::string& signature) {
  bssl::UniquePtr<RSA> rsa(RSA_new());
  if (RSA_set0_key(rsa.get(), Number(key, "n").release(), Number(key, "e").release(), nullptr) != 1) return false;
  bssl::UniquePtr<EVP_PKEY> pkey(EVP_PKEY_new());
  EVP_PKEY_set1_RSA(pkey.get(), rsa.get());
  bssl::ScopedEVP_MD_CTX context;
  EVP_PKEY_CTX* padding = nullptr;
  if (EVP_DigestVerifyInit(context.get(), &padding, EVP_sha256(), nullptr, pkey.get()) != 1) return false;
  if (pss && (EVP_PKEY_CTX_set_rsa_padding(padding, RSA_PKCS1_PSS_PADDING) != 1 ||
              EVP_PKEY_CTX_set_rsa_pss_saltlen(padding, 32) != 1)) {
    return false;
  }
  return EVP_DigestVerify(context.get(), reinterpret_cast<const uint8_t*>(signature.data()), signature.size(),
                          reinterpret_cast<const uint8_t*>(text.data()), text.size()) == 1;
}

bool VerifiesEc(const Json& key, const std::string& text, const std::string& signature) {
  if (signature.size() != 64) return false;
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  if (EC_KEY_set_public_key_affine_coordinates(ec.get(), Number(key, "x").get(), Number(key, "y").get()) != 1) {
    return false;
  }
  const auto* bytes = reinterpret_cast<const uint8_t*>(signature.data());
  bssl::UniquePtr<ECDSA_SIG> parsed(ECDSA_SIG_new());
  ECDSA_SIG_set0(parsed.get(), BN_bin2bn(bytes, 32, nullptr), BN_bin2bn(bytes + 32, 32, nullptr));
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest);
  return ECDSA_do_verify(digest, sizeof(digest), parsed.get(), ec.get()) == 1;
}

bool Verifies(const Json& key, const std::string& algorithm, const std::string& text, const std::string& signature) {
  if (algorithm == "ES256") return VerifiesEc(key, text, signature);
  return VerifiesRsa(key, algorithm == "PS256", text, signature);
}

// The one key of the set that is to be registered at the provider.
Json KeyOf(const ProviderDefinition& definition) {
  const auto jwks = PublicJwks(definition.signing_key.Expose(), definition.provider.client().signing_algorithm());
  EXPECT_TRUE(jwks.ok()) << jwks.status();
  return Json::parse(*jwks).at("keys").at(0);
}

struct Jwt {
  Json header;
  Json claims;
};

// The JWT, which the key must have signed as the algorithm says.
Jwt ReadJwt(const std::string& jwt, const Json& key, const std::string& algorithm) {
  const std::vector<std::string> parts = absl::StrSplit(jwt, '.');
  EXPECT_EQ(parts.size(), 3u) << jwt;
  if (parts.size() != 3) return {};
  const std::string text = absl::StrCat(parts[0], ".", parts[1]);
  EXPECT_TRUE(Verifies(key, algorithm, text, Decode(parts[2])));
  EXPECT_FALSE(Verifies(key, algorithm, text + "x", Decode(parts[2])));
  return {Json::parse(Decode(parts[0])), Json::parse(Decode(parts[1]))};
}

std::shared_ptr<ProviderDefinition> Definition(v1::OauthSigningAlgorithm algorithm) {
  auto definition = std::make_shared<ProviderDefinition>();
  definition->provider.mutable_endpoints()->set_token_url(kTokenUrl);
  definition->provider.mutable_client()->set_client_id("client-1");
  definition->provider.mutable_client()->set_signing_algorithm(algorithm);
  definition->signing_key = GenerateSigningKey(algorithm);
  return definition;
}

constexpr v1::OauthSigningAlgorithm kAlgorithms[] = {
    v1::OAUTH_SIGNING_ALGORITHM_RS256, v1::OAUTH_SIGNING_ALGORITHM_PS256, v1::OAUTH_SIGNING_ALGORITHM_ES256};

// RFC 7638, section 3.1.
TEST(AssertionsTest, ThumbprintOfTheRfc) {
  storage::PublicKeyNumbers key;
  key.n = Decode(
      "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknj"
      "hMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQ"
      "vRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzK"
      "nqDKgw");
  key.e = Decode("AQAB");
  EXPECT_EQ(KeyThumbprint(key), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

// RFC 7638, section 3.2: for a key on a curve crv, kty, x and y count, in this order.
TEST(AssertionsTest, ThumbprintOfAKeyOnACurve) {
  const auto definition = Definition(v1::OAUTH_SIGNING_ALGORITHM_ES256);
  const Json key = KeyOf(*definition);
  const std::string text = absl::StrCat(R"({"crv":"P-256","kty":"EC","x":")", key.at("x").get<std::string>(),
                                        R"(","y":")", key.at("y").get<std::string>(), R"("})");
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(text.data()), text.size(), digest);
  EXPECT_EQ(Decode(key.at("kid").get<std::string>()), std::string(digest, digest + sizeof(digest)));
}

// RFC 7523, section 2.1 and 3.
TEST(AssertionsTest, JwtOfAGrant) {
  for (const auto algorithm : kAlgorithms) {
    const std::string name(AlgorithmName(algorithm));
    SCOPED_TRACE(name);
    const auto definition = Definition(algorithm);
    const auto assertion = JwtGrantAssertion(*definition, {}, kTokenUrl, kNow);
    ASSERT_TRUE(assertion.ok()) << assertion.status();
    const Json key = KeyOf(*definition);
    const Jwt jwt = ReadJwt(*assertion, key, name);
    EXPECT_EQ(jwt.header, (Json{{"alg", name}, {"typ", "JWT"}, {"kid", key.at("kid")}}));
    EXPECT_EQ(jwt.claims.at("iss"), "client-1");
    EXPECT_EQ(jwt.claims.at("sub"), "client-1");
    EXPECT_EQ(jwt.claims.at("aud"), kTokenUrl);
    EXPECT_EQ(jwt.claims.at("iat"), absl::ToUnixSeconds(kNow));
    EXPECT_EQ(jwt.claims.at("exp"), absl::ToUnixSeconds(kNow) + 300);
    EXPECT_GE(Decode(jwt.claims.at("jti").get<std::string>()).size(), 16u);
  }
}

// RFC 7523, section 2.2, as it is sent.
TEST(AssertionsTest, JwtOfAClient) {
  for (const auto algorithm : kAlgorithms) {
    for (const std::string& audience : {std::string(), std::string("https://issuer.test")}) {
      const std::string name(AlgorithmName(algorithm));
      SCOPED_TRACE(absl::StrCat(name, " ", audience));
      const auto definition = Definition(algorithm);
      definition->provider.mutable_client()->set_authentication(v1::OAUTH_CLIENT_AUTHENTICATION_PRIVATE_KEY_JWT);
      definition->provider.mutable_client()->set_assertion_audience(audience);
      std::string body;
      FakeHttpClient http([&body](const HttpRequest& request) {
        body = request.body;
        HttpResponse answer;
        answer.status = 200;
        answer.headers = {{"Content-Type", "application/json"}};
        answer.body = R"({"access_token":"a"})";
        return answer;
      });
      TokenClient::RefreshInput input;
      input.refresh_token = storage::SecretBytes::CopyOf("r");
      MakeTokenClient(&http, [] { return kNow; })->Refresh(definition, std::move(input), absl::Seconds(1), [](auto) {});
      EXPECT_TRUE(absl::StrContains(
          body, "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer"));
      const size_t at = body.find("client_assertion=");
      ASSERT_NE(at, std::string::npos) << body;
      const std::string sent = body.substr(at + 17, body.find('&', at) - at - 17);
      const Jwt jwt = ReadJwt(sent, KeyOf(*definition), name);
      EXPECT_EQ(jwt.claims.at("iss"), "client-1");
      EXPECT_EQ(jwt.claims.at("sub"), "client-1");
      EXPECT_EQ(jwt.claims.at("aud"), audience.empty() ? kTokenUrl : audience);
      EXPECT_LE(jwt.claims.at("exp").get<int64_t>() - absl::ToUnixSeconds(kNow), 60) << "good for no later use";
    }
  }
}

// RFC 7522, and XML Signature 1.1 with exclusive canonicalization.
TEST(AssertionsTest, SamlOfAGrant) {
  const auto definition = Definition(v1::OAUTH_SIGNING_ALGORITHM_RS256);
  // What canonical form writes otherwise than a careless writer.
  v1::OauthAssertion& assertion = *definition->provider.mutable_assertion();
  assertion.set_issuer("<\"Acme\"> & 's\xC3\xB6hne'");
  assertion.set_audience("https://provider.test/saml?a=1&b=\"2\"");
  for (const auto& [name, value] :
       {std::pair("z<&>\"'\t", "a]]>b"), std::pair("a", "\ttab\nline "), std::pair("e", "")}) {
    v1::OauthParameter* claim = assertion.add_claims();
    claim->set_name(name);
    claim->set_value(value);
  }
  const auto made = SamlGrantAssertion(*definition, {}, kTokenUrl, kNow);
  ASSERT_TRUE(made.ok()) << made.status();
  const std::string directory = testing::TempDir();
  const std::string xml = Decode(*made);
  std::ofstream(directory + "/assertion.xml", std::ios::binary) << xml;
  const std::string command = absl::StrCat("/usr/bin/python3 server/oauth/protocol/canonical_saml.py ", directory,
                                           "/assertion.xml ", directory, "/signed_info");
  FILE* const program = popen(command.c_str(), "r");
  ASSERT_NE(program, nullptr);
  std::string printed(1000, '\0');
  printed.resize(fread(printed.data(), 1, printed.size(), program));
  ASSERT_EQ(pclose(program), 0) << xml;
  const std::vector<std::string> digests = absl::StrSplit(printed, '\n', absl::SkipEmpty());
  ASSERT_EQ(digests.size(), 2u) << printed;
  EXPECT_EQ(digests[0], digests[1]) << "the digest is not of the assertion in canonical form";
  std::stringstream signed_info;
  signed_info << std::ifstream(directory + "/signed_info", std::ios::binary).rdbuf();
  const size_t begin = xml.find("<ds:SignatureValue>") + 19;
  std::string signature;
  ASSERT_TRUE(absl::Base64Unescape(xml.substr(begin, xml.find('<', begin) - begin), &signature));
  EXPECT_TRUE(VerifiesRsa(KeyOf(*definition), /*pss=*/false, signed_info.str(), signature)) << signed_info.str();
}

}  // namespace
}  // namespace keyferry::server
