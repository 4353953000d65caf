#include "server/directory/enrolment.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/audit/call_record.h"
#include "server/credentials/parent_counts.h"
#include "server/directory/person_bindings.h"
#include "server/directory/users.h"
#include "server/errors.h"
#include "server/identity/find_person.h"
#include "server/identity/person_binding.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

std::string KeyOf(const ExternalIdentity& identity) {
  const PersonClaims& claims = *identity.person;
  std::string key;
  for (const std::string* text :
       {&identity.issuer, &identity.issuer_url, &identity.subject, &claims.org, &claims.user}) {
    absl::StrAppend(&key, text->size(), ":", *text);
  }
  absl::StrAppend(&key, absl::ToUnixNanos(claims.issue_time), "/", claims.role);
  for (const auto& [team, role] : claims.teams) absl::StrAppend(&key, "/", team, "=", role);
  return key;
}

// The call that the server makes for itself.
CallRecord RecordOf(const VerifiedPerson& verified, bool roles_alone, absl::Time now) {
  const ExternalIdentity& identity = *verified.admitted.identity;
  CallRecord record;
  record.org = identity.person->org;
  v1::AuditEntry& entry = record.entry;
  const timespec time = absl::ToTimespec(now);
  entry.mutable_time()->set_seconds(time.tv_sec);
  entry.mutable_time()->set_nanos(static_cast<int32_t>(time.tv_nsec));
  const std::string name = absl::StrCat("orgs/", identity.person->org, "/users/", identity.person->user);
  entry.set_peer(verified.peer);
  entry.set_principal(name);
  entry.set_resource(name);
  entry.set_method(roles_alone ? "keyferryd/SetRoles" : "keyferryd/EnrollUser");
  *entry.mutable_identity() = ToCallerIdentity(identity);
  return record;
}

// The user as they are to be.
absl::StatusOr<Stored<records::UserRecord>> UserAfter(const storage::StoreView& view, const ExternalIdentity& identity,
                                                      const FoundPerson& person, int64_t now) {
  const std::string& org = person.caller.org;
  const std::string& id = person.caller.id;
  Stored<records::UserRecord> user;
  if (person.plan.create) {
    user.record.set_id(id);
    user.record.set_create_time(now);
  } else {
    ASSIGN_OR_RETURN(auto stored, ReadRecord<records::UserRecord>(view, {Table::kUser, org, "", id}));
    if (!stored.has_value()) return absl::AbortedError("the user has gone");
    user = *std::move(stored);
  }
  if (person.plan.role != v1::ORG_ROLE_UNSPECIFIED) user.record.set_role(person.plan.role);
  user.record.set_issuer(identity.issuer);
  user.record.set_issuer_url(identity.issuer_url);
  user.record.set_subject(identity.subject);
  user.record.set_claims_time(absl::ToUnixNanos(identity.person->issue_time));
  user.record.set_update_time(now);
  return user;
}

// That the claims are the newest. The user's record stays as it is, since an ADMIN's change depends on it, and callers
// and watches are computed from it.
absl::Status StageNote(const storage::StoreView& view, const PersonClaims& claims, storage::Mutation* mutation) {
  const storage::RecordKey key = PersonClaimsKey(claims.org, claims.user);
  ASSIGN_OR_RETURN(const auto before, ReadRecord<records::PersonClaimsRecord>(view, key));
  records::PersonClaimsRecord record;
  record.set_claims_time(absl::ToUnixNanos(claims.issue_time));
  mutation->Put(key, storage::SerializeSecret(record), before.has_value() ? before->version + 1 : 1,
                before.has_value() ? before->revision : 0);
  return absl::OkStatus();
}

// What lost a race, or waits for the disk, is tried again at once.
bool IsLasting(const absl::Status& outcome) {
  return !outcome.ok() && !absl::IsAborted(outcome) && !absl::IsUnavailable(outcome);
}

}  // namespace

absl::Status Enrolment::Enrol(const VerifiedPerson& verified) {
  absl::MutexLock lock(context_.changes);
  // Whoever asks again is told.
  if (context_.external == nullptr || context_.external->Generation() != verified.generation ||
      context_.clock() >= verified.admitted.expire_time) {
    return absl::AbortedError("what the token was verified by is another, or it has expired");
  }
  const auto view = context_.store->View();
  const auto person = FindPerson(*view, *verified.admitted.identity);
  if (!person.ok()) return FromStore(person.status(), "the user");
  if (!person->refusal.empty() || person->plan.empty()) return absl::OkStatus();
  return Commit(*view, verified, *person);
}

