#include "server/config/identity_config.h"

#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/config/people_config.h"
#include "server/config/trusted_org.h"
#include "server/http/url.h"
#include "server/identity/jwt/jwt_algorithm.h"
#include "server/names.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

constexpr int kMaxIssuers = 32;
constexpr uint32_t kMaxReviewCacheSeconds = 60;

absl::Status Wrong(absl::string_view key, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("`", key, "` ", problem));
}

absl::Status CheckUrl(const std::string& key, const std::string& url) {
  const absl::StatusOr<HttpsUrl> parsed = ParseHttpsUrl(url);
  return parsed.ok() ? absl::OkStatus() : Wrong(key, parsed.status().message());
}

absl::Status CheckOrgs(const std::string& key, const google::protobuf::RepeatedPtrField<std::string>& orgs,
                       bool has_namespaces) {
  for (const std::string& entry : orgs) {
    const absl::StatusOr<TrustedOrg> org = ParseTrustedOrg(entry);
    if (!org.ok()) return Wrong(key, org.status().message());
    if (!org->namespaces.empty() && !has_namespaces) return Wrong(key, "holds namespaces, which SPIFFE does not have");
  }
  return absl::OkStatus();
}

absl::Status CheckKeys(const std::string& key, const config::Issuer& issuer) {
  const int sources = (issuer.jwks_url().empty() ? 0 : 1) + (issuer.jwks_file().empty() ? 0 : 1) + issuer.discovery();
  if (sources != 1) return Wrong(key, "needs exactly one of `jwks_url`, `jwks_file` and `discovery: true`");
  if (!issuer.jwks_url().empty()) RETURN_IF_ERROR(CheckUrl(absl::StrCat(key, ".jwks_url"), issuer.jwks_url()));
  if (issuer.discovery() && !ParseHttpsUrl(issuer.issuer()).ok()) {
    return Wrong(absl::StrCat(key, ".discovery"),
                 "needs an issuer that is an https URL; give `jwks_url` or `jwks_file`");
  }
  if (!issuer.jwks_file().empty() && !(issuer.ca_file().empty() && issuer.token_file().empty())) {
    return Wrong(absl::StrCat(key, ".jwks_file"), "is asked of no server; leave `ca_file` and `token_file` out");
  }
  return absl::OkStatus();
}

absl::Status CompleteAlgorithms(const std::string& key, config::Issuer* issuer) {
  if (issuer->algorithms().empty()) {
    for (const char* name : {"RS256", "ES256", "EdDSA"}) issuer->add_algorithms(name);
  }
  for (const std::string& name : issuer->algorithms()) {
    if (!JwtAlgorithmOf(name).has_value()) {
      return Wrong(absl::StrCat(key, ".algorithms"), "may hold RS256, ES256 and EdDSA, and nothing else");
    }
  }
  return absl::OkStatus();
}

absl::Status CompleteReview(const std::string& key, config::TokenReview* review) {
  const absl::StatusOr<HttpsUrl> origin = ParseHttpsOrigin(review->url());
  if (!origin.ok()) {
    return Wrong(absl::StrCat(key, ".url"),
                 absl::StrCat(origin.status().message(), "; it is e.g. https://kubernetes.default.svc"));
  }
  review->set_url(absl::StrCat("https://", origin->Authority()));
  if (review->token_file().empty()) {
    return Wrong(absl::StrCat(key, ".token_file"), "is not set: the API server answers only whom it knows");
  }
  if (!review->has_cache_seconds()) review->set_cache_seconds(10);
  if (review->cache_seconds() == 0 || review->cache_seconds() > kMaxReviewCacheSeconds) {
    return Wrong(absl::StrCat(key, ".cache_seconds"), "must be 1 to 60");
  }
  return absl::OkStatus();
}

absl::Status CompleteIssuer(const std::string& key, config::Issuer* issuer) {
  if (!CheckId(issuer->name(), key).ok()) {
    return Wrong(absl::StrCat(key, ".name"), "must be 1 to 63 of `a` to `z`, `0` to `9`, `.`, `_` and `-`");
  }
  if (issuer->issuer().empty()) return Wrong(absl::StrCat(key, ".issuer"), "is not set; it is the `iss` of its tokens");
  RETURN_IF_ERROR(CheckKeys(key, *issuer));
  RETURN_IF_ERROR(CompleteAlgorithms(key, issuer));
  if (issuer->kind() == "oidc") return CompletePeople(key, issuer);
  if (issuer->kind() != "kubernetes") return Wrong(absl::StrCat(key, ".kind"), "must be kubernetes or oidc");
  if (issuer->has_people()) return Wrong(absl::StrCat(key, ".people"), "goes with `kind: oidc`");
  if (issuer->audience().empty()) issuer->add_audience("keyferry");
  if (issuer->audience_size() > 1) return Wrong(absl::StrCat(key, ".audience"), "must be one, of kubernetes");
  RETURN_IF_ERROR(CheckOrgs(absl::StrCat(key, ".orgs"), issuer->orgs(), /*has_namespaces=*/true));
  if (!issuer->has_token_review()) return absl::OkStatus();
  return CompleteReview(absl::StrCat(key, ".token_review"), issuer->mutable_token_review());
}

}  // namespace

bool IsTrustDomain(absl::string_view text) {
  return !text.empty() && text.size() <= 255 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '-' || c == '_';
  });
}

absl::Status CompleteIdentity(config::Identity* identity) {
  if (identity->issuers_size() > kMaxIssuers || identity->spiffe_size() > kMaxIssuers) {
    return Wrong("identity", absl::StrCat("holds more than ", kMaxIssuers, " issuers or trust domains"));
  }
  std::set<std::string> names, issuers, domains;
  for (int i = 0; i < identity->issuers_size(); ++i) {
    const std::string key = absl::StrCat("identity.issuers[", i, "]");
    config::Issuer* const issuer = identity->mutable_issuers(i);
    RETURN_IF_ERROR(CompleteIssuer(key, issuer));
    if (!names.insert(issuer->name()).second) return Wrong(absl::StrCat(key, ".name"), "is that of another issuer");
    // One with a `/` at its end is another issuer to OpenID Connect, and the same to people.
    if (!issuers.emplace(absl::StripSuffix(issuer->issuer(), "/")).second) {
      return Wrong(absl::StrCat(key, ".issuer"), "is that of another issuer");
    }
  }
  for (int i = 0; i < identity->spiffe_size(); ++i) {
    const std::string key = absl::StrCat("identity.spiffe[", i, "]");
    const config::SpiffeTrustDomain& domain = identity->spiffe(i);
    if (!IsTrustDomain(domain.trust_domain())) {
      return Wrong(absl::StrCat(key, ".trust_domain"), "must be a trust domain, e.g. prod.example.com");
    }
    if (!domains.insert(domain.trust_domain()).second || names.count(domain.trust_domain()) != 0) {
      return Wrong(absl::StrCat(key, ".trust_domain"), "is given twice, or is the name of an issuer");
    }
    if (domain.bundle_file().empty()) return Wrong(absl::StrCat(key, ".bundle_file"), "is not set");
    RETURN_IF_ERROR(CheckOrgs(absl::StrCat(key, ".orgs"), domain.orgs(), /*has_namespaces=*/false));
  }
  return absl::OkStatus();
}

}  // namespace keyferry::server
