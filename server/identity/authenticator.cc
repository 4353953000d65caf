#include "server/identity/authenticator.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/errors.h"
#include "server/identity/find_granted.h"
#include "server/identity/find_person.h"
#include "server/identity/jwt/jwt.h"
#include "server/identity/load_user.h"
#include "server/identity/token_text.h"
#include "server/names.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::RecordKey;
using storage::Table;

constexpr Table kDependencies[] = {Table::kOrg,          Table::kTokenIndex, Table::kToken,
                                   Table::kUser,         Table::kTeam,       Table::kMembership,
                                   Table::kService,      Table::kWorkload,   Table::kWorkloadIdentity,
                                   Table::kPersonBinding};

absl::Status Unauthenticated(absl::string_view reason, absl::string_view message, absl::string_view next_step) {
  v1::ErrorDetail detail;
  detail.set_reason(std::string(reason));
  detail.set_next_step(std::string(next_step));
  return MakeError(absl::StatusCode::kUnauthenticated, message, detail);
}

absl::Status Unknown() {
  return Unauthenticated("TOKEN_UNKNOWN", "the token is not known, or was revoked",
                         "Use another token, or ask an ADMIN of the organization for a new one.");
}

absl::Status Expired() {
  return Unauthenticated("TOKEN_EXPIRED", "the token has expired",
                         "Create a new one, or ask an ADMIN of the organization for one.");
}

absl::Status BeingEnrolled() {
  v1::ErrorDetail detail;
  detail.set_reason("IDENTITY_UNAVAILABLE");
  detail.set_next_step("Repeat the call after the delay.");
  detail.set_retry_delay_ms(250);
  return MakeError(absl::StatusCode::kUnavailable, "the directory is being brought up to what the token says", detail);
}

// Reads a record that must exist for the token to mean anything.
template <typename T>
absl::StatusOr<T> ReadOrUnknown(const storage::StoreView& view, const RecordKey& key) {
  auto found = ReadRecord<T>(view, key);
  if (absl::IsNotFound(found.status())) return Unknown();  // The org's keyring was destroyed.
  if (!found.ok()) return FromStore(found.status(), "the token");
  if (!found->has_value()) return Unknown();
  return std::move((*found)->record);
}

absl::Status LoadCallingUser(const storage::StoreView& view, Caller* caller) {
  auto user = LoadUser(view, caller->org, caller->id);
  if (absl::IsNotFound(user.status())) return Unknown();  // The org's keyring was destroyed.
  if (!user.ok()) return FromStore(user.status(), "the token");
  if (!user->has_value()) return Unknown();
  caller->kind = PrincipalKind::kUser;
  caller->role = (*user)->caller.role;
  caller->user_create_time = (*user)->create_time;
  caller->teams = std::move((*user)->caller.teams);
  return absl::OkStatus();
}

absl::Status LoadService(const storage::StoreView& view, Caller* caller) {
  ASSIGN_OR_RETURN(const auto service,
                   ReadOrUnknown<records::ServiceRecord>(view, {Table::kService, caller->org, "", caller->id}));
  caller->kind = PrincipalKind::kService;
  caller->role = static_cast<v1::OrgRole>(service.role());
  caller->can_create_sessions = service.can_create_sessions();
  return absl::OkStatus();
}

absl::Status LoadWorkload(const storage::StoreView& view, Caller* caller) {
  ASSIGN_OR_RETURN(const auto workload,
                   ReadOrUnknown<records::WorkloadRecord>(view, {Table::kWorkload, caller->org, "", caller->id}));
  FillWorkload(workload, caller);
  return absl::OkStatus();
}

absl::Status LoadPrincipal(const storage::StoreView& view, ParentName::Kind kind, Caller* caller) {
  switch (kind) {
    case ParentName::kUser:
      return LoadCallingUser(view, caller);
    case ParentName::kService:
      return LoadService(view, caller);
    case ParentName::kWorkload:
      return LoadWorkload(view, caller);
    default:
      return Unknown();
  }
}

}  // namespace

Authenticator::Authenticator(storage::Store* store, Clock clock, ExternalIdentities* external, PeopleEnrolment* people,
                             size_t max_cached)
    : store_(store), clock_(std::move(clock)), external_(external), people_(people), max_cached_(max_cached) {}