absl::Status Enrolment::StageUser(const storage::StoreView& view, const ExternalIdentity& identity,
                                  const FoundPerson& person, storage::Mutation* mutation) {
  const std::string& org = person.caller.org;
  const EnrolmentPlan& plan = person.plan;
  if (!plan.create && !plan.bind && plan.role == v1::ORG_ROLE_UNSPECIFIED) {
    return StageNote(view, *identity.person, mutation);
  }
  ASSIGN_OR_RETURN(const auto user, UserAfter(view, identity, person, context_.NowNanos()));
  if (plan.create) {
    // A team whose role the claims say is entered once, by the claims.
    const bool in_default =
        std::any_of(plan.teams.begin(), plan.teams.end(), [](const auto& team) { return team.first == kDefaultTeam; });
    const v1::Tier tier = in_default ? v1::TIER_UNSPECIFIED : person.caller.tier;
    RETURN_IF_ERROR(StageNewUser(context_, view, tier, org, user.record, mutation));
  } else {
    mutation->Put({Table::kUser, org, "", person.caller.id}, storage::SerializeSecret(user.record), user.version + 1,
                  user.revision);
  }
  if (!plan.create && !plan.bind) return absl::OkStatus();
  return StageBinding(view, org, /*before=*/{}, user.record, context_.clock(), mutation);
}

absl::Status Enrolment::Commit(const storage::StoreView& view, const VerifiedPerson& verified,
                               const FoundPerson& person) {
  const std::string& org = person.caller.org;
  const std::string& id = person.caller.id;
  const EnrolmentPlan& plan = person.plan;
  const std::string name = absl::StrCat("orgs/", org, "/users/", id);
  if (!plan.create && plan.role == v1::ORG_ROLE_MEMBER) RETURN_IF_ERROR(CheckNotLastAdmin(view, org, id));
  storage::Mutation mutation;
  const absl::Status staged = StageUser(view, *verified.admitted.identity, person, &mutation);
  if (!staged.ok()) return FromStore(staged, name);
  for (const auto& [team, role] : plan.teams) {
    if (role == v1::TEAM_ROLE_UNSPECIFIED) {
      DeleteMembership(org, team, id, &mutation);
    } else {
      PutMembership(org, team, id, role, context_.NowNanos(), &mutation);
    }
  }
  const bool roles_alone = !plan.create && !plan.bind;
  CallRecord record = RecordOf(verified, roles_alone, context_.clock());
  Caller caller = person.caller;
  if (!roles_alone || plan.changes_roles()) caller.record = &record;
  const absl::Status committed =
      plan.create ? CommitCounted(context_.store, context_.user_counts, caller, org, std::move(mutation))
                  : CommitAudited(context_.store, caller, std::move(mutation)).status();
  return FromStore(committed, name);
}

void Enrolment::Tell(const VerifiedPerson& verified, const absl::Status& failure) const {
  const ExternalIdentity& identity = *verified.admitted.identity;
  if (telling_.logger != nullptr) {
    telling_.logger->Write(LogLevel::kWarning, "a person could not be enrolled",
                           {{"issuer", identity.issuer},
                            {"subject", identity.subject},
                            {"user", absl::StrCat("orgs/", identity.person->org, "/users/", identity.person->user)},
                            {"peer", verified.peer},
                            {"problem", failure.message()}});
  }
  if (telling_.store == nullptr) return;
  CallRecord record = RecordOf(verified, /*roles_alone=*/absl::IsFailedPrecondition(failure), context_.clock());
  SetOutcome(failure, &record.entry);
  telling_.store(record);
}

absl::Status Enrolment::Failure(const ExternalIdentity& identity) {
  const std::string key = KeyOf(identity);
  const absl::Time now = context_.clock();
  absl::MutexLock lock(&mutex_);
  const auto found = failures_.find(key);
  if (found == failures_.end()) return absl::OkStatus();
  if (now >= found->second.time && now < found->second.time + kFailureTime) return found->second.status;
  failures_.erase(found);
  return absl::OkStatus();
}

std::shared_ptr<OneShot> Enrolment::Begin(VerifiedPerson person) {
  const std::string key = KeyOf(*person.admitted.identity);
  std::shared_ptr<OneShot> ended;
  {
    absl::MutexLock lock(&mutex_);
    std::shared_ptr<OneShot>& running = running_[key];
    if (running != nullptr) return running;
    ended = running = std::make_shared<OneShot>();
  }
  const std::string org = person.admitted.identity->person->org;
  const bool began = run_(org, [this, key, person = std::move(person)] {
    const absl::Status outcome = Enrol(person);
    if (IsLasting(outcome)) Tell(person, outcome);
    End(key, outcome);
  });
  // Whoever asks again begins it again.
  if (!began) End(key, absl::OkStatus());
  return ended;
}

void Enrolment::End(const std::string& key, const absl::Status& outcome) {
  std::shared_ptr<OneShot> ended;
  {
    absl::MutexLock lock(&mutex_);
    if (IsLasting(outcome)) {
      if (failures_.size() >= kMaxFailures) failures_.clear();
      failures_[key] = {outcome, context_.clock()};
    }
    const auto running = running_.find(key);
    ended = std::move(running->second);
    running_.erase(running);
  }
  ended->Fire();
}

}  // namespace keyferry::server
