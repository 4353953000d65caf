#include "server/identity/external/identity_trust.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/config/trusted_org.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

// How often it is asked whether to wait on.
constexpr absl::Duration kGiveUpInterval = absl::Milliseconds(100);

template <typename Orgs>
bool Takes(const Orgs& orgs, absl::string_view name_space, absl::string_view org) {
  return orgs.empty() || std::any_of(orgs.begin(), orgs.end(), [&](const std::string& entry) {
           const absl::StatusOr<TrustedOrg> trusted = ParseTrustedOrg(entry);
           return trusted.ok() && trusted->Takes(name_space, org);
         });
}

// Whether both have their keys from the same place.
bool SameKeys(const config::Issuer& a, const config::Issuer& b) {
  return a.name() == b.name() && a.issuer() == b.issuer() && a.jwks_url() == b.jwks_url() &&
         a.jwks_file() == b.jwks_file() && a.discovery() == b.discovery() && a.ca_file() == b.ca_file() &&
         a.token_file() == b.token_file();
}

std::shared_ptr<KeySource> MakeKeys(const config::Issuer& issuer, const AddressGuard& guard,
                                    const std::function<absl::Time()>& clock, Logger* logger) {
  KeySource::Options options;
  if (!issuer.jwks_file().empty()) {
    // Reading a file costs next to nothing.
    options.refresh = absl::Seconds(10);
    options.min_interval = absl::Seconds(1);
  }
  return std::make_shared<KeySource>(issuer.name(), MakeKeyReader(issuer, guard), clock, logger, options);
}

}  // namespace

absl::StatusOr<IdentityTrust> IdentityTrust::Create(const config::Identity& identity, const AddressGuard& guard,
                                                    const std::function<absl::Time()>& clock, Logger* logger,
                                                    const IdentityTrust* before) {
  IdentityTrust trust;
  for (const config::Issuer& issuer : identity.issuers()) {
    auto trusted = std::make_shared<TrustedIssuer>();
    trusted->config = issuer;
    const std::shared_ptr<TrustedIssuer> old = before == nullptr ? nullptr : before->FindIssuer(issuer.issuer());
    const bool same = old != nullptr && SameKeys(old->config, issuer);
    trusted->keys = same ? old->keys : MakeKeys(issuer, guard, clock, logger);
    if (issuer.has_token_review()) {
      ASSIGN_OR_RETURN(trusted->reviewer, HttpTokenReviewer::Create(issuer.token_review(), issuer.audience(0)));
    }
    trust.issuers.push_back(std::move(trusted));
  }
  for (const config::SpiffeTrustDomain& domain : identity.spiffe()) {
    std::shared_ptr<SpiffeTrust> old = before == nullptr ? nullptr : before->FindDomain(domain.trust_domain());
    if (old == nullptr || old->bundle_file() != domain.bundle_file()) {
      old = std::make_shared<SpiffeTrust>(domain.trust_domain(), domain.bundle_file(), logger);
    }
    trust.domains.push_back({std::move(old), {domain.orgs().begin(), domain.orgs().end()}});
  }
  return trust;
}

absl::Status IdentityTrust::AwaitKeys(absl::Duration timeout, const IdentityTrust& before,
                                      const std::function<bool()>& give_up) const {
  const absl::Time deadline = absl::Now() + timeout;
  for (const std::shared_ptr<TrustedIssuer>& issuer : issuers) {
    const std::shared_ptr<TrustedIssuer> old = before.FindIssuer(issuer->config.issuer());
    if (old != nullptr && old->keys == issuer->keys) continue;
    absl::Status read;
    absl::Duration left;
    do {
      if (give_up != nullptr && give_up()) return absl::CancelledError("the server is being stopped");
      left = std::max(deadline - absl::Now(), absl::ZeroDuration());
      read = issuer->keys->AwaitFirstRead(give_up == nullptr ? left : std::min(left, kGiveUpInterval));
    } while (absl::IsDeadlineExceeded(read) && left > absl::ZeroDuration());
    if (read.ok()) continue;
    return absl::UnavailableError(
        absl::StrCat("the keys of the issuer `", issuer->config.name(), "` cannot be read: ", read.message()));
  }
  return absl::OkStatus();
}

std::shared_ptr<TrustedIssuer> IdentityTrust::FindIssuer(absl::string_view issuer) const {
  const auto found =
      std::find_if(issuers.begin(), issuers.end(), [&](const auto& one) { return one->config.issuer() == issuer; });
  return found == issuers.end() ? nullptr : *found;
}

std::shared_ptr<SpiffeTrust> IdentityTrust::FindDomain(absl::string_view trust_domain) const {
  const auto found = std::find_if(domains.begin(), domains.end(),
                                  [&](const auto& one) { return one.trust->trust_domain() == trust_domain; });
  return found == domains.end() ? nullptr : found->trust;
}

bool IdentityTrust::LetsIn(absl::string_view name, absl::string_view name_space, absl::string_view org) const {
  for (const std::shared_ptr<TrustedIssuer>& issuer : issuers) {
    if (issuer->config.name() == name) return Takes(issuer->config.orgs(), name_space, org);
  }
  for (const TrustedDomain& domain : domains) {
    if (domain.trust->trust_domain() == name) return Takes(domain.orgs, name_space, org);
  }
  return false;
}

}  // namespace keyferry::server
