#include "server/identity/external/token_reading.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "server/identity/external/kubernetes_identity.h"
#include "server/identity/external/person_identity.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

std::vector<JwtAlgorithm> AlgorithmsOf(const config::Issuer& issuer) {
  std::vector<JwtAlgorithm> algorithms;
  for (const std::string& name : issuer.algorithms()) {
    if (const auto algorithm = JwtAlgorithmOf(name)) algorithms.push_back(*algorithm);
  }
  return algorithms;
}

// Whose the claims are, and by what else they count.
absl::Status MapClaims(const Jws& jws, const VerifiedClaims& claims, const config::Issuer& issuer, absl::Time now,
                       ReadToken* read) {
  read->audience = claims.audience;
  if (issuer.kind() == "oidc") {
    ASSIGN_OR_RETURN(IdToken token, ReadIdToken(jws, claims, issuer, now));
    read->identity = std::move(token.identity);
    read->authorized_party = std::move(token.authorized_party);
    read->expire_time = token.expire_time + kJwtLeeway;
    return absl::OkStatus();
  }
  ASSIGN_OR_RETURN(read->identity, KubernetesIdentityOf(claims, issuer.name()));
  read->expire_time = claims.expire_time + kJwtLeeway;
  return absl::OkStatus();
}

bool Names(const config::Issuer& issuer, const std::string& audience) {
  return std::find(issuer.audience().begin(), issuer.audience().end(), audience) != issuer.audience().end();
}

}  // namespace

absl::StatusOr<ReadToken> ReadTokenOf(const IdentityTrust& trust, absl::string_view token, absl::Time now,
                                      TokenAttempt* attempt) {
  ASSIGN_OR_RETURN(const Jws jws, ParseJws(token));
  ASSIGN_OR_RETURN(const std::string claimed, UnverifiedIssuer(jws));
  attempt->issuer = trust.FindIssuer(claimed);
  if (attempt->issuer == nullptr) return absl::PermissionDeniedError("its issuer (`iss`) is not configured");
  const config::Issuer& issuer = attempt->issuer->config;
  // First what costs no signature.
  ASSIGN_OR_RETURN(
      const VerifiedClaims claims,
      CheckClaims(jws.payload, {issuer.issuer(), {issuer.audience().begin(), issuer.audience().end()}}, now));
  attempt->keys = attempt->issuer->keys->keys();
  if (attempt->keys == nullptr) return absl::UnavailableError("its keys cannot be read");
  const std::vector<JwtAlgorithm> algorithms = AlgorithmsOf(issuer);
  RETURN_IF_ERROR(ChooseKey(jws, algorithms, *attempt->keys).status());
  attempt->verified = true;
  ASSIGN_OR_RETURN(const VerificationKey* const key, VerifyJws(jws, algorithms, *attempt->keys));
  ReadToken read;
  RETURN_IF_ERROR(MapClaims(jws, claims, issuer, now, &read));
  read.issuer = attempt->issuer;
  read.key = key->fingerprint();
  read.algorithm = key->algorithm();
  return read;
}

bool StandsUnder(const ReadToken& token, const config::Issuer& issuer) {
  const config::Issuer& before = token.issuer->config;
  const std::vector<JwtAlgorithm> algorithms = AlgorithmsOf(issuer);
  return before.name() == issuer.name() && before.kind() == issuer.kind() && Names(issuer, token.audience) &&
         (token.authorized_party.empty() || Names(issuer, token.authorized_party)) &&
         std::find(algorithms.begin(), algorithms.end(), token.algorithm) != algorithms.end();
}

bool ReadsOtherwise(const config::Issuer& before, const config::Issuer& issuer) {
  const auto claims_of = [](const config::Issuer& one) {
    return one.people().SerializeAsString() + (one.people().org_claim().empty() ? one.orgs(0) : "");
  };
  return before.kind() == "oidc" && issuer.kind() == "oidc" && claims_of(before) != claims_of(issuer);
}

}  // namespace keyferry::server
