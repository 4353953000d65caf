#include "storage/crypto/signing_key.h"

#include <memory>
#include <string>

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace keyferry::storage {
namespace {

std::string Unescape(absl::string_view base64url) {
  std::string bytes;
  EXPECT_TRUE(absl::WebSafeBase64Unescape(base64url, &bytes));
  return bytes;
}

// RFC 7515, appendix A.2.
constexpr char kRsaModulus[] =
    "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCg"
    "NMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-"
    "UTo7WTBEMa2R2CapHg665xs"
    "mtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_"
    "h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
constexpr char kRsaMessage[] =
    "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ";
constexpr char kRsaSignature[] =
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1"
    "dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--"
    "xi12jzDwu"
    "sC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_"
    "IoypGlUPQGe77Rw";

// RFC 7515, appendix A.3.
constexpr char kEcMessage[] =
    "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
    "fQ";
constexpr char kEcSignature[] =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

PublicKeyNumbers RfcRsaKey() { return {Unescape(kRsaModulus), Unescape("AQAB"), "", ""}; }
PublicKeyNumbers RfcEcKey() {
  return {"", "", Unescape("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
          Unescape("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0")};
}

std::string Flip(std::string text, size_t bit) {
  text[bit / 8] = static_cast<char>(text[bit / 8] ^ (1 << (bit % 8)));
  return text;
}

std::unique_ptr<const SigningKey> Load(const SecretBytes& der) {
  auto key = SigningKey::FromPkcs8(der.Expose());
  EXPECT_TRUE(key.ok()) << key.status();
  return *std::move(key);
}

TEST(SigningKeyTest, VerifiesTheRfcsRs256) {
  EXPECT_TRUE(VerifySignature(RfcRsaKey(), SignatureAlgorithm::kRs256, kRsaMessage, Unescape(kRsaSignature)));
  EXPECT_FALSE(VerifySignature(RfcRsaKey(), SignatureAlgorithm::kPs256, kRsaMessage, Unescape(kRsaSignature)));
  EXPECT_FALSE(VerifySignature(RfcRsaKey(), SignatureAlgorithm::kEs256, kRsaMessage, Unescape(kRsaSignature)));
}

TEST(SigningKeyTest, VerifiesTheRfcsEs256) {
  EXPECT_TRUE(VerifySignature(RfcEcKey(), SignatureAlgorithm::kEs256, kEcMessage, Unescape(kEcSignature)));
  EXPECT_FALSE(VerifySignature(RfcEcKey(), SignatureAlgorithm::kRs256, kEcMessage, Unescape(kEcSignature)));
}

TEST(SigningKeyTest, EveryFlippedBitIsRefused) {
  const std::string signature = Unescape(kEcSignature);
  for (size_t bit = 0; bit < signature.size() * 8; ++bit) {
    EXPECT_FALSE(VerifySignature(RfcEcKey(), SignatureAlgorithm::kEs256, kEcMessage, Flip(signature, bit))) << bit;
  }
  for (size_t size = 0; size < signature.size(); ++size) {
    EXPECT_FALSE(VerifySignature(RfcEcKey(), SignatureAlgorithm::kEs256, kEcMessage, signature.substr(0, size)));
  }
  const std::string rsa = Unescape(kRsaSignature);
  for (size_t bit = 0; bit < rsa.size() * 8; bit += 37) {
    EXPECT_FALSE(VerifySignature(RfcRsaKey(), SignatureAlgorithm::kRs256, kRsaMessage, Flip(rsa, bit))) << bit;
  }
}

TEST(SigningKeyTest, KeysThatAreNoneVerifyNothing) {
  PublicKeyNumbers off_curve = RfcEcKey();
  off_curve.x[0] = static_cast<char>(off_curve.x[0] ^ 1);
  EXPECT_FALSE(VerifySignature(off_curve, SignatureAlgorithm::kEs256, kEcMessage, Unescape(kEcSignature)));
  PublicKeyNumbers small = RfcRsaKey();
  small.n.resize(128);
  EXPECT_FALSE(VerifySignature(small, SignatureAlgorithm::kRs256, kRsaMessage, Unescape(kRsaSignature)));
  EXPECT_FALSE(VerifySignature({}, SignatureAlgorithm::kEs256, kEcMessage, Unescape(kEcSignature)));
}

TEST(SigningKeyTest, SignsWithEachAlgorithm) {
  struct Case {
    const char* name;
    SignatureAlgorithm algorithm;
    bool repeatable;
    size_t size;
  };
  for (const Case& c :
       {Case{"RS256", SignatureAlgorithm::kRs256, true, 256}, Case{"PS256", SignatureAlgorithm::kPs256, false, 256},
        Case{"ES256", SignatureAlgorithm::kEs256, false, 64}}) {
    SCOPED_TRACE(c.name);
    const auto key = Load(SigningKey::Generate(c.algorithm));
    ASSERT_TRUE(key->CanSign(c.algorithm));
    const auto first = key->Sign(c.algorithm, "what was said"), second = key->Sign(c.algorithm, "what was said");
    ASSERT_TRUE(first.ok() && second.ok());
    EXPECT_EQ(first->size(), c.size);
    EXPECT_EQ(*first == *second, c.repeatable);
    EXPECT_TRUE(VerifySignature(key->public_numbers(), c.algorithm, "what was said", *first));
    EXPECT_FALSE(VerifySignature(key->public_numbers(), c.algorithm, "what was sad", *first));
  }
}

TEST(SigningKeyTest, AKeySignsWithItsOwnAlgorithmsOnly) {
  const auto rsa = Load(SigningKey::Generate(SignatureAlgorithm::kRs256));
  EXPECT_TRUE(rsa->CanSign(SignatureAlgorithm::kPs256));
  EXPECT_EQ(rsa->Sign(SignatureAlgorithm::kEs256, "").status().code(), absl::StatusCode::kInvalidArgument);
  const auto ec = Load(SigningKey::Generate(SignatureAlgorithm::kEs256));
  EXPECT_EQ(ec->Sign(SignatureAlgorithm::kRs256, "").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(SigningKeyTest, DamagedKeysAreRefusedAndNeverCrash) {
  const SecretBytes der = SigningKey::Generate(SignatureAlgorithm::kEs256);
  const std::string text(der.Expose());
  for (size_t size = 0; size < text.size(); ++size) {
    EXPECT_EQ(SigningKey::FromPkcs8(text.substr(0, size)).status().code(), absl::StatusCode::kInvalidArgument) << size;
  }
  EXPECT_FALSE(SigningKey::FromPkcs8(text + '\0').ok());
  int accepted = 0;
  for (size_t bit = 0; bit < text.size() * 8; ++bit) {
    const auto key = SigningKey::FromPkcs8(Flip(text, bit));
    if (!key.ok()) continue;
    ++accepted;
    EXPECT_TRUE((*key)->Sign(SignatureAlgorithm::kEs256, "m").ok());
  }
  // The private and the public key are held against each other.
  EXPECT_EQ(accepted, 0);
}

}  // namespace
}  // namespace keyferry::storage
