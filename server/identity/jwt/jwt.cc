#include "server/identity/jwt/jwt.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "server/identity/jwt/base64url.h"
#include "server/identity/jwt/json_member.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr size_t kMaxSubjectBytes = 256;
// Seconds since 1970 that any clock shows for a very long time, and that arithmetic holds.
constexpr double kMaxSeconds = 1e11;

bool IsBase64UrlText(absl::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

struct Parts {
  absl::string_view header, payload, signature;
};

std::optional<Parts> Split(absl::string_view text) {
  if (text.size() > kMaxJwtBytes) return std::nullopt;
  const size_t first = text.find('.');
  if (first == absl::string_view::npos) return std::nullopt;
  const size_t second = text.find('.', first + 1);
  if (second == absl::string_view::npos) return std::nullopt;
  Parts parts{text.substr(0, first), text.substr(first + 1, second - first - 1), text.substr(second + 1)};
  // A third dot is no digit of base64url.
  if (parts.header.empty() || parts.payload.empty() || !IsBase64UrlText(parts.header) ||
      !IsBase64UrlText(parts.payload) || !IsBase64UrlText(parts.signature)) {
    return std::nullopt;
  }
  return parts;
}

absl::Status Refused(absl::string_view why) { return absl::PermissionDeniedError(why); }

// A NumericDate (RFC 7519, section 2). Nullopt if it is missing; an error if it is none.
absl::StatusOr<std::optional<absl::Time>> TimeOf(const Document& claims, absl::string_view name) {
  const Document* const member = Member(claims, name);
  if (member == nullptr) return std::optional<absl::Time>();
  double seconds = 0;
  if (member->kind() != Document::Kind::kNumber || !absl::SimpleAtod(member->text(), &seconds) ||
      !std::isfinite(seconds) || seconds < 0 || seconds > kMaxSeconds) {
    return Refused(absl::StrCat("`", name, "` is no time"));
  }
  return std::optional<absl::Time>(absl::UnixEpoch() + absl::Seconds(seconds));
}

// The texts of `aud`; what else may stand there is no audience.
std::vector<absl::string_view> AudiencesOf(const Document& claims) {
  std::vector<absl::string_view> audiences;
  const Document* const member = Member(claims, "aud");
  if (member == nullptr) return audiences;
  if (member->is_string()) return {member->text()};
  if (member->kind() != Document::Kind::kArray) return audiences;
  for (const auto& [name, item] : member->members()) {
    if (item.is_string()) audiences.push_back(item.text());
  }
  return audiences;
}

bool FindAudience(const std::vector<std::string>& expected, VerifiedClaims* claims) {
  const std::vector<absl::string_view> audiences = AudiencesOf(claims->all);
  claims->audiences = audiences.size();
  for (const std::string& one : expected) {
    if (one.empty() || std::find(audiences.begin(), audiences.end(), one) == audiences.end()) continue;
    claims->audience = one;
    return true;
  }
  return false;
}

absl::Status CheckTimes(absl::Time now, VerifiedClaims* checked) {
  const Document& claims = checked->all;
  ASSIGN_OR_RETURN(const std::optional<absl::Time> expires, TimeOf(claims, "exp"));
  ASSIGN_OR_RETURN(const std::optional<absl::Time> not_before, TimeOf(claims, "nbf"));
  ASSIGN_OR_RETURN(const std::optional<absl::Time> issued, TimeOf(claims, "iat"));
  if (!expires.has_value()) return Refused("`exp` is missing");
  if (now >= *expires + kJwtLeeway) return Refused("it has expired");
  if (not_before.has_value() && now < *not_before - kJwtLeeway) return Refused("it is not valid yet (`nbf`)");
  if (issued.has_value() && now < *issued - kJwtLeeway) return Refused("it is of the future (`iat`)");
  checked->expire_time = *expires;
  checked->issue_time = issued;
  return absl::OkStatus();
}

}  // namespace

std::string Jws::key_id() const { return std::string(MemberText(header, "kid")); }

bool LooksLikeJwt(absl::string_view text) { return Split(text).has_value(); }

