#include "server/identity/jwt/testing_jwt.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/oauth/protocol/encoding.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

storage::SignatureAlgorithm SignatureOf(JwtAlgorithm algorithm) {
  return algorithm == JwtAlgorithm::kRs256 ? storage::SignatureAlgorithm::kRs256 : storage::SignatureAlgorithm::kEs256;
}

}  // namespace

TestJwtKey::TestJwtKey(JwtAlgorithm algorithm, std::string key_id) : algorithm_(algorithm), key_id_(std::move(key_id)) {
  if (algorithm == JwtAlgorithm::kEdDsa) {
    ed25519_ = *storage::Ed25519Signer::Create(
        storage::SecretBytes::CopyOf(storage::RandomString(storage::Ed25519Signer::kPrivateKeySize)));
    return;
  }
  const storage::SecretBytes pkcs8 = storage::SigningKey::Generate(server::SignatureOf(algorithm));
  key_ = *storage::SigningKey::FromPkcs8(pkcs8.Expose());
}

std::string TestJwtKey::Jwk(absl::string_view more) const {
  const std::string id = key_id_.empty() ? "" : absl::StrCat(R"(,"kid":")", key_id_, "\"");
  if (algorithm_ == JwtAlgorithm::kEdDsa) {
    return absl::StrCat(R"({"kty":"OKP","crv":"Ed25519","x":")", Base64Url(ed25519_->public_key()), "\"", id, more,
                        "}");
  }
  const storage::PublicKeyNumbers& key = key_->public_numbers();
  if (algorithm_ == JwtAlgorithm::kRs256) {
    return absl::StrCat(R"({"kty":"RSA","n":")", Base64Url(key.n), R"(","e":")", Base64Url(key.e), "\"", id, more, "}");
  }
  return absl::StrCat(R"({"kty":"EC","crv":"P-256","x":")", Base64Url(key.x), R"(","y":")", Base64Url(key.y), "\"", id,
                      more, "}");
}

std::string TestJwtKey::SignText(absl::string_view header, absl::string_view payload) const {
  const std::string input = absl::StrCat(Base64Url(header), ".", Base64Url(payload));
  return absl::StrCat(input, ".", Base64Url(SignatureOf(input)));
}

std::string TestJwtKey::Sign(absl::string_view payload) const {
  const std::string id = key_id_.empty() ? "" : absl::StrCat(R"(,"kid":")", key_id_, "\"");
  return SignText(absl::StrCat(R"({"alg":")", NameOf(algorithm_), "\"", id, "}"), payload);
}

std::string TestJwtKey::SignatureOf(absl::string_view message) const {
  if (ed25519_ != nullptr) return ed25519_->Sign(message);
  return *key_->Sign(server::SignatureOf(algorithm_), message);
}

std::string TestJwks(absl::string_view keys) { return absl::StrCat(R"({"keys":[)", keys, "]}"); }

std::string TestServiceAccountClaims(absl::string_view issuer, absl::string_view name_space,
                                     absl::string_view service_account, absl::string_view pod,
                                     absl::string_view pod_uid, absl::Time issued, absl::Duration lifetime) {
  const std::string of_pod =
      pod.empty() ? "" : absl::StrCat(R"(,"pod":{"name":")", pod, R"(","uid":")", pod_uid, R"("})");
  return absl::StrCat(R"({"iss":")", issuer, R"(","sub":"system:serviceaccount:)", name_space, ":", service_account,
                      R"(","aud":["keyferry"],"iat":)", absl::ToUnixSeconds(issued), R"(,"nbf":)",
                      absl::ToUnixSeconds(issued), R"(,"exp":)", absl::ToUnixSeconds(issued + lifetime),
                      R"(,"kubernetes.io":{"namespace":")", name_space, R"(","serviceaccount":{"name":")",
                      service_account, R"(","uid":"0b8ae0ff-0d3d-4d0a-8a87-cd2bb6a4a2b1"})", of_pod, "}}");
}

}  // namespace keyferry::server
