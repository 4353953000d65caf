#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_VERIFIER_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_VERIFIER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/config/config.pb.h"
#include "server/http/address_guard.h"
#include "server/identity/external/key_source.h"
#include "server/identity/external/spiffe_trust.h"
#include "server/identity/external/token_reviewer.h"
#include "server/identity/external_identities.h"
#include "server/identity/jwt/jwt.h"
#include "server/log.h"

namespace keyferry::server {

// Whose tokens are taken, with what verifies them.
struct TrustedIssuer {
  config::Issuer config;
  std::unique_ptr<KeySource> keys;
  // Null: tokens are not reviewed.
  std::unique_ptr<TokenReviewer> reviewer;
};

struct TrustedDomain {
  std::unique_ptr<SpiffeTrust> trust;
  // As in the configuration.
  std::vector<std::string> orgs;
};

// What the configuration trusts. `identity` is complete; `guard` is for hosts that an issuer names. INVALID_ARGUMENT
// names a CA file that cannot be used.
struct IdentityTrust {
  static absl::StatusOr<IdentityTrust> Create(const config::Identity& identity, const AddressGuard& guard,
                                              const std::function<absl::Time()>& clock, Logger* logger);

  std::vector<TrustedIssuer> issuers;
  std::vector<TrustedDomain> domains;
};

// The ExternalIdentities of a configuration.
//
// What was verified is kept, bounded, by its hash until it expires, as long as its key is among the issuer's (or the
// CAs of its trust domain are the same). Where tokens are reviewed, an answer counts for `cache_seconds`, is renewed in
// the background after half of that, and for a stream, also one that is opened, it counts for kStreamReview.
class IdentityVerifier : public ExternalIdentities {
 public:
  // At least `cache_seconds`. A stream asks again at each heartbeat, and each time makes the next answer younger.
  static constexpr absl::Duration kStreamReview = absl::Seconds(60);
  // How soon a review that failed is tried again.
  static constexpr absl::Duration kReviewRetry = absl::Seconds(1);

  IdentityVerifier(IdentityTrust trust, std::function<absl::Time()> clock, Logger* logger, size_t max_cached = 65536);
  ~IdentityVerifier() override;

  bool TakesTokens() const override { return !trust_.issuers.empty(); }
  absl::StatusOr<Admitted> VerifyToken(absl::string_view token, const std::string& hash,
                                       const Question& question) override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Admitted> VerifyCertificate(absl::string_view pem_chain, std::string* hash,
                                             const Question& question) override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Admitted> VerifyAgain(const std::string& hash, const Granted& granted) override
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool MayEnter(absl::string_view issuer, absl::string_view name_space, absl::string_view org) const override;
  absl::Status RefuseUngranted(const ExternalIdentity& identity) override;

 private:
  struct Entry;
  using EntryPointer = std::shared_ptr<Entry>;

  // The entry, if it still says the truth.
  EntryPointer Find(const std::string& hash, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);
  // What is kept of the hash, or null.
  EntryPointer Kept(const std::string& hash) ABSL_LOCKS_EXCLUDED(mutex_);
  // OK if the entry says the truth, NOT_FOUND if not, UNAVAILABLE if that cannot be known.
  static absl::Status Check(const Entry& entry, absl::Time now);
  // Keeps the entry, unless another call has brought the same one meanwhile; returns the one that counts.
  EntryPointer Keep(const std::string& hash, EntryPointer entry, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<EntryPointer> Read(absl::string_view token, absl::Time now, Pending* pending);
  absl::StatusOr<Admitted> Admit(const EntryPointer& entry, absl::Time now, const Question& question)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Begins a review unless one is under way or failed just now.
  void BeginReview(const EntryPointer& entry, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);
  void EndReview(const EntryPointer& entry, absl::Time begun, const absl::Status& outcome) ABSL_LOCKS_EXCLUDED(mutex_);

  absl::Status Refuse(absl::string_view issuer, absl::string_view why);
  absl::Status Unavailable(absl::string_view issuer, absl::string_view why);

  const std::function<absl::Time()> clock_;
  Logger* const logger_;
  const size_t max_cached_;
  absl::Mutex mutex_;
  absl::flat_hash_map<std::string, EntryPointer> entries_ ABSL_GUARDED_BY(mutex_);
  // Destroyed first: reviews that are under way end here.
  IdentityTrust trust_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_VERIFIER_H_
