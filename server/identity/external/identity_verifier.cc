#include "server/identity/external/identity_verifier.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/status_macros.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/crypto/sha256.h"

namespace keyferry::server {
namespace {

absl::Status RefusedStatus() {
  v1::ErrorDetail detail;
  detail.set_reason("IDENTITY_REFUSED");
  detail.set_next_step("Ask the operator of keyferryd: its log says why.");
  return MakeError(absl::StatusCode::kUnauthenticated, "the identity was refused", detail);
}

// A clock that was set back makes nothing young again.
absl::Duration AgeOf(absl::Time then, absl::Time now) { return now < then ? absl::InfiniteDuration() : now - then; }

}  // namespace

struct IdentityVerifier::Entry {
  Admitted admitted;
  // Of the trust that it was verified by.
  uint64_t trust = 0;
  // Nothing of the present trust verifies it.
  bool withdrawn = false;
  // Of a token.
  ReadToken token;
  // Of a certificate.
  std::shared_ptr<SpiffeTrust> domain;
  uint64_t generation = 0;

  // Where tokens are reviewed. Guarded by the verifier's mutex, but for the text, which stays as it is.
  storage::SecretBytes text;
  absl::Time reviewed = absl::InfinitePast();
  absl::Time review_failed = absl::InfinitePast();
  bool denied = false;
  std::shared_ptr<OneShot> reviewing;

