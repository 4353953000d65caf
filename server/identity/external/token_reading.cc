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
absl::Status ReadClaims(const Jws& jws, const config::Issuer& issuer, absl::Time now, ReadToken* read) {
  ASSIGN_OR_RETURN(
      const VerifiedClaims claims,
      CheckClaims(jws.payload, {issuer.issuer(), {issuer.audience().begin(), issuer.audience().end()}}, now));
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
  ReadToken read;
  RETURN_IF_ERROR(ReadClaims(jws, issuer, now, &read));
  attempt->keys = attempt->issuer->keys->keys();
  if (attempt->keys == nullptr) return absl::UnavailableError("its keys cannot be read");
  ASSIGN_OR_RETURN(const VerificationKey* const key, VerifyJws(jws, AlgorithmsOf(issuer), *attempt->keys));
  read.issuer = attempt->issuer;
  read.key = key->fingerprint();
  read.algorithm = key->algorithm();
  return read;
}

absl::Status StandsUnder(const ReadToken& token, const config::Issuer& issuer) {
  const config::Issuer& before = token.issuer->config;
  const std::vector<JwtAlgorithm> algorithms = AlgorithmsOf(issuer);
  if (before.name() != issuer.name() || before.kind() != issuer.kind() || !Names(issuer, token.audience) ||
      (!token.authorized_party.empty() && !Names(issuer, token.authorized_party)) ||
      std::find(algorithms.begin(), algorithms.end(), token.algorithm) == algorithms.end()) {
    return absl::PermissionDeniedError("its issuer is not configured for it any more");
  }
  const auto claims_of = [](const config::Issuer& one) {
    return one.people().SerializeAsString() + (one.people().org_claim().empty() ? one.orgs(0) : "");
  };
  if (issuer.kind() == "oidc" && claims_of(before) != claims_of(issuer)) {
    return absl::FailedPreconditionError("its claims are read in another way");
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