absl::StatusOr<std::shared_ptr<const Caller>> Authenticator::Authenticate(const CallCredentials& credentials,
                                                                          ExternalIdentities::Pending* pending) {
  const ExternalIdentities::Question question{[this](const ExternalIdentity& identity) { return MayCall(identity); },
                                              credentials.stream,
                                              pending,
                                              credentials.may_verify,
                                              credentials.may_verify,
                                              credentials.in_vain};
  // Before anything is asked, so that a change meanwhile drops what is cached.
  const uint64_t stamp = Stamp();
  constexpr char kHowTo[] = "Send the metadata `authorization: Bearer TOKEN`.";
  if (credentials.authorization.empty() && external_ != nullptr && !credentials.certificates.empty()) {
    std::string hash;
    const auto admitted = external_->VerifyCertificate(credentials.certificates, &hash, question);
    return FinishExternal(hash, stamp, admitted);
  }
  const absl::string_view authorization = credentials.authorization;
  if (authorization.empty()) return Unauthenticated("TOKEN_MISSING", "no token was presented", kHowTo);
  // RFC 7235: the scheme's case does not matter.
  if (authorization.size() < 7 || !absl::EqualsIgnoreCase(authorization.substr(0, 7), "Bearer ")) {
    return Unauthenticated("TOKEN_MALFORMED", "the authorization is not a bearer token", kHowTo);
  }
  const absl::string_view text = authorization.substr(7);
  if (!IsTokenText(text)) {
    if (external_ != nullptr && external_->TakesTokens() && LooksLikeJwt(text)) {
      const std::string hash = HashTokenText(text);
      const uint64_t generation = external_->Generation();
      const auto admitted = external_->VerifyToken(text, hash, question);
      if (admitted.ok() && admitted->identity->person != nullptr) {
        return FinishPerson(hash, stamp, {*admitted, generation, credentials.peer}, pending);
      }
      return FinishExternal(hash, stamp, admitted);
    }
    return Unauthenticated("TOKEN_MALFORMED", "the token is malformed: its form or checksum is wrong",
                           "Check that the token was copied whole and unchanged.");
  }
  const std::string hash = HashTokenText(text);
  return FindOrLoad(hash, stamp, [&](bool*) { return Load(hash); });
}

absl::StatusOr<std::shared_ptr<const Caller>> Authenticator::AuthenticateAgain(const std::string& hash, bool external) {
  const uint64_t stamp = Stamp();
  if (!external) return FindOrLoad(hash, stamp, [&](bool*) { return Load(hash); });
  if (external_ == nullptr) return Unknown();
  const auto admitted =
      external_->VerifyAgain(hash, [this](const ExternalIdentity& identity) { return MayCall(identity); });
  if (absl::IsNotFound(admitted.status())) return Unknown();
  if (admitted.ok() && admitted->identity->person != nullptr) {
    // What goes on is judged by the directory as it is.
    return FindOrLoad(hash, stamp, [&](bool* keep) {
      bool enrol = false;
      auto caller = LoadPerson(hash, *admitted, &enrol);
      *keep = !enrol;
      return caller;
    });
  }
  return FinishExternal(hash, stamp, admitted);
}

absl::StatusOr<std::shared_ptr<const Caller>> Authenticator::FinishExternal(
    const std::string& hash, uint64_t stamp, const absl::StatusOr<ExternalIdentities::Admitted>& admitted) {
  if (!admitted.ok()) return admitted.status();
  return FindOrLoad(hash, stamp, [&](bool*) { return LoadExternal(hash, *admitted); });
}

absl::StatusOr<std::shared_ptr<const Caller>> Authenticator::FinishPerson(const std::string& hash, uint64_t stamp,
                                                                          VerifiedPerson person,
                                                                          ExternalIdentities::Pending* pending) {
  bool enrol = false;
  auto caller = FindOrLoad(hash, stamp, [&](bool* keep) {
    auto loaded = LoadPerson(hash, person.admitted, &enrol);
    *keep = !enrol;
    return loaded;
  });
  if (!enrol) return caller;
  if (people_ == nullptr) return BeingEnrolled();
  RETURN_IF_ERROR(people_->Failure(*person.admitted.identity));
  const std::shared_ptr<OneShot> enrolment = people_->Begin(std::move(person));
  if (pending != nullptr) {
    *pending = [enrolment](std::function<void()> end) { enrolment->WhenFired(std::move(end)); };
  }
  return BeingEnrolled();
}

absl::StatusOr<std::shared_ptr<const Caller>> Authenticator::FindOrLoad(
    const std::string& hash, uint64_t stamp, const std::function<absl::StatusOr<Caller>(bool* keep)>& load) {
  std::shared_ptr<const Caller> caller = Find(hash, stamp);
  if (caller == nullptr) {
    bool keep = true;
    ASSIGN_OR_RETURN(Caller loaded, load(&keep));
    caller = std::make_shared<const Caller>(std::move(loaded));
    absl::MutexLock lock(&mutex_);
    if (cached_stamp_ < stamp || cached_.size() >= max_cached_) cached_.clear();
    if (keep && cached_stamp_ <= stamp) {
      cached_stamp_ = stamp;
      cached_[hash] = caller;
    }
  }
  if (clock_() >= caller->token_expire_time) return Expired();
  return caller;
}

