#include "server/oauth/protocol/jws.h"

#include <cstdint>
#include <memory>

#include "absl/strings/str_cat.h"
#include "nlohmann/json.hpp"
#include "server/oauth/protocol/encoding.h"
#include "server/status_macros.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

using Json = nlohmann::ordered_json;

// Text that is not UTF-8 must not throw.
std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

// The members that a thumbprint covers, in the order of RFC 7638, section 3.2.
Json KeyMembers(const storage::PublicKeyNumbers& key) {
  if (key.rsa()) return {{"e", Base64Url(key.e)}, {"kty", "RSA"}, {"n", Base64Url(key.n)}};
  return {{"crv", "P-256"}, {"kty", "EC"}, {"x", Base64Url(key.x)}, {"y", Base64Url(key.y)}};
}

}  // namespace

storage::SignatureAlgorithm SignatureAlgorithmOf(v1::OauthSigningAlgorithm algorithm) {
  switch (algorithm) {
    case v1::OAUTH_SIGNING_ALGORITHM_PS256:
      return storage::SignatureAlgorithm::kPs256;
    case v1::OAUTH_SIGNING_ALGORITHM_ES256:
      return storage::SignatureAlgorithm::kEs256;
    default:
      return storage::SignatureAlgorithm::kRs256;
  }
}

absl::string_view AlgorithmName(v1::OauthSigningAlgorithm algorithm) {
  switch (SignatureAlgorithmOf(algorithm)) {
    case storage::SignatureAlgorithm::kPs256:
      return "PS256";
    case storage::SignatureAlgorithm::kEs256:
      return "ES256";
    case storage::SignatureAlgorithm::kRs256:
      break;
  }
  return "RS256";
}

storage::SecretBytes GenerateSigningKey(v1::OauthSigningAlgorithm algorithm) {
  return storage::SigningKey::Generate(SignatureAlgorithmOf(algorithm));
}

std::string KeyThumbprint(const storage::PublicKeyNumbers& key) {
  const std::string text = Dump(KeyMembers(key));
  return Base64Url(storage::View(storage::Sha256({text})));
}

absl::StatusOr<std::string> PublicJwks(absl::string_view pkcs8, v1::OauthSigningAlgorithm algorithm) {
  ASSIGN_OR_RETURN(const std::unique_ptr<const storage::SigningKey> key, storage::SigningKey::FromPkcs8(pkcs8));
  if (!key->CanSign(SignatureAlgorithmOf(algorithm))) {
    return absl::InvalidArgumentError("the signing key is not one of this algorithm");
  }
  Json member = KeyMembers(key->public_numbers());
  member["use"] = "sig";
  member["alg"] = std::string(AlgorithmName(algorithm));
  member["kid"] = KeyThumbprint(key->public_numbers());
  return Dump(Json{{"keys", Json::array({std::move(member)})}});
}

absl::StatusOr<std::string> SignJwt(const storage::SigningKey& key, v1::OauthSigningAlgorithm algorithm,
                                    absl::string_view key_id, const JwtClaims& claims) {
  const Json header = {{"alg", std::string(AlgorithmName(algorithm))},
                       {"typ", "JWT"},
                       {"kid", key_id.empty() ? KeyThumbprint(key.public_numbers()) : std::string(key_id)}};
  Json body = {{"iss", claims.issuer},
               {"sub", claims.subject},
               {"aud", claims.audience},
               {"iat", absl::ToUnixSeconds(claims.issued_at)},
               {"exp", absl::ToUnixSeconds(claims.expires_at)}};
  if (!claims.id.empty()) body["jti"] = claims.id;
  for (const Parameter& other : claims.others.all()) {
    if (!body.contains(other.name)) body[other.name] = other.value;
  }
  const std::string signed_text = absl::StrCat(Base64Url(Dump(header)), ".", Base64Url(Dump(body)));
  ASSIGN_OR_RETURN(const std::string signature, key.Sign(SignatureAlgorithmOf(algorithm), signed_text));
  return absl::StrCat(signed_text, ".", Base64Url(signature));
}

}  // namespace keyferry::server
