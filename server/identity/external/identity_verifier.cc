#include "server/identity/external/identity_verifier.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/config/trusted_org.h"
#include "server/errors.h"
#include "server/identity/external/kubernetes_identity.h"
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

template <typename Orgs>
bool LetsIn(const Orgs& orgs, absl::string_view name_space, absl::string_view org) {
  return orgs.empty() || std::any_of(orgs.begin(), orgs.end(), [&](const std::string& entry) {
           const absl::StatusOr<TrustedOrg> trusted = ParseTrustedOrg(entry);
           return trusted.ok() && trusted->Takes(name_space, org);
         });
}

// A clock that was set back makes nothing young again.
absl::Duration AgeOf(absl::Time then, absl::Time now) { return now < then ? absl::InfiniteDuration() : now - then; }

std::vector<JwtAlgorithm> AlgorithmsOf(const config::Issuer& issuer) {
  std::vector<JwtAlgorithm> algorithms;
  for (const std::string& name : issuer.algorithms()) {
    if (const auto algorithm = JwtAlgorithmOf(name)) algorithms.push_back(*algorithm);
  }
  return algorithms;
}

}  // namespace

struct IdentityVerifier::Entry {
  Admitted admitted;
  // Of a token: its issuer and the key that verified it.
  TrustedIssuer* issuer = nullptr;
  std::string key;
  // Of a certificate.
  SpiffeTrust* domain = nullptr;
  uint64_t generation = 0;

  // Where tokens are reviewed. Guarded by the verifier's mutex, but for the token, which stays as it is.
  storage::SecretBytes token;
  absl::Time reviewed = absl::InfinitePast();
  absl::Time review_failed = absl::InfinitePast();
  bool denied = false;
  std::shared_ptr<OneShot> reviewing;
};

absl::StatusOr<IdentityTrust> IdentityTrust::Create(const config::Identity& identity, const AddressGuard& guard,
                                                    const std::function<absl::Time()>& clock, Logger* logger) {
  IdentityTrust trust;
  for (const config::Issuer& issuer : identity.issuers()) {
    TrustedIssuer trusted;
    trusted.config = issuer;
    KeySource::Options options;
    if (!issuer.jwks_file().empty()) {
      // Reading a file costs next to nothing.
      options.refresh = absl::Seconds(10);
      options.min_interval = absl::Seconds(1);
    }
    trusted.keys = std::make_unique<KeySource>(issuer.name(), MakeKeyReader(issuer, guard), clock, logger, options);
    if (issuer.has_token_review()) {
      ASSIGN_OR_RETURN(trusted.reviewer, HttpTokenReviewer::Create(issuer.token_review(), issuer.audience()));
    }
    trust.issuers.push_back(std::move(trusted));
  }
  for (const config::SpiffeTrustDomain& domain : identity.spiffe()) {
    trust.domains.push_back({std::make_unique<SpiffeTrust>(domain.trust_domain(), domain.bundle_file(), logger),
                             {domain.orgs().begin(), domain.orgs().end()}});
  }
  return trust;
}

IdentityVerifier::IdentityVerifier(IdentityTrust trust, std::function<absl::Time()> clock, Logger* logger,
                                   size_t max_cached)
    : clock_(std::move(clock)), logger_(logger), max_cached_(max_cached), trust_(std::move(trust)) {}

IdentityVerifier::~IdentityVerifier() = default;

