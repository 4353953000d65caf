#include "server/directory/person_bindings.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/identity/jwt/jwt.h"
#include "server/identity/person_binding.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

using Binding = Stored<records::PersonBindingRecord>;

// In one commit.
constexpr int kMaxDropped = 1000;

// Makes place for one more that has ended. Where all are too young, one record for the organization stands for them.
absl::Status MakePlace(const storage::StoreView& view, const std::string& org, absl::Time now, const std::string& kept,
                       int max_ended, storage::Mutation* mutation) {
  ASSIGN_OR_RETURN(const auto ended,
                   ScanRecords<records::PersonBindingRecord>(view, Table::kPersonBinding, org, kEndedPeople));
  const int64_t oldest = absl::ToUnixNanos(now - kEndedKept);
  const auto id_of = [](const Binding& one) { return PersonBindingId(one.record.issuer_url(), one.record.subject()); };
  const auto young = std::count_if(ended.begin(), ended.end(), [&](const Binding& one) {
    return one.record.end_time() > oldest && id_of(one) != kept;
  });
  const bool full = young >= max_ended;
  int64_t floor = 0;
  int dropped = 0;
  for (const Binding& one : ended) {
    const std::string id = id_of(one);
    if (dropped == kMaxDropped) break;
    if (id == kept || (!full && one.record.end_time() > oldest)) continue;
    floor = std::max(floor, one.record.end_time());
    mutation->Delete({Table::kPersonBinding, org, kEndedPeople, id}, one.revision);
    ++dropped;
  }
  if (!full) return absl::OkStatus();
  ASSIGN_OR_RETURN(const auto before, ReadEndedFloor(view, org));
  records::PersonBindingRecord record;
  record.set_end_time(std::max(floor, before.has_value() ? before->record.end_time() : 0));
  mutation->Put({Table::kPersonBinding, org, kEndedFloor, kEndedFloorId}, storage::SerializeSecret(record),
                before.has_value() ? before->version + 1 : 1, before.has_value() ? before->revision : 0);
  return absl::OkStatus();
}

absl::Status StageEnd(const storage::StoreView& view, const std::string& org, const records::UserRecord& user,
                      absl::Time now, int max_ended, storage::Mutation* mutation) {
  const std::string id = PersonBindingId(user.issuer_url(), user.subject());
  RETURN_IF_ERROR(MakePlace(view, org, now, id, max_ended, mutation));
  ASSIGN_OR_RETURN(const auto ended, ReadPersonBinding(view, org, kEndedPeople, user.issuer_url(), user.subject()));
  ASSIGN_OR_RETURN(const auto noted, ReadRecord<records::PersonClaimsRecord>(view, PersonClaimsKey(org, user.id())));
  records::PersonBindingRecord record;
  record.set_issuer_url(user.issuer_url());
  record.set_subject(user.subject());
  record.set_user(user.id());
  // The issuer's clock may be ahead by the leeway that its tokens have.
  record.set_end_time(std::max(absl::ToUnixNanos(now + kJwtLeeway), user.claims_time()));
  if (noted.has_value()) record.set_end_time(std::max(record.end_time(), noted->record.claims_time()));
  if (ended.has_value()) record.set_end_time(std::max(record.end_time(), ended->record.end_time()));
  mutation->Put({Table::kPersonBinding, org, kEndedPeople, id}, storage::SerializeSecret(record),
                ended.has_value() ? ended->version + 1 : 1, ended.has_value() ? ended->revision : 0);
  mutation->Delete({Table::kPersonBinding, org, kBoundPeople, id}, std::nullopt);
  return absl::OkStatus();
}

// What was issued until then counts for the subject no more, in nanoseconds since 1970.
absl::StatusOr<int64_t> EndBefore(const storage::StoreView& view, const std::string& org,
                                  const records::UserRecord& user) {
  ASSIGN_OR_RETURN(auto ended, ReadPersonBinding(view, org, kEndedPeople, user.issuer_url(), user.subject()));
  if (!ended.has_value()) {
    ASSIGN_OR_RETURN(ended, ReadEndedFloor(view, org));
  }
  return ended.has_value() ? ended->record.end_time() : 0;
}

absl::Status StageBegin(const storage::StoreView& view, const std::string& org, const records::UserRecord& user,
                        storage::Mutation* mutation) {
  const auto bound = ReadPersonBinding(view, org, kBoundPeople, user.issuer_url(), user.subject());
  if (!bound.ok()) return FromStore(bound.status(), absl::StrCat("orgs/", org));
  if (bound->has_value()) {
    const std::string other = absl::StrCat("orgs/", org, "/users/", (*bound)->record.user());
    v1::ErrorDetail detail;
    detail.set_reason("ALREADY_EXISTS");
    detail.set_resource(other);
    detail.set_next_step("Unbind or delete that user first.");
    return MakeError(absl::StatusCode::kAlreadyExists,
                     absl::StrCat("the subject of the issuer `", user.issuer(), "` is `", other, "` already"), detail);
  }
  records::PersonBindingRecord record;
  record.set_issuer_url(user.issuer_url());
  record.set_subject(user.subject());
  record.set_user(user.id());
  // Kept here too, since what ended may be dropped for others.
  const auto end = EndBefore(view, org, user);
  if (!end.ok()) return FromStore(end.status(), absl::StrCat("orgs/", org));
  record.set_end_time(*end);
  mutation->Put({Table::kPersonBinding, org, kBoundPeople, PersonBindingId(record.issuer_url(), record.subject())},
                storage::SerializeSecret(record), /*version=*/1, /*expected=*/0);
  return absl::OkStatus();
}

}  // namespace

bool SameSubject(const records::UserRecord& a, const records::UserRecord& b) {
  return a.issuer_url() == b.issuer_url() && a.subject() == b.subject();
}

absl::Status StageBinding(const storage::StoreView& view, const std::string& org, const records::UserRecord& before,
                          const records::UserRecord& after, absl::Time now, storage::Mutation* mutation,
                          int max_ended) {
  if (SameSubject(before, after)) return absl::OkStatus();
  if (!before.issuer_url().empty()) {
    const absl::Status ended = StageEnd(view, org, before, now, max_ended, mutation);
    if (!ended.ok()) return FromStore(ended, absl::StrCat("orgs/", org));
  }
  // The claims were somebody else's.
  mutation->Delete(PersonClaimsKey(org, before.id().empty() ? after.id() : before.id()), std::nullopt);
  return after.issuer_url().empty() ? absl::OkStatus() : StageBegin(view, org, after, mutation);
}

}  // namespace keyferry::server
