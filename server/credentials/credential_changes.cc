// What changes credentials: create, update, rotate, roll back, delete.
#include <algorithm>
#include <optional>
#include <utility>

#include "absl/hash/hash.h"
#include "server/audit/call_record.h"
#include "server/credentials/conversion.h"
#include "server/credentials/credential_rules.h"
#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::SecretBytes;
using storage::Table;

constexpr int kMaxCredentialsPerParent = 10000;
constexpr size_t kMaxDescriptionBytes = 1024;
constexpr int kMaxAttempts = 200;
constexpr absl::Duration kDefaultGrace = absl::Hours(24);
constexpr absl::Duration kMaxGrace = absl::Hours(24 * 30);

// The payload of a value record, with the one exposure of the request's value.
SecretBytes CurrentValuePayload(absl::string_view value, int64_t version) {
  storage::Wiped<records::ValueRecord> record;
  record->set_version(version);
  record->set_value(value.data(), value.size());
  return storage::SerializeSecret(*record);
}

absl::StatusOr<absl::Duration> GraceOf(const v1::RotateCredentialRequest& request) {
  if (!request.has_grace()) return kDefaultGrace;
  const google::protobuf::Duration& grace = request.grace();
  const bool in_range = grace.seconds() >= 0 && grace.nanos() >= 0 && grace.nanos() < 1000000000 &&
                        grace.seconds() <= absl::ToInt64Seconds(kMaxGrace);
  const absl::Duration duration = absl::Seconds(grace.seconds()) + absl::Nanoseconds(grace.nanos());
  if (!in_range || duration > kMaxGrace) {
    return InvalidField("grace", "not between 0 and 30 days", "Send 0 to 30 days, or leave it out for 24 hours.");
  }
  return duration;
}

struct UpdateFields {
  bool description = false;
  bool rotate_by = false;
};

absl::StatusOr<UpdateFields> FieldsOf(const v1::UpdateCredentialRequest& request) {
  constexpr char kHowTo[] = "Name `description`, `rotate_by` or both.";
  UpdateFields fields;
  for (const std::string& path : request.update_mask().paths()) {
    if (path == "description") {
      fields.description = true;
    } else if (path == "rotate_by") {
      fields.rotate_by = true;
    } else {
      return InvalidField("update_mask", "names a field that cannot be updated", kHowTo);
    }
  }
  if (request.update_mask().paths().empty()) {
    fields.description = !request.credential().description().empty();
    fields.rotate_by = request.credential().has_rotate_by();
  }
  if (!fields.description && !fields.rotate_by) return InvalidField("update_mask", "nothing to update", kHowTo);
  return fields;
}

absl::Status NoPreviousVersion(const std::string& resource) {
  v1::ErrorDetail detail;
  detail.set_reason("NO_PREVIOUS_VERSION");
  detail.set_resource(resource);
  detail.set_next_step("Store the value that you want with RotateCredential.");
  return MakeError(absl::StatusCode::kFailedPrecondition, resource + ": no previous version is kept", detail);
}

// Moves the current value into kPreviousValue, to be destroyed at `destroy_time`.
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

}  // namespace

CredentialRules::CredentialRules(storage::Store* store, Clock clock, const PageTokens* pages, UsageRecorder* usage)
    : store_(store),
      clock_(std::move(clock)),
      pages_(pages),
      usage_(usage),
      counts_(store, Table::kCredential, kMaxCredentialsPerParent, "credentials") {}

absl::Status CredentialRules::RepeatOnConflict(const std::string& resource,
                                               const std::function<absl::Status()>& attempt) {
  // An ABORTED of ours carries a detail and is final; the store's does not and means a lost race.
  const auto lost_race = [](const absl::Status& status) {
    v1::ErrorDetail detail;
    return absl::IsAborted(status) && !GetDetail(status, &detail);
  };
  absl::Status status = attempt();
  if (!lost_race(status)) return FromStore(status, resource);
  absl::MutexLock lock(&repeating_[absl::Hash<std::string>()(resource) % std::size(repeating_)]);
  for (int i = 0; i < kMaxAttempts && lost_race(status); ++i) status = attempt();
  return FromStore(status, resource);
}

