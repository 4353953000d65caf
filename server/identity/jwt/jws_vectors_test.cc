// Examples of the specifications: what they sign is verified if this server takes the algorithm, and refused if not.
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "server/identity/jwt/jwt.h"

namespace keyferry::server {
namespace {

const std::vector<JwtAlgorithm> kAll = {JwtAlgorithm::kRs256, JwtAlgorithm::kEs256, JwtAlgorithm::kEdDsa};

// RFC 7515, appendix A: the key of A.2, that of A.3; RFC 8037, appendix A.2; RFC 7520, section 3.3.
constexpr char kRsaOf7515[] =
    R"({"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPME)"
    R"(zP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9)"
    R"(e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2et)"
    R"(hFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"})";
constexpr char kEcOf7515[] =
    R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCySt)"
    R"(ikYjKIWI5a0"})";
constexpr char kEdOf8037[] = R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})";
constexpr char kRsaOf7520[] =
    R"({"kty":"RSA","kid":"bilbo.baggins@hobbiton.example","use":"sig","e":"AQAB","n":"n4EPtAOCc9AlkeQHPzHStgAbgs7bTZLw)"
    R"(UBZdR8_KuKPEHLd4rHVTeT-O-XV2jRojdNhxJWTDvNd7nqQ0VEiZQHz_AJmSCpMaJMRBSFKrKb2wqVwGU_NsYOYL-QtiWN2lbzcEe6XC0dApr5yd)"
    R"(QLrHqkHHig3RBordaZ6Aj-oBHqFEHYpPe7Tpe-OfVfHd1E6cS6M1FZcD1NNLYD5lFHpPI9bTwJlsde3uhGqC0ZCuEHg8lhzwOHrtIQbS0FVbb9k3-)"
    R"(tVTU4fg_3L_vniUFAKwuCLqKnS2BYwdq_mzSnbLY7h_qixoR7jig3__kRhuaxwUkRz5iaiQkqgc5gHdrNP5zw"})";

constexpr char kJoe[] =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
constexpr char kRoad[] =
    "SXTigJlzIGEgZGFuZ2Vyb3VzIGJ1c2luZXNzLCBGcm9kbywgZ29pbmcgb3V0IHlvdXIgZG9vci4gWW91IHN0ZXAgb250byB0aGUgcm9hZCwgYW5kIG"
    "lm"
    "IHlvdSBkb24ndCBrZWVwIHlvdXIgZmVldCwgdGhlcmXigJlzIG5vIGtub3dpbmcgd2hlcmUgeW91IG1pZ2h0IGJlIHN3ZXB0IG9mZiB0by4";

std::string RoadWith(absl::string_view header, absl::string_view signature) {
  return absl::StrCat(absl::WebSafeBase64Escape(header), ".", kRoad, ".", signature);
}

struct Vector {
  const char* name;
  std::string key;
  std::string token;
};