std::vector<RecordKey> RecordsOf(const Caller& caller) {
  Table principal = Table::kUser;
  if (caller.kind == PrincipalKind::kService) principal = Table::kService;
  if (caller.kind == PrincipalKind::kWorkload) principal = Table::kWorkload;
  std::vector<RecordKey> records = {{Table::kOrg, "", "", caller.org}, {principal, caller.org, "", caller.id}};
  if (!caller.identity_id.empty()) {
    records.push_back({Table::kWorkloadIdentity, "", "", caller.identity_id});
  } else if (caller.external == nullptr && !caller.token_hash.empty()) {
    records.push_back({Table::kTokenIndex, "", "", absl::BytesToHexString(caller.token_hash)});
    records.push_back({Table::kToken, caller.org, caller.token_parent, caller.token_id});
  }
  return records;
}

uint64_t Authenticator::Stamp() const {
  // Each counter only grows, so the sum changes whenever one does.
  uint64_t stamp = external_ == nullptr ? 0 : external_->Generation();
  for (Table table : kDependencies) stamp += store_->Generation(table);
  return stamp;
}

std::shared_ptr<const Caller> Authenticator::Find(const std::string& hash, uint64_t stamp) {
  absl::ReaderMutexLock lock(&mutex_);
  if (cached_stamp_ != stamp) return nullptr;
  const auto found = cached_.find(hash);
  return found == cached_.end() ? nullptr : found->second;
}

absl::StatusOr<Caller> Authenticator::Load(absl::string_view hash) const {
  const std::unique_ptr<storage::StoreView> view = store_->View();
  ASSIGN_OR_RETURN(const auto index, ReadOrUnknown<records::TokenIndexRecord>(
                                         *view, {Table::kTokenIndex, "", "", absl::BytesToHexString(hash)}));
  ASSIGN_OR_RETURN(const auto token, ReadOrUnknown<records::TokenRecord>(
                                         *view, {Table::kToken, index.org(), index.parent(), index.token_id()}));
  // An index entry that outlived its token must not open the next token of the same id.
  if (!storage::ConstantTimeEquals(token.hash(), hash)) return Unknown();
  ASSIGN_OR_RETURN(const auto org, ReadOrUnknown<records::OrgRecord>(*view, {Table::kOrg, "", "", index.org()}));
  const absl::StatusOr<ParentName> principal = ParseParent(token.principal(), "principal");
  if (!principal.ok() || principal->org != index.org()) return Unknown();
  Caller caller;
  caller.org = index.org();
  caller.id = principal->id;
  caller.tier = static_cast<v1::Tier>(org.tier());
  caller.token_expire_time = absl::FromUnixNanos(token.expire_time());
  caller.token_hash = std::string(hash);
  caller.token_parent = index.parent();
  caller.token_id = index.token_id();
  RETURN_IF_ERROR(LoadPrincipal(*view, principal->kind, &caller));
  return caller;
}

absl::StatusOr<Caller> Authenticator::Granted(const ExternalIdentity& identity) const {
  const std::unique_ptr<storage::StoreView> view = store_->View();
  ASSIGN_OR_RETURN(std::optional<Caller> granted, FindGranted(*view, identity, [&](const std::string& org) {
                     return external_->MayEnter(identity.issuer, identity.name_space, org);
                   }));
  if (!granted.has_value()) {
    return external_->RefuseUngranted(identity, "it is granted to no workload; see `keyferry workload grant`");
  }
  return *std::move(granted);
}

absl::Status Authenticator::MayCall(const ExternalIdentity& identity) const {
  if (identity.person == nullptr) return Granted(identity).status();
  if (!external_->MayEnter(identity.issuer, /*name_space=*/"", identity.person->org)) {
    return external_->RefuseUngranted(identity, "its people may not enter this organization");
  }
  const auto found = FindPerson(*store_->View(), identity);
  if (!found.ok()) return FromStore(found.status(), "the user");
  return found->refusal.empty() ? absl::OkStatus() : external_->RefuseUngranted(identity, found->refusal);
}

absl::StatusOr<Caller> Authenticator::LoadPerson(const std::string& hash, const ExternalIdentities::Admitted& admitted,
                                                 bool* enrol) const {
  const ExternalIdentity& identity = *admitted.identity;
  if (!external_->MayEnter(identity.issuer, /*name_space=*/"", identity.person->org)) {
    return external_->RefuseUngranted(identity, "its people may not enter this organization");
  }
  auto found = FindPerson(*store_->View(), identity);
  if (!found.ok()) return FromStore(found.status(), "the user");
  if (!found->refusal.empty()) return external_->RefuseUngranted(identity, found->refusal);
  *enrol = !found->plan.empty();
  // Nobody yet.
  if (found->plan.create || found->plan.bind) return Unknown();
  Caller caller = std::move(found->caller);
  caller.token_expire_time = admitted.expire_time;
  caller.token_hash = hash;
  caller.external = admitted.identity;
  return caller;
}

absl::StatusOr<Caller> Authenticator::LoadExternal(const std::string& hash,
                                                   const ExternalIdentities::Admitted& admitted) const {
  ASSIGN_OR_RETURN(Caller granted, Granted(*admitted.identity));
  granted.token_expire_time = admitted.expire_time;
  granted.token_hash = hash;
  granted.external = admitted.identity;
  return granted;
}

}  // namespace keyferry::server