absl::StatusOr<v1::Credential> CredentialRules::CreateCredential(const Caller& caller,
                                                                 const v1::CreateCredentialRequest& request) {
  ASSIGN_OR_RETURN(const ParentName parent, ParseCredentialParent(request.parent(), "parent"));
  RETURN_IF_ERROR(CheckVariableName(request.credential_id(), "credential_id"));
  const ChildName name = {parent, request.credential_id()};
  const std::string resource = name.Name("credentials");
  RETURN_IF_ERROR(CheckText(request.credential().description(), kMaxDescriptionBytes, "credential.description"));
  RETURN_IF_ERROR(CheckValue(request.value(), "value"));
  int64_t rotate_by = 0;
  if (request.credential().has_rotate_by()) {
    ASSIGN_OR_RETURN(rotate_by, NanosFrom(request.credential().rotate_by(), "credential.rotate_by"));
  }
  RETURN_IF_ERROR(Authorize(caller, Action::kCreate, CredentialResource(parent, resource)));
  if (IsScopeSuspended(caller.tier, parent)) return Suspended(resource);

  const absl::Time now = clock_();
  CredentialRecord record;
  record.set_parent(parent.RecordParent());
  record.set_id(name.id);
  record.set_description(request.credential().description());
  record.set_source(v1::CREDENTIAL_SOURCE_MANUAL);
  record.set_version(1);
  record.set_create_time(absl::ToUnixNanos(now));
  record.set_creator(caller.Name());
  record.set_update_time(record.create_time());
  record.set_updater(record.creator());
  record.set_rotate_by(rotate_by);
  record.set_incarnation(NewIncarnation());
  record.set_change_count(1);
  const SecretBytes payload = CurrentValuePayload(request.value(), /*version=*/1);

  if (absl::Status taken = counts_.Take(parent.org, record.parent(), parent.Name()); !taken.ok()) {
    return FromStore(taken, parent.Name());
  }
  const absl::Status created = RepeatOnConflict(resource, [&] { return CreateOnce(caller, name, record, payload); });
  if (!created.ok()) {
    counts_.GiveBack(parent.org, record.parent());
    return created;
  }
  return ToCredential(parent, record, LastUse(), caller.tier, now);
}

absl::Status CredentialRules::CreateOnce(const Caller& caller, const ChildName& name, const CredentialRecord& record,
                                         const SecretBytes& payload) {
  const std::unique_ptr<storage::StoreView> view = store_->View();
  const storage::RecordKey key = CredentialKey(Table::kCredential, name);
  ASSIGN_OR_RETURN(const bool exists, view->Contains(key));
  if (exists) return AlreadyExists(name.Name("credentials"));
  storage::Mutation mutation;
  if (name.parent.kind != ParentName::kOrg) {
    // A team or user that is being deleted must not leave a credential behind.
    const Table table = name.parent.kind == ParentName::kTeam ? Table::kTeam : Table::kUser;
    storage::RecordKey parent_key = {table, name.parent.org, "", name.parent.id};
    ASSIGN_OR_RETURN(const auto parent, view->Get(parent_key));
    if (!parent.has_value()) return NotFound(name.parent.Name());
    mutation.Require(std::move(parent_key), parent->revision);
  }
  mutation.Put(key, storage::SerializeSecret(record), /*version=*/1, /*expected=*/0);
  mutation.Put(CredentialKey(Table::kCredentialValue, name), payload.Clone(), /*version=*/1,
               /*expected=*/std::nullopt);
  NoteResource(caller, name.Name("credentials"));
  NoteCredential(caller, name.Name("credentials"), record.version());
  return CommitAudited(store_, caller, std::move(mutation)).status();
}

absl::StatusOr<v1::Credential> CredentialRules::UpdateCredential(const Caller& caller,
                                                                 const v1::UpdateCredentialRequest& request) {
  const v1::Credential& wanted = request.credential();
  ASSIGN_OR_RETURN(const ChildName name, ParseCredentialName(wanted.name(), "credential.name"));
  ASSIGN_OR_RETURN(const UpdateFields fields, FieldsOf(request));
  if (fields.description) {
    RETURN_IF_ERROR(CheckText(wanted.description(), kMaxDescriptionBytes, "credential.description"));
  }
  int64_t rotate_by = 0;
  if (fields.rotate_by && wanted.has_rotate_by()) {
    ASSIGN_OR_RETURN(rotate_by, NanosFrom(wanted.rotate_by(), "credential.rotate_by"));
  }
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, CredentialResource(name.parent, wanted.name())));
  return Change(caller, name, wanted.etag(), [&](Found* found, storage::Mutation*) {
    if (fields.description) found->record.set_description(wanted.description());
    if (fields.rotate_by) found->record.set_rotate_by(rotate_by);
    return absl::OkStatus();
  });
}

absl::StatusOr<v1::Credential> CredentialRules::RotateCredential(const Caller& caller,
                                                                 const v1::RotateCredentialRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseCredentialName(request.name(), "name"));
  RETURN_IF_ERROR(CheckValue(request.value(), "value"));
  ASSIGN_OR_RETURN(const absl::Duration grace, GraceOf(request));
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, CredentialResource(name.parent, request.name())));
  return Change(caller, name, request.etag(), [&](Found* found, storage::Mutation* mutation) -> absl::Status {
    CredentialRecord& record = found->record;
    if (grace > absl::ZeroDuration()) {
      record.set_previous_version(record.version());
      record.set_previous_destroy_time(absl::ToUnixNanos(clock_() + grace));
      RETURN_IF_ERROR(KeepAsPrevious(*found->view, name, record.previous_destroy_time(), mutation));
    } else {
      record.set_previous_version(0);
      record.set_previous_destroy_time(0);
      mutation->Delete(CredentialKey(Table::kPreviousValue, name), /*expected=*/std::nullopt);
    }
    record.set_version(record.version() + 1);
    mutation->Put(CredentialKey(Table::kCredentialValue, name), CurrentValuePayload(request.value(), record.version()),
                  record.version(), /*expected=*/std::nullopt);
    return absl::OkStatus();
  });
}