absl::StatusOr<ExternalIdentities::Admitted> IdentityVerifier::VerifyToken(absl::string_view token,
                                                                           const std::string& hash,
                                                                           const Question& question) {
  const absl::Time now = clock_();
  EntryPointer entry = Find(hash, now);
  if (entry == nullptr) {
    ASSIGN_OR_RETURN(entry, Read(token, now, question.pending));
    RETURN_IF_ERROR(question.granted(*entry->admitted.identity));
    entry = Keep(hash, std::move(entry), now);
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
  const auto found = std::find_if(trust_.domains.begin(), trust_.domains.end(), [&](const TrustedDomain& domain) {
    return domain.trust->trust_domain() == claims->trust_domain;
  });
  if (found == trust_.domains.end())
    return Refuse("", "the trust domain of the client's certificate is not configured");
  auto entry = std::make_shared<Entry>();
  entry->domain = found->trust.get();
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
  return Keep(*hash, std::move(entry), now)->admitted;
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
  for (const TrustedIssuer& trusted : trust_.issuers) {
    if (trusted.config.name() == issuer) return LetsIn(trusted.config.orgs(), name_space, org);
  }
  for (const TrustedDomain& domain : trust_.domains) {
    if (domain.trust->trust_domain() == issuer) return LetsIn(domain.orgs, name_space, org);
  }
  return false;
}

absl::Status IdentityVerifier::RefuseUngranted(const ExternalIdentity& identity) {
  logger_->Write(LogLevel::kWarning, "identity refused",
                 {{"issuer", identity.issuer},
                  {"subject", identity.subject},
                  {"pod", identity.pod},
                  {"problem", "it is granted to no workload; see `keyferry workload grant`"}});
  return RefusedStatus();
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
  if (now >= entry.admitted.expire_time) return absl::NotFoundError("it has expired");
  if (entry.domain != nullptr) {
    const bool same = entry.domain->Generation(now) == entry.generation;
    // Whoever comes again is verified against the new CAs.
    return same ? absl::OkStatus() : absl::NotFoundError("the CAs are others");
  }
  const std::shared_ptr<const JwkSet> keys = entry.issuer->keys->keys();
  if (keys == nullptr) return absl::UnavailableError("its keys cannot be read");
  return keys->Contains(entry.key) ? absl::OkStatus() : absl::NotFoundError("its key was withdrawn");
}

IdentityVerifier::EntryPointer IdentityVerifier::Keep(const std::string& hash, EntryPointer entry, absl::Time now) {
  absl::MutexLock lock(&mutex_);
  if (const auto found = entries_.find(hash); found != entries_.end()) {
    const Entry& known = *found->second;
    if (now < known.admitted.expire_time && known.key == entry->key && known.generation == entry->generation) {
      return found->second;
    }
  } else if (entries_.size() >= max_cached_) {
    absl::erase_if(entries_, [now](const auto& item) { return now >= item.second->admitted.expire_time; });
    // Some more, so that not each new one looks through all of them.
    while (entries_.size() > max_cached_ - max_cached_ / 8 - 1) entries_.erase(entries_.begin());
  }
  entries_[hash] = entry;
  return entry;
}

absl::StatusOr<IdentityVerifier::EntryPointer> IdentityVerifier::Read(absl::string_view token, absl::Time now,
                                                                      Pending* pending) {
  const absl::StatusOr<Jws> jws = ParseJws(token);
  if (!jws.ok()) return Refuse("", jws.status().message());
  const absl::StatusOr<std::string> claimed = UnverifiedIssuer(*jws);
  if (!claimed.ok()) return Refuse("", claimed.status().message());
  const auto issuer = std::find_if(trust_.issuers.begin(), trust_.issuers.end(),
                                   [&](const TrustedIssuer& one) { return one.config.issuer() == *claimed; });
  if (issuer == trust_.issuers.end()) return Refuse("", "its issuer (`iss`) is not configured");
  const std::string& name = issuer->config.name();
  const std::shared_ptr<const JwkSet> keys = issuer->keys->keys();
  const absl::StatusOr<const VerificationKey*> key = keys == nullptr
                                                         ? absl::UnavailableError("there are no keys")
                                                         : VerifyJws(*jws, AlgorithmsOf(issuer->config), *keys);
  if (absl::IsNotFound(key.status()) || absl::IsUnavailable(key.status())) {
    // The issuer may have new keys.
    const std::shared_ptr<OneShot> reading = issuer->keys->TryRead();
    if (reading != nullptr) {
      if (pending != nullptr) *pending = [reading](std::function<void()> end) { reading->WhenFired(std::move(end)); };
      return Unavailable(name, "keys are being read");
    }
    if (keys == nullptr) return Unavailable(name, "its keys cannot be read");
  }
  if (!key.ok()) return Refuse(name, key.status().message());
  const absl::StatusOr<VerifiedClaims> claims =
      CheckClaims(jws->payload, {issuer->config.issuer(), issuer->config.audience()}, now);
  if (!claims.ok()) return Refuse(name, claims.status().message());
  absl::StatusOr<ExternalIdentity> identity = KubernetesIdentityOf(*claims, name);
  if (!identity.ok()) return Refuse(name, identity.status().message());
  auto entry = std::make_shared<Entry>();
  entry->issuer = &*issuer;
  entry->key = (*key)->fingerprint();
  entry->admitted = {std::make_shared<const ExternalIdentity>(*std::move(identity)), claims->expire_time + kJwtLeeway};
  if (issuer->reviewer != nullptr) entry->token = storage::SecretBytes::CopyOf(token);
  return entry;
}

absl::StatusOr<ExternalIdentities::Admitted> IdentityVerifier::Admit(const EntryPointer& entry, absl::Time now,
                                                                     const Question& question) {
  if (entry->issuer == nullptr || entry->issuer->reviewer == nullptr) return entry->admitted;
  const absl::Duration cache = absl::Seconds(entry->issuer->config.token_review().cache_seconds());
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
  return Unavailable(entry->issuer->config.name(), "a token is being reviewed");
}

void IdentityVerifier::BeginReview(const EntryPointer& entry, absl::Time now) {
  {
    absl::MutexLock lock(&mutex_);
    if (entry->reviewing != nullptr) return;
    if (now >= entry->review_failed && now < entry->review_failed + kReviewRetry) return;
    entry->reviewing = std::make_shared<OneShot>();
  }
  entry->issuer->reviewer->Review(entry->token.Expose(), entry->admitted.identity->subject,
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
                   {{"issuer", entry->issuer->config.name()},
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