absl::StatusOr<Jws> ParseJws(absl::string_view text) {
  if (text.size() > kMaxJwtBytes) return absl::InvalidArgumentError("it is larger than 16 KiB");
  const std::optional<Parts> parts = Split(text);
  if (!parts.has_value()) return absl::InvalidArgumentError("it is no JWS in compact form");
  const std::optional<std::string> header = DecodeBase64Url(parts->header);
  std::optional<std::string> payload = DecodeBase64Url(parts->payload);
  std::optional<std::string> signature = DecodeBase64Url(parts->signature);
  if (!header.has_value() || !payload.has_value() || !signature.has_value()) {
    return absl::InvalidArgumentError("it is no base64url");
  }
  Jws jws;
  absl::StatusOr<Document> parsed = Document::ParseJson(*header);
  if (!parsed.ok()) return absl::InvalidArgumentError(absl::StrCat("its header: ", parsed.status().message()));
  jws.header = *std::move(parsed);
  if (!jws.header.is_object()) return absl::InvalidArgumentError("its header is no object");
  if (Member(jws.header, "crit") != nullptr) return absl::InvalidArgumentError("it has a critical header (`crit`)");
  const Document* const key_id = Member(jws.header, "kid");
  if (key_id != nullptr && (!key_id->is_string() || key_id->text().size() > JwkSet::kMaxKeyIdBytes)) {
    return absl::InvalidArgumentError("its `kid` is no text of at most 256 bytes");
  }
  jws.signing_input = text.substr(0, parts->header.size() + 1 + parts->payload.size());
  jws.payload = *std::move(payload);
  jws.signature = *std::move(signature);
  return jws;
}

absl::StatusOr<const VerificationKey*> ChooseKey(const Jws& jws, const std::vector<JwtAlgorithm>& allowed,
                                                 const JwkSet& keys) {
  const std::optional<JwtAlgorithm> algorithm = JwtAlgorithmOf(MemberText(jws.header, "alg"));
  if (!algorithm.has_value() || std::find(allowed.begin(), allowed.end(), *algorithm) == allowed.end()) {
    return Refused("its algorithm (`alg`) is none that this issuer is configured for");
  }
  const VerificationKey* const key = keys.Find(*algorithm, jws.key_id());
  if (key == nullptr) return absl::NotFoundError("its key (`kid`) is none of the issuer's for that algorithm");
  return key;
}

absl::StatusOr<const VerificationKey*> VerifyJws(const Jws& jws, const std::vector<JwtAlgorithm>& allowed,
                                                 const JwkSet& keys) {
  ASSIGN_OR_RETURN(const VerificationKey* const key, ChooseKey(jws, allowed, keys));
  if (!key->Verify(jws.signing_input, jws.signature)) return Refused("its signature does not hold");
  return key;
}

absl::StatusOr<std::string> UnverifiedIssuer(const Jws& jws) {
  absl::StatusOr<Document> claims = Document::ParseJson(jws.payload);
  if (!claims.ok()) return absl::InvalidArgumentError(absl::StrCat("its claims: ", claims.status().message()));
  return std::string(MemberText(*claims, "iss"));
}

absl::StatusOr<VerifiedClaims> CheckClaims(absl::string_view payload, const JwtExpectations& expected, absl::Time now) {
  absl::StatusOr<Document> parsed = Document::ParseJson(payload);
  if (!parsed.ok()) return Refused(absl::StrCat("its claims: ", parsed.status().message()));
  VerifiedClaims claims;
  claims.all = *std::move(parsed);
  if (expected.issuer.empty() || MemberText(claims.all, "iss") != expected.issuer) {
    return Refused("it is of another issuer (`iss`)");
  }
  if (!FindAudience(expected.audiences, &claims)) return Refused("it is for another audience (`aud`)");
  RETURN_IF_ERROR(CheckTimes(now, &claims));
  claims.subject = std::string(MemberText(claims.all, "sub"));
  if (claims.subject.empty() || claims.subject.size() > kMaxSubjectBytes) {
    return Refused("its subject (`sub`) is no text of 1 to 256 bytes");
  }
  return claims;
}

}  // namespace keyferry::server
