#include "server/credentials/record_changes.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/credentials/conversion.h"
#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr absl::Duration kDefaultGrace = absl::Hours(24);
constexpr absl::Duration kMaxGrace = absl::Hours(24 * 30);

}  // namespace

absl::StatusOr<absl::Duration> GraceFrom(const google::protobuf::Duration* grace, absl::string_view field) {
  if (grace == nullptr) return kDefaultGrace;
  const bool in_range = grace->seconds() >= 0 && grace->nanos() >= 0 && grace->nanos() < 1000000000 &&
                        grace->seconds() <= absl::ToInt64Seconds(kMaxGrace);
  const absl::Duration duration = absl::Seconds(grace->seconds()) + absl::Nanoseconds(grace->nanos());
  if (!in_range || duration > kMaxGrace) {
    return InvalidField(field, "not between 0 and 30 days", "Send 0 to 30 days, or leave it out for 24 hours.");
  }
  return duration;
}

absl::StatusOr<std::optional<int64_t>> NextRotateBy(const v1::RotateCredentialRequest& request,
                                                    absl::string_view path) {
  const std::string field = absl::StrCat(path, "rotate_by");
  if (request.remove_rotate_by() && request.has_rotate_by()) {
    return InvalidField(absl::StrCat(path, "remove_rotate_by"), "set together with rotate_by", "Send one of the two.");
  }
  if (request.remove_rotate_by()) return 0;
  if (!request.has_rotate_by()) return std::nullopt;
  return NanosFrom(request.rotate_by(), field);
}

records::CredentialRecord MakeCredentialRecord(const ChildName& name, const NewCredential& what, absl::Time now) {
  records::CredentialRecord record;
  record.set_parent(name.parent.RecordParent());
  record.set_id(name.id);
  record.set_description(what.description);
  record.set_source(v1::CREDENTIAL_SOURCE_MANUAL);
  record.set_version(1);
  record.set_create_time(absl::ToUnixNanos(now));
  record.set_creator(what.creator);
  record.set_update_time(record.create_time());
  record.set_updater(record.creator());
  record.set_rotate_by(what.rotate_by);
  record.set_incarnation(NewIncarnation());
  record.set_change_count(1);
  return record;
}

void AddCredential(const ChildName& name, const records::CredentialRecord& record, absl::string_view value,
                   storage::Mutation* mutation) {
  mutation->Put(CredentialKey(Table::kCredential, name), storage::SerializeSecret(record), /*version=*/1,
                /*expected=*/0);
  PutValue(name, value, /*version=*/1, mutation);
}

absl::Status RequireParent(const storage::StoreView& view, const ParentName& parent, storage::Mutation* mutation) {
  if (parent.kind == ParentName::kOrg) return absl::OkStatus();
  const Table table = parent.kind == ParentName::kTeam ? Table::kTeam : Table::kUser;
  storage::RecordKey key = {table, parent.org, "", parent.id};
  ASSIGN_OR_RETURN(const auto found, view.Get(key));
  if (!found.has_value()) return NotFound(parent.Name());
  mutation->Require(std::move(key), found->revision);
  return absl::OkStatus();
}

absl::Status AddVersion(const storage::StoreView& view, const ChildName& name, absl::string_view value,
                        absl::Duration grace, absl::Time now, records::CredentialRecord* record,
                        storage::Mutation* mutation) {
  if (grace > absl::ZeroDuration()) {
    record->set_previous_version(record->version());
    record->set_previous_destroy_time(absl::ToUnixNanos(now + grace));
    RETURN_IF_ERROR(KeepAsPrevious(view, name, record->previous_destroy_time(), mutation));
  } else {
    record->set_previous_version(0);
    record->set_previous_destroy_time(0);
    mutation->Delete(CredentialKey(Table::kPreviousValue, name), /*expected=*/std::nullopt);
  }
  record->set_version(record->version() + 1);
  PutValue(name, value, record->version(), mutation);
  return absl::OkStatus();
}

void PutValue(const ChildName& name, absl::string_view value, int64_t version, storage::Mutation* mutation) {
  storage::Wiped<records::ValueRecord> record;
  record->set_version(version);
  record->set_value(value.data(), value.size());
  mutation->Put(CredentialKey(Table::kCredentialValue, name), storage::SerializeSecret(*record),
                static_cast<uint64_t>(version), /*expected=*/std::nullopt);
}

absl::Status KeepAsPrevious(const storage::StoreView& view, const ChildName& name, int64_t destroy_time,
                            storage::Mutation* mutation) {
  auto current = ReadRecord<records::ValueRecord>(view, CredentialKey(Table::kCredentialValue, name));
  RETURN_IF_ERROR(current.status());
  if (!current->has_value()) return absl::DataLossError("a credential has no value");
  storage::Wiped<records::ValueRecord> previous(std::move((*current)->record));
  previous->set_destroy_time(destroy_time);
  previous->set_parent(name.parent.RecordParent());
  previous->set_id(name.id);
  mutation->Put(CredentialKey(Table::kPreviousValue, name), storage::SerializeSecret(*previous), previous->version(),
                /*expected=*/std::nullopt);
  return absl::OkStatus();
}

void PutChanged(const ChildName& name, const std::string& updater, absl::Time now, storage::Revision expected,
                records::CredentialRecord* record, storage::Mutation* mutation) {
  record->set_change_count(record->change_count() + 1);
  // Times never go backwards within a record, whatever the clock does.
  record->set_update_time(std::max(record->update_time(), absl::ToUnixNanos(now)));
  record->set_updater(updater);
  mutation->Put(CredentialKey(Table::kCredential, name), storage::SerializeSecret(*record),
                static_cast<uint64_t>(record->change_count()), expected);
}

}  // namespace keyferry::server