std::vector<Vector> Held() {
  return {
      {"RFC 7515 A.2", kRsaOf7515,
       absl::StrCat("eyJhbGciOiJSUzI1NiJ9.", kJoe,
                    ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujG"
                    "bds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0G"
                    "arZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgG"
                    "Y9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw")},
      {"RFC 7515 A.3", kEcOf7515,
       absl::StrCat("eyJhbGciOiJFUzI1NiJ9.", kJoe,
                    ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q")},
      {"RFC 8037 A.4", kEdOf8037,
       "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4k"
       "i4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"},
      {"RFC 7520 4.1", kRsaOf7520,
       RoadWith(R"({"alg":"RS256","kid":"bilbo.baggins@hobbiton.example"})",
                "MRjdkly7_-oTPTS3AXP41iQIGKa80A0ZmTuV5MEaHoxnW2e5CZ5NlKtainoFmKZopdHM1O2U4mwzJdQx996ivp83xuglII7PNDi84w"
                "nB-BDkoBwA78185hX-Es4JIwmDLJK3lfWRa-XtL0RnltuYv746iYTh_qHRD68BNt1uSNCrUCTJDt5aAE6x8wW1Kt9eRo4QPocSadnH"
                "XFxnt8Is9UzpERV0ePPQdLuW3IS_de3xyIrDaLGdjluPxUAhb6L2aXic1U12podGU0KLUQSE_oI-ZnmKJ3F4uOZDnd6QZWJushZ41"
                "Axf_fcIe8u9ipH84ogoree7vjbU5y18kDquDg")},
  };
}

absl::Status Verify(const std::string& token, const std::string& key, const std::vector<JwtAlgorithm>& allowed = kAll) {
  const auto keys = JwkSet::Parse(absl::StrCat(R"({"keys":[)", key, "]}"));
  if (!keys.ok()) return keys.status();
  const auto jws = ParseJws(token);
  if (!jws.ok()) return jws.status();
  return VerifyJws(*jws, allowed, **keys).status();
}

TEST(JwsVectorsTest, WhatIsSignedHolds) {
  ASSERT_EQ(Held().size(), 4u);
  for (const Vector& vector : Held()) EXPECT_EQ(Verify(vector.token, vector.key), absl::OkStatus()) << vector.name;
}

TEST(JwsVectorsTest, AnotherKeyOrAlgorithmDoesNot) {
  for (const Vector& vector : Held()) {
    for (const Vector& keys : Held()) {
      if (keys.key == vector.key) continue;
      EXPECT_FALSE(Verify(vector.token, keys.key).ok()) << vector.name << keys.name;
    }
    EXPECT_TRUE(absl::IsPermissionDenied(Verify(vector.token, vector.key, {}))) << vector.name;
  }
  EXPECT_TRUE(absl::IsPermissionDenied(Verify(Held()[0].token, kRsaOf7515, {JwtAlgorithm::kEs256})));
}

TEST(JwsVectorsTest, NoByteMayChange) {
  for (const Vector& vector : Held()) {
    for (size_t i = 0; i < vector.token.size(); ++i) {
      for (const char c : {'A', 'B', '_', '.'}) {
        std::string changed = vector.token;
        if (changed[i] == c) continue;
        changed[i] = c;
        ASSERT_FALSE(Verify(changed, vector.key).ok()) << vector.name << " at " << i;
      }
    }
    for (size_t size = 0; size < vector.token.size(); ++size) {
      ASSERT_FALSE(Verify(vector.token.substr(0, size), vector.key).ok()) << vector.name << " of " << size;
    }
    EXPECT_FALSE(Verify(vector.token + "A", vector.key).ok());
    EXPECT_FALSE(Verify(vector.token + ".", vector.key).ok());
  }
}

// Examples under algorithms that are never taken: with a shared secret (A.1, 4.4), none (A.5), and of other sizes.
TEST(JwsVectorsTest, OtherAlgorithmsAreRefused) {
  const std::string all = absl::StrCat(kRsaOf7515, ",", kEcOf7515, ",", kEdOf8037, ",", kRsaOf7520);
  const std::vector<Vector> refused = {
      {"RFC 7515 A.1 HS256", "",
       absl::StrCat("eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.", kJoe, ".dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")},
      {"RFC 7515 A.4 ES512", "",
       "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34X"
       "O0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn"},
      {"RFC 7515 A.5 none", "", absl::StrCat("eyJhbGciOiJub25lIn0.", kJoe, ".")},
      {"RFC 7520 4.2 PS384", "", RoadWith(R"({"alg":"PS384","kid":"bilbo.baggins@hobbiton.example"})", "AAAA")},
      {"RFC 7520 4.3 ES512", "", RoadWith(R"({"alg":"ES512","kid":"bilbo.baggins@hobbiton.example"})", "AAAA")},
      {"RFC 7520 4.4 HS256", "",
       RoadWith(R"({"alg":"HS256","kid":"018c0ae5-4d9b-471b-bfd6-eef314bc7037"})",
                "s0h6KThzkfBBBkLspW1h84VsJZFTsPPqMDA7g1Md7p0")},
      {"none by another name", "", absl::StrCat("eyJhbGciOiJOb25lIn0.", kJoe, ".")},
  };
  for (const Vector& vector : refused) {
    const absl::Status status = Verify(vector.token, all);
    EXPECT_TRUE(absl::IsPermissionDenied(status)) << vector.name << ": " << status;
  }
  // RFC 7520 4.5: a payload that is elsewhere.
  EXPECT_FALSE(ParseJws("eyJhbGciOiJIUzI1NiIsImtpZCI6IjAxOGMwYWU1LTRkOWItNDcxYi1iZmQ2LWVlZjMxNGJjNzAzNyJ9..s0h6KThzkfBB"
                        "BkLspW1h84VsJZFTsPPqMDA7g1Md7p0")
                   .ok());
  // RFC 7515 A.6 and A.7: a JWS in JSON.
  EXPECT_FALSE(ParseJws(R"({"payload":"e30","protected":"eyJhbGciOiJSUzI1NiJ9","signature":"AA"})").ok());
}

}  // namespace
}  // namespace keyferry::server
