#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_TRUST_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_TRUST_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "server/config/config.pb.h"
#include "server/http/address_guard.h"
#include "server/identity/external/key_source.h"
#include "server/identity/external/spiffe_trust.h"
#include "server/identity/external/token_reviewer.h"
#include "server/log.h"

namespace keyferry::server {

// Whose tokens are taken, with what verifies them.
struct TrustedIssuer {
  config::Issuer config;
  std::shared_ptr<KeySource> keys;
  // Null: tokens are not reviewed.
  std::unique_ptr<TokenReviewer> reviewer;
};

struct TrustedDomain {
  std::shared_ptr<SpiffeTrust> trust;
  // As in the configuration.
  std::vector<std::string> orgs;
};

// What a configuration trusts.
struct IdentityTrust {
  // `identity` is complete; `guard` is for hosts that an issuer names. Keys and CAs of `before` go on being used where
  // the configuration still has them from the same place; null: there are none. CA files of reviews are read anew.
  // INVALID_ARGUMENT names a CA file that cannot be used.
  static absl::StatusOr<IdentityTrust> Create(const config::Identity& identity, const AddressGuard& guard,
                                              const std::function<absl::Time()>& clock, Logger* logger,
                                              const IdentityTrust* before = nullptr);

  // Waits until the keys of each issuer were read once, or could not be, that are not those of `before`. UNAVAILABLE
  // names an issuer that has none. CANCELLED as soon as `give_up`, which is asked again and again, says so.
  absl::Status AwaitKeys(absl::Duration timeout, const IdentityTrust& before,
                         const std::function<bool()>& give_up = nullptr) const;

  // By `iss`, or null.
  std::shared_ptr<TrustedIssuer> FindIssuer(absl::string_view issuer) const;
  std::shared_ptr<SpiffeTrust> FindDomain(absl::string_view trust_domain) const;
  // Whether identities of the issuer's namespace, or of the trust domain, may enter the organization.
  bool LetsIn(absl::string_view name, absl::string_view name_space, absl::string_view org) const;

  std::vector<std::shared_ptr<TrustedIssuer>> issuers;
  std::vector<TrustedDomain> domains;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_TRUST_H_