  bool is_reviewed() const { return token.issuer != nullptr && token.issuer->reviewer != nullptr; }
  // Without what reviews have said.
  EntryPointer Copy() const {
    auto copy = std::make_shared<Entry>();
    copy->admitted = admitted;
    copy->trust = trust;
    copy->token = token;
    copy->domain = domain;
    copy->generation = generation;
    return copy;
  }
};

IdentityVerifier::IdentityVerifier(IdentityTrust trust, std::function<absl::Time()> clock, Logger* logger,
                                   size_t max_cached)
    : clock_(std::move(clock)),
      logger_(logger),
      max_cached_(max_cached),
      trust_(std::make_shared<const IdentityTrust>(std::move(trust))),
      issuers_(trust_->issuers) {}

IdentityVerifier::~IdentityVerifier() {
  for (const std::shared_ptr<TrustedIssuer>& issuer : issuers_) issuer->reviewer.reset();
}

std::shared_ptr<const IdentityTrust> IdentityVerifier::trust() const {
  absl::ReaderMutexLock lock(&mutex_);
  return trust_;
}

IdentityVerifier::EntryPointer IdentityVerifier::Under(const IdentityTrust& trust, const Rereads& rereads,
                                                       const EntryPointer& entry, uint64_t generation) {
  if (entry->withdrawn) return entry;
  const EntryPointer next = entry->Copy();
  next->trust = generation;
  if (entry->domain != nullptr) {
    const std::shared_ptr<SpiffeTrust> domain = trust.FindDomain(entry->domain->trust_domain());
    if (domain != nullptr && domain != entry->domain) return nullptr;
    next->withdrawn = domain == nullptr;
    return next;
  }
  const std::shared_ptr<TrustedIssuer> issuer = trust.FindIssuer(entry->token.issuer->config.issuer());
  next->withdrawn = issuer == nullptr || !StandsUnder(entry->token, issuer->config);
  if (!next->withdrawn && rereads.contains(entry->token.issuer.get())) return nullptr;
  next->token.issuer = next->withdrawn ? nullptr : issuer;
  if (!next->is_reviewed()) return next;
  // What was not reviewed before has no text to be reviewed.
  if (entry->text.size() == 0) return nullptr;
  next->text = storage::SecretBytes::CopyOf(entry->text.Expose());
  next->reviewed = entry->reviewed;
  next->denied = entry->denied;
  return next;
}

void IdentityVerifier::SetTrust(IdentityTrust next) {
  issuers_.insert(issuers_.end(), next.issuers.begin(), next.issuers.end());
  const auto trust = std::make_shared<const IdentityTrust>(std::move(next));
  // What is kept was verified by issuers of the present trust.
  const std::shared_ptr<const IdentityTrust> before = this->trust();
  Rereads rereads;
  for (const std::shared_ptr<TrustedIssuer>& old : before->issuers) {
    const std::shared_ptr<TrustedIssuer> issuer = trust->FindIssuer(old->config.issuer());
    if (issuer != nullptr && ReadsOtherwise(old->config, issuer->config)) rereads.insert(old.get());
  }
  {
    absl::MutexLock lock(&mutex_);
    const uint64_t generation = generation_.load(std::memory_order_relaxed) + 1;
    for (auto entry = entries_.begin(); entry != entries_.end();) {
      EntryPointer under = Under(*trust, rereads, entry->second, generation);
      if (under == nullptr) {
        entries_.erase(entry++);
      } else {
        (entry++)->second = std::move(under);
      }
    }
    trust_ = trust;
    generation_.store(generation, std::memory_order_release);
  }
  refused_.Clear();
  warnings_.Clear();
  // Whoever still holds one that is trusted no longer does not keep its keys being read.
  for (const std::shared_ptr<TrustedIssuer>& old : before->issuers) {
    const bool goes_on = std::any_of(trust->issuers.begin(), trust->issuers.end(),
                                     [&](const auto& issuer) { return issuer->keys == old->keys; });
    if (!goes_on) old->keys->Stop();
  }
  issuers_.erase(
      std::remove_if(issuers_.begin(), issuers_.end(), [](const auto& issuer) { return issuer.use_count() == 1; }),
      issuers_.end());
}

absl::StatusOr<ExternalIdentities::Admitted> IdentityVerifier::VerifyToken(absl::string_view token,
                                                                           const std::string& hash,
                                                                           const Question& question) {
  const absl::Time now = clock_();
  EntryPointer entry = Find(hash, now);
  if (entry == nullptr) {
    ASSIGN_OR_RETURN(entry, Read(token, hash, now, question));
    if (const absl::Status granted = question.granted(*entry->admitted.identity); !granted.ok()) {
      refused_.Put(hash, {{}, entry}, now);
      if (absl::IsUnauthenticated(granted) && question.in_vain != nullptr) question.in_vain();
      return granted;
    }
    if (entry->is_reviewed()) {
      entry = entry->Copy();
      entry->text = storage::SecretBytes::CopyOf(token);
    }
    ASSIGN_OR_RETURN(entry, Keep(hash, std::move(entry), now));
  }
  return Admit(entry, now, question);
}

absl::StatusOr<ExternalIdentities::Admitted> IdentityVerifier::VerifyCertificate(absl::string_view pem_chain,
                                                                                 std::string* hash,
                                                                                 const Question& question) {
  const absl::Time now = clock_();
  *hash = std::string(storage::View(storage::Sha256({pem_chain})));
  if (const EntryPointer known = Find(*hash, now)) return known->admitted;
  const absl::StatusOr<CertificateClaims> claims = ReadCertificateClaims(pem_chain);
  if (!claims.ok()) return Refuse("", claims.status().message());
  auto entry = std::make_shared<Entry>();
  // Before the trust, so that one which is replaced meanwhile is noticed.
  entry->trust = Generation();
  entry->domain = trust()->FindDomain(claims->trust_domain);
  if (entry->domain == nullptr) return Refuse("", "the trust domain of the client's certificate is not configured");
  // Before it is verified: CAs that are replaced meanwhile make it be verified again.
  entry->generation = entry->domain->Generation(now);
  const absl::Status verified = entry->domain->Verify(pem_chain, now);
  if (absl::IsUnavailable(verified)) return Unavailable(claims->trust_domain, verified.message());
  if (!verified.ok()) return Refuse(claims->trust_domain, verified.message());
  ExternalIdentity identity;
  identity.issuer = claims->trust_domain;
  identity.subject = claims->spiffe_id;
  identity.spiffe_id = claims->spiffe_id;
  entry->admitted = {std::make_shared<const ExternalIdentity>(std::move(identity)), claims->expire_time};
  RETURN_IF_ERROR(question.granted(*entry->admitted.identity));
  ASSIGN_OR_RETURN(const EntryPointer kept, Keep(*hash, std::move(entry), now));
  return kept->admitted;
}

absl::StatusOr<ExternalIdentities::Admitted> IdentityVerifier::VerifyAgain(const std::string& hash,
                                                                           const Granted& granted) {
  const absl::Time now = clock_();
  const EntryPointer entry = Kept(hash);
  if (entry == nullptr) return Unavailable("", "the identity is not kept any more");
  const absl::Status stands = Check(*entry, now);
  if (absl::IsUnavailable(stands)) return Unavailable(entry->admitted.identity->issuer, stands.message());
  RETURN_IF_ERROR(stands);
  return Admit(entry, now, {granted, /*stream=*/true, /*pending=*/nullptr});
}

bool IdentityVerifier::MayEnter(absl::string_view issuer, absl::string_view name_space, absl::string_view org) const {
  return trust()->LetsIn(issuer, name_space, org);
}

std::string IdentityVerifier::UrlOf(absl::string_view issuer) const {
  for (const std::shared_ptr<TrustedIssuer>& one : trust()->issuers) {
    if (one->config.name() == issuer && one->config.kind() == "oidc") return one->config.issuer();
  }
  return "";
}

absl::Status IdentityVerifier::RefuseUngranted(const ExternalIdentity& identity, absl::string_view why) {
  logger_->Write(warnings_.IsNew(identity, why, clock_()) ? LogLevel::kWarning : LogLevel::kDebug, "identity refused",
                 {{"issuer", identity.issuer}, {"subject", identity.subject}, {"pod", identity.pod}, {"problem", why}});
  if (identity.person == nullptr) return RefusedStatus();
  // Whom the issuer vouches for may know what is missing.
  v1::ErrorDetail detail;
  detail.set_reason("IDENTITY_REFUSED");
  detail.set_next_step("Ask an ADMIN of the organization.");
  return MakeError(absl::StatusCode::kUnauthenticated,
                   absl::StrCat("the issuer `", identity.issuer, "` says who you are, but ", why), detail);
}

IdentityVerifier::EntryPointer IdentityVerifier::Find(const std::string& hash, absl::Time now) {
  EntryPointer entry = Kept(hash);
  return entry != nullptr && Check(*entry, now).ok() ? entry : nullptr;
}

IdentityVerifier::EntryPointer IdentityVerifier::Kept(const std::string& hash) {
  absl::ReaderMutexLock lock(&mutex_);
  const auto found = entries_.find(hash);
  return found == entries_.end() ? nullptr : found->second;
}

absl::Status IdentityVerifier::Check(const Entry& entry, absl::Time now) {
  if (entry.withdrawn) return absl::NotFoundError("what verified it is trusted no longer");
  if (now >= entry.admitted.expire_time) return absl::NotFoundError("it has expired");
  if (entry.domain != nullptr) {
    const bool same = entry.domain->Generation(now) == entry.generation;
    // Whoever comes again is verified against the new CAs.
    return same ? absl::OkStatus() : absl::NotFoundError("the CAs are others");
  }
  const std::shared_ptr<const JwkSet> keys = entry.token.issuer->keys->keys();
  if (keys == nullptr) return absl::UnavailableError("its keys cannot be read");
  return keys->Contains(entry.token.key) ? absl::OkStatus() : absl::NotFoundError("its key was withdrawn");
}

absl::StatusOr<IdentityVerifier::EntryPointer> IdentityVerifier::Keep(const std::string& hash, EntryPointer entry,
                                                                      absl::Time now) {
  bool replaced = false;
  {
    absl::MutexLock lock(&mutex_);
    replaced = entry->trust != generation_.load(std::memory_order_relaxed);
    if (!replaced) {
      if (const auto found = entries_.find(hash); found != entries_.end()) {
        const Entry& known = *found->second;
        if (!known.withdrawn && now < known.admitted.expire_time && known.token.key == entry->token.key &&
            known.generation == entry->generation) {
          return found->second;
        }
      } else if (entries_.size() >= max_cached_) {
        absl::erase_if(entries_, [now](const auto& item) { return now >= item.second->admitted.expire_time; });
        // Some more, so that not each new one looks through all of them.
        while (entries_.size() > max_cached_ - max_cached_ / 8 - 1) entries_.erase(entries_.begin());
      }
      entries_[hash] = entry;
    }
  }
  if (replaced) return Unavailable(entry->admitted.identity->issuer, "the configuration was replaced");
  return entry;
}

absl::StatusOr<IdentityVerifier::EntryPointer> IdentityVerifier::Read(absl::string_view token, const std::string& hash,
                                                                      absl::Time now, const Question& question) {
  const RefusedTokens<Entry>::Known known = refused_.Find(hash, now);
  if (known.verified != nullptr && known.verified->trust == Generation() && Check(*known.verified, now).ok()) {
    if (question.may_repeat != nullptr) RETURN_IF_ERROR(question.may_repeat());
    return known.verified;
  }
  if (const std::shared_ptr<const JwkSet> keys = known.keys.lock()) {
    // Whatever issuer it names: as long as that is the set, it is refused again.
    for (const std::shared_ptr<TrustedIssuer>& issuer : trust()->issuers) {
      if (issuer->keys->keys() == keys) return Refuse(issuer->config.name(), "it was refused a moment ago");
    }
  }
  if (question.may_verify != nullptr) RETURN_IF_ERROR(question.may_verify());
  auto entry = std::make_shared<Entry>();
  // Before the trust, so that one which is replaced meanwhile is noticed.
  entry->trust = Generation();
  TokenAttempt attempt;
  absl::StatusOr<ReadToken> read = ReadTokenOf(*trust(), token, now, &attempt);
  if (!read.ok()) {
    if (absl::IsPermissionDenied(read.status()) && attempt.verified) {
      refused_.Put(hash, {attempt.keys, {}}, now);
      if (question.in_vain != nullptr) question.in_vain();
    }
    return WhyNot(read.status(), attempt, question.pending);
  }
  entry->admitted = {std::make_shared<const ExternalIdentity>(std::move(read->identity)), read->expire_time};
  entry->token = *std::move(read);
  return entry;
}

absl::Status IdentityVerifier::WhyNot(const absl::Status& problem, const TokenAttempt& attempt, Pending* pending) {
  const std::string name = attempt.issuer == nullptr ? "" : attempt.issuer->config.name();
  if (absl::IsNotFound(problem) || absl::IsUnavailable(problem)) {
    // The issuer may have new keys.
    const std::shared_ptr<OneShot> reading = attempt.issuer->keys->TryRead();
    if (reading != nullptr) {
      if (pending != nullptr) *pending = [reading](std::function<void()> end) { reading->WhenFired(std::move(end)); };
      return Unavailable(name, "keys are being read");
    }
    if (attempt.keys == nullptr) return Unavailable(name, problem.message());
  }
  return Refuse(name, problem.message());
}

absl::StatusOr<ExternalIdentities::Admitted> IdentityVerifier::Admit(const EntryPointer& entry, absl::Time now,
                                                                     const Question& question) {
  if (!entry->is_reviewed()) return entry->admitted;
  const absl::Duration cache = absl::Seconds(entry->token.issuer->config.token_review().cache_seconds());
  bool aged = false;
  {
    absl::ReaderMutexLock lock(&mutex_);
    aged = AgeOf(entry->reviewed, now) > cache / 2;
  }
  if (aged) {
    RETURN_IF_ERROR(question.granted(*entry->admitted.identity));
    BeginReview(entry, now);
  }
  absl::ReaderMutexLock lock(&mutex_);
  const absl::Duration age = AgeOf(entry->reviewed, now);
  if (entry->denied && age <= cache) return RefusedStatus();
  if (!entry->denied && age <= (question.stream ? std::max(cache, kStreamReview) : cache)) return entry->admitted;
  if (question.pending != nullptr && entry->reviewing != nullptr) {
    *question.pending = [reviewing = entry->reviewing](std::function<void()> end) {
      reviewing->WhenFired(std::move(end));
    };
  }
  return Unavailable(entry->token.issuer->config.name(), "a token is being reviewed");
}

void IdentityVerifier::BeginReview(const EntryPointer& entry, absl::Time now) {
  {
    absl::MutexLock lock(&mutex_);
    if (entry->reviewing != nullptr) return;
    if (now >= entry->review_failed && now < entry->review_failed + kReviewRetry) return;
    entry->reviewing = std::make_shared<OneShot>();
  }
  entry->token.issuer->reviewer->Review(
      entry->text.Expose(), entry->admitted.identity->subject,
      [this, entry, now](const absl::Status& outcome) { EndReview(entry, now, outcome); });
}

void IdentityVerifier::EndReview(const EntryPointer& entry, absl::Time begun, const absl::Status& outcome) {
  std::shared_ptr<OneShot> ended;
  const bool known = outcome.ok() || absl::IsPermissionDenied(outcome);
  {
    absl::MutexLock lock(&mutex_);
    ended = std::exchange(entry->reviewing, nullptr);
    if (known) {
      entry->denied = !outcome.ok();
      entry->reviewed = begun;
    } else {
      entry->review_failed = clock_();
    }
  }
  if (!outcome.ok()) {
    logger_->Write(LogLevel::kWarning, known ? "identity refused" : "a token could not be reviewed",
                   {{"issuer", entry->token.issuer->config.name()},
                    {"subject", entry->admitted.identity->subject},
                    {"pod", entry->admitted.identity->pod},
                    {"problem", outcome.message()}});
  }
  if (ended != nullptr) ended->Fire();
}

absl::Status IdentityVerifier::Refuse(absl::string_view issuer, absl::string_view why) {
  logger_->Write(LogLevel::kInfo, "identity refused", {{"issuer", issuer}, {"problem", why}});
  return RefusedStatus();
}

absl::Status IdentityVerifier::Unavailable(absl::string_view issuer, absl::string_view why) {
  logger_->Write(LogLevel::kDebug, "identity not known yet", {{"issuer", issuer}, {"problem", why}});
  v1::ErrorDetail detail;
  detail.set_reason("IDENTITY_UNAVAILABLE");
  detail.set_next_step("Repeat the call after the delay.");
  detail.set_retry_delay_ms(250);
  return MakeError(absl::StatusCode::kUnavailable, "it cannot be said at this moment who is calling", detail);
}

}  // namespace keyferry::server