absl::StatusOr<v1::Credential> CredentialRules::RollbackCredential(const Caller& caller,
                                                                   const v1::RollbackCredentialRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseCredentialName(request.name(), "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kUpdate, CredentialResource(name.parent, request.name())));
  return Change(caller, name, request.etag(), [&](Found* found, storage::Mutation* mutation) -> absl::Status {
    CredentialRecord& record = found->record;
    if (!HasPrevious(record, clock_())) return NoPreviousVersion(request.name());
    auto kept = ReadRecord<records::ValueRecord>(*found->view, CredentialKey(Table::kPreviousValue, name));
    RETURN_IF_ERROR(kept.status());
    if (!kept->has_value()) return NoPreviousVersion(request.name());
    const storage::Wiped<records::ValueRecord> previous(std::move((*kept)->record));
    RETURN_IF_ERROR(KeepAsPrevious(*found->view, name, record.previous_destroy_time(), mutation));
    record.set_previous_version(record.version());
    record.set_version(record.version() + 1);
    mutation->Put(CredentialKey(Table::kCredentialValue, name),
                  CurrentValuePayload(previous->value(), record.version()), record.version(),
                  /*expected=*/std::nullopt);
    return absl::OkStatus();
  });
}

absl::StatusOr<google::protobuf::Empty> CredentialRules::DeleteCredential(const Caller& caller,
                                                                          const v1::DeleteCredentialRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseCredentialName(request.name(), "name"));
  RETURN_IF_ERROR(Authorize(caller, Action::kDelete, CredentialResource(name.parent, request.name())));
  RETURN_IF_ERROR(RepeatOnConflict(request.name(), [&] { return DeleteOnce(caller, name, request.etag()); }));
  counts_.GiveBack(name.parent.org, name.parent.RecordParent());
  return google::protobuf::Empty();
}

absl::Status CredentialRules::DeleteOnce(const Caller& caller, const ChildName& name, const std::string& etag) {
  ASSIGN_OR_RETURN(const Found found, Find(name));
  if (!etag.empty() && etag != CredentialEtag(found.record)) return StaleEtag(name.Name("credentials"));
  storage::Mutation mutation;
  mutation.Delete(CredentialKey(Table::kCredential, name), found.revision);
  for (const Table table : {Table::kCredentialValue, Table::kPreviousValue, Table::kCredentialUsage}) {
    mutation.Delete(CredentialKey(table, name), /*expected=*/std::nullopt);
  }
  NoteCredential(caller, name.Name("credentials"), found.record.version());
  return CommitAudited(store_, caller, std::move(mutation)).status();
}

absl::StatusOr<CredentialRules::Found> CredentialRules::Find(const ChildName& name) const {
  Found found;
  found.view = store_->View();
  ASSIGN_OR_RETURN(auto stored, ReadRecord<CredentialRecord>(*found.view, CredentialKey(Table::kCredential, name)));
  if (!stored.has_value()) return NotFound(name.Name("credentials"));
  found.record = std::move(stored->record);
  found.revision = stored->revision;
  return found;
}

absl::StatusOr<v1::Credential> CredentialRules::Change(const Caller& caller, const ChildName& name,
                                                       const std::string& etag, const Edit& edit) {
  const std::string resource = name.Name("credentials");
  v1::Credential changed;
  RETURN_IF_ERROR(RepeatOnConflict(resource, [&]() -> absl::Status {
    ASSIGN_OR_RETURN(changed, ChangeOnce(caller, name, etag, edit));
    return absl::OkStatus();
  }));
  return changed;
}

absl::StatusOr<v1::Credential> CredentialRules::ChangeOnce(const Caller& caller, const ChildName& name,
                                                           const std::string& etag, const Edit& edit) {
  ASSIGN_OR_RETURN(Found found, Find(name));
  const std::string resource = name.Name("credentials");
  if (!etag.empty() && etag != CredentialEtag(found.record)) return StaleEtag(resource);
  if (IsScopeSuspended(caller.tier, name.parent)) return Suspended(resource);
  storage::Mutation mutation;
  RETURN_IF_ERROR(edit(&found, &mutation));
  CredentialRecord& record = found.record;
  record.set_change_count(record.change_count() + 1);
  // Times never go backwards within a record, whatever the clock does.
  record.set_update_time(std::max(record.update_time(), absl::ToUnixNanos(clock_())));
  record.set_updater(caller.Name());
  mutation.Put(CredentialKey(Table::kCredential, name), storage::SerializeSecret(record),
               static_cast<uint64_t>(record.change_count()), found.revision);
  NoteCredential(caller, name.Name("credentials"), record.version());
  RETURN_IF_ERROR(CommitAudited(store_, caller, std::move(mutation)).status());
  return Show(caller, name.parent, record, *found.view);
}

}  // namespace keyferry::server
