#include "server/directory/person_bindings.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/identity/person_binding.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

// In one commit.
constexpr int kMaxDropped = 1000;

absl::Status TooManyEnded(const std::string& org) {
  v1::ErrorDetail detail;
  detail.set_reason("TOO_MANY");
  detail.set_resource(absl::StrCat("orgs/", org));
  detail.set_next_step("Wait: it is remembered for a week of each.");
  return MakeError(absl::StatusCode::kResourceExhausted,
                   absl::StrCat("orgs/", org, ": more than ", kMaxEnded,
                                " users who called by an issuer were deleted or unbound within a week"),
                   detail);
}

// Makes place for one more that has ended.
absl::Status DropOld(const storage::StoreView& view, const std::string& org, absl::Time now, const std::string& kept,
                     storage::Mutation* mutation) {
  const auto ended = ScanRecords<records::PersonBindingRecord>(view, Table::kPersonBinding, org, kEndedPeople);
  if (!ended.ok()) return FromStore(ended.status(), absl::StrCat("orgs/", org));
  int dropped = 0;
  for (const auto& one : *ended) {
    const std::string id = PersonBindingId(one.record.issuer_url(), one.record.subject());
    if (dropped == kMaxDropped || id == kept || one.record.end_time() > absl::ToUnixNanos(now - kEndedKept)) continue;
    mutation->Delete({Table::kPersonBinding, org, kEndedPeople, id}, one.revision);
    ++dropped;
  }
  return static_cast<int>(ended->size()) - dropped < kMaxEnded ? absl::OkStatus() : TooManyEnded(org);
}

absl::Status StageEnd(const storage::StoreView& view, const std::string& org, const records::UserRecord& user,
                      absl::Time now, storage::Mutation* mutation) {
  const std::string id = PersonBindingId(user.issuer_url(), user.subject());
  RETURN_IF_ERROR(DropOld(view, org, now, id, mutation));
  const auto ended = ReadPersonBinding(view, org, kEndedPeople, user.issuer_url(), user.subject());
  if (!ended.ok()) return FromStore(ended.status(), absl::StrCat("orgs/", org));
  records::PersonBindingRecord record;
  record.set_issuer_url(user.issuer_url());
  record.set_subject(user.subject());
  record.set_user(user.id());
  // The issuer's clock may be ahead.
  record.set_end_time(std::max(absl::ToUnixNanos(now), user.claims_time()));
  uint64_t version = 1;
  if (ended->has_value()) {
    version = (*ended)->version + 1;
    record.set_end_time(std::max(record.end_time(), (*ended)->record.end_time()));
  }
  mutation->Put({Table::kPersonBinding, org, kEndedPeople, id}, storage::SerializeSecret(record), version,
                ended->has_value() ? (*ended)->revision : 0);
  mutation->Delete({Table::kPersonBinding, org, kBoundPeople, id}, std::nullopt);
  return absl::OkStatus();
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
  mutation->Put({Table::kPersonBinding, org, kBoundPeople, PersonBindingId(record.issuer_url(), record.subject())},
                storage::SerializeSecret(record), /*version=*/1, /*expected=*/0);
  return absl::OkStatus();
}

}  // namespace

bool SameSubject(const records::UserRecord& a, const records::UserRecord& b) {
  return a.issuer_url() == b.issuer_url() && a.subject() == b.subject();
}

absl::Status StageBinding(const storage::StoreView& view, const std::string& org, const records::UserRecord& before,
                          const records::UserRecord& after, absl::Time now, storage::Mutation* mutation) {
  if (SameSubject(before, after)) return absl::OkStatus();
  if (!before.issuer_url().empty()) RETURN_IF_ERROR(StageEnd(view, org, before, now, mutation));
  return after.issuer_url().empty() ? absl::OkStatus() : StageBegin(view, org, after, mutation);
}

}  // namespace keyferry::server
