#ifndef KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_VERIFIER_H_
#define KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_VERIFIER_H_

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/identity/external/identity_trust.h"
#include "server/identity/external/one_shot.h"
#include "server/identity/external/refusal_warnings.h"
#include "server/identity/external/refused_tokens.h"
#include "server/identity/external/token_reading.h"
#include "server/identity/external_identities.h"
#include "server/log.h"

namespace keyferry::server {

// The ExternalIdentities of a configuration, which may be replaced.
//
// What was verified is kept, bounded, by its hash until it expires, as long as its key is among the issuer's (or the
// CAs of its trust domain are the same). Where tokens are reviewed, an answer counts for `cache_seconds`, is renewed in
// the background after half of that, and for a stream, also one that is opened, it counts for kStreamReview. A token
// that was refused costs no second signature for a minute, and takes no place of those that are kept.
class IdentityVerifier : public ExternalIdentities {
 public:
  // At least `cache_seconds`. A stream asks again at each heartbeat, and each time makes the next answer younger.
  static constexpr absl::Duration kStreamReview = absl::Seconds(60);
  // How soon a review that failed is tried again.
  static constexpr absl::Duration kReviewRetry = absl::Seconds(1);

  IdentityVerifier(IdentityTrust trust, std::function<absl::Time()> clock, Logger* logger, size_t max_cached = 65536);
  // Reviews that are under way end here.
  ~IdentityVerifier() override;

  // Trusts another configuration from now on. What was verified and holds by it as well stays; of what may hold, nobody
  // can say without the token, so that it has to be shown again. From one thread at a time.
  void SetTrust(IdentityTrust next) ABSL_LOCKS_EXCLUDED(mutex_);
  std::shared_ptr<const IdentityTrust> trust() const ABSL_LOCKS_EXCLUDED(mutex_);

  bool TakesTokens() const override { return !trust()->issuers.empty(); }
  uint64_t Generation() const override { return generation_.load(std::memory_order_acquire); }
  absl::StatusOr<Admitted> VerifyToken(absl::string_view token, const std::string& hash,
                                       const Question& question) override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Admitted> VerifyCertificate(absl::string_view pem_chain, std::string* hash,
                                             const Question& question) override ABSL_LOCKS_EXCLUDED(mutex_);
  absl::StatusOr<Admitted> VerifyAgain(const std::string& hash, const Granted& granted) override
      ABSL_LOCKS_EXCLUDED(mutex_);
  bool MayEnter(absl::string_view issuer, absl::string_view name_space, absl::string_view org) const override;
  std::string UrlOf(absl::string_view issuer) const override;
  absl::Status RefuseUngranted(const ExternalIdentity& identity, absl::string_view why) override;

 private:
  struct Entry;
  using EntryPointer = std::shared_ptr<Entry>;

  // The entry, if it still says the truth.
  EntryPointer Find(const std::string& hash, absl::Time now) ABSL_LOCKS_EXCLUDED(mutex_);
  // What is kept of the hash, or null.
  EntryPointer Kept(const std::string& hash) ABSL_LOCKS_EXCLUDED(mutex_);
  // OK if the entry says the truth, NOT_FOUND if not, UNAVAILABLE if that cannot be known.
  static absl::Status Check(const Entry& entry, absl::Time now);
  // Keeps the entry, unless another call has brought the same one meanwhile; returns the one that counts. UNAVAILABLE
  // if another configuration is trusted by now.
  absl::StatusOr<EntryPointer> Keep(const std::string& hash, EntryPointer entry, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mutex_);
  // Of a token that is not kept.
  absl::StatusOr<EntryPointer> Read(absl::string_view token, const std::string& hash, absl::Time now,
                                    const Question& question) ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status WhyNot(const absl::Status& problem, const TokenAttempt& attempt, Pending* pending);
  // The same under another configuration; null if nobody can say without the token. `rereads`: the issuers whose claims
  // are read otherwise by it.
  using Rereads = absl::flat_hash_set<const TrustedIssuer*>;
  static EntryPointer Under(const IdentityTrust& trust, const Rereads& rereads, const EntryPointer& entry,
                            uint64_t generation);
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
  // Of the trust; changes under the lock.
  std::atomic<uint64_t> generation_{0};
  mutable absl::Mutex mutex_;
  std::shared_ptr<const IdentityTrust> trust_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, EntryPointer> entries_ ABSL_GUARDED_BY(mutex_);
  RefusedTokens<Entry> refused_;
  RefusalWarnings warnings_;
  // Issuers that are or were trusted. Here is the last reference to each, so that none ends on a thread of its own or
  // under a lock. Belongs to the thread that calls SetTrust.
  std::vector<std::shared_ptr<TrustedIssuer>> issuers_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_IDENTITY_EXTERNAL_IDENTITY_VERIFIER_H_
