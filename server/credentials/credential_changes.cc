// What changes credentials: create, update, rotate, roll back, delete.
#include <iterator>
#include <optional>
#include <utility>

#include "absl/hash/hash.h"
#include "server/allowed_names.h"
#include "server/audit/call_record.h"
#include "server/credentials/conversion.h"
#include "server/credentials/credential_rules.h"
#include "server/credentials/record_changes.h"
#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/records.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr int kMaxCredentialsPerParent = 10000;
constexpr int kMaxAttempts = 200;

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
  RETURN_IF_ERROR(CheckVariableForm(request.credential_id(), "credential_id"));
  const ChildName name = {parent, request.credential_id()};
  const std::string resource = name.Name("credentials");
  RETURN_IF_ERROR(CheckText(request.credential().description(), kMaxDescriptionBytes, "credential.description"));
  RETURN_IF_ERROR(CheckValue(request.value(), "value"));
  int64_t rotate_by = 0;
  if (request.credential().has_rotate_by()) {
    ASSIGN_OR_RETURN(rotate_by, NanosFrom(request.credential().rotate_by(), "credential.rotate_by"));
  }
  RETURN_IF_ERROR(AuthorizeHeld(store_, caller, Action::kCreate, parent, resource));
  if (IsScopeSuspended(caller.tier, parent)) return Suspended(resource);

  const absl::Time now = clock_();
  const CredentialRecord record =
      MakeCredentialRecord(name, {request.credential().description(), rotate_by, caller.Name()}, now);
  if (absl::Status taken = counts_.Take(parent.org, record.parent(), parent.Name()); !taken.ok()) {
    return FromStore(taken, parent.Name());
  }
  const absl::Status created =
      RepeatOnConflict(resource, [&] { return CreateOnce(caller, name, record, request.value()); });
  if (!created.ok()) {
    counts_.GiveBack(parent.org, record.parent());
    return created;
  }
  return ToCredential(parent, record, LastUse(), caller.tier, now);
}

absl::Status CredentialRules::CreateOnce(const Caller& caller, const ChildName& name, const CredentialRecord& record,
                                         absl::string_view value) {
  const std::unique_ptr<storage::StoreView> view = store_->View();
  RETURN_IF_ERROR(AllowedNames(*view, name.parent.org).Check(name.id, "credential_id"));
  ASSIGN_OR_RETURN(const bool exists, view->Contains(CredentialKey(Table::kCredential, name)));
  if (exists) return AlreadyExists(name.Name("credentials"));
  storage::Mutation mutation;
  RETURN_IF_ERROR(RequireParent(*view, name.parent, &mutation));
  AddCredential(name, record, value, &mutation);
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
  RETURN_IF_ERROR(AuthorizeHeld(store_, caller, Action::kUpdate, name.parent, wanted.name()));
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
  ASSIGN_OR_RETURN(const absl::Duration grace, GraceFrom(request.has_grace() ? &request.grace() : nullptr, "grace"));
  ASSIGN_OR_RETURN(const std::optional<int64_t> rotate_by, NextRotateBy(request, /*field=*/""));
  RETURN_IF_ERROR(AuthorizeHeld(store_, caller, Action::kUpdate, name.parent, request.name()));
  return Change(caller, name, request.etag(), [&](Found* found, storage::Mutation* mutation) -> absl::Status {
    RETURN_IF_ERROR(AllowedNames(*found->view, name.parent.org).Check(name.id, "name"));
    if (rotate_by.has_value()) found->record.set_rotate_by(*rotate_by);
    return AddVersion(*found->view, name, request.value(), grace, clock_(), &found->record, mutation);
  });
}

absl::StatusOr<v1::Credential> CredentialRules::RollbackCredential(const Caller& caller,
                                                                   const v1::RollbackCredentialRequest& request) {
  ASSIGN_OR_RETURN(const ChildName name, ParseCredentialName(request.name(), "name"));
  RETURN_IF_ERROR(AuthorizeHeld(store_, caller, Action::kUpdate, name.parent, request.name()));
  return Change(caller, name, request.etag(), [&](Found* found, storage::Mutation* mutation) -> absl::Status {
    CredentialRecord& record = found->record;
    RETURN_IF_ERROR(AllowedNames(*found->view, name.parent.org).Check(name.id, "name"));
    if (!HasPrevious(record, clock_())) return NoPreviousVersion(request.name());
    auto kept = ReadRecord<records::ValueRecord>(*found->view, CredentialKey(Table::kPreviousValue, name));
    RETURN_IF_ERROR(kept.status());
    if (!kept->has_value()) return NoPreviousVersion(request.name());
    const storage::Wiped<records::ValueRecord> previous(std::move((*kept)->record));
    RETURN_IF_ERROR(KeepAsPrevious(*found->view, name, record.previous_destroy_time(), mutation));
    record.set_previous_version(record.version());
    record.set_version(record.version() + 1);
    PutValue(name, previous->value(), record.version(), mutation);
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
  ASSIGN_OR_RETURN(const Found found, Find(store_->View(), name));
  if (!etag.empty() && etag != CredentialEtag(found.record)) return StaleEtag(name.Name("credentials"));
  storage::Mutation mutation;
  mutation.Delete(CredentialKey(Table::kCredential, name), found.revision);
  for (const Table table : {Table::kCredentialValue, Table::kPreviousValue, Table::kCredentialUsage}) {
    mutation.Delete(CredentialKey(table, name), /*expected=*/std::nullopt);
  }
  NoteCredential(caller, name.Name("credentials"), found.record.version());
  return CommitAudited(store_, caller, std::move(mutation)).status();
}

absl::StatusOr<CredentialRules::Found> CredentialRules::Find(std::shared_ptr<storage::StoreView> view,
                                                             const ChildName& name) {
  Found found;
  ASSIGN_OR_RETURN(auto stored, ReadRecord<CredentialRecord>(*view, CredentialKey(Table::kCredential, name)));
  if (!stored.has_value()) return NotFound(name.Name("credentials"));
  found.view = std::move(view);
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
  ASSIGN_OR_RETURN(Found found, Find(store_->View(), name));
  storage::Mutation mutation;
  RETURN_IF_ERROR(AddChange(caller, name, etag, edit, &found, &mutation));
  RETURN_IF_ERROR(CommitAudited(store_, caller, std::move(mutation)).status());
  return Show(caller, name.parent, found.record, *found.view);
}

absl::Status CredentialRules::AddChange(const Caller& caller, const ChildName& name, const std::string& etag,
                                        const Edit& edit, Found* found, storage::Mutation* mutation) const {
  const std::string resource = name.Name("credentials");
  if (!etag.empty() && etag != CredentialEtag(found->record)) return StaleEtag(resource);
  if (IsScopeSuspended(caller.tier, name.parent)) return Suspended(resource);
  RETURN_IF_ERROR(edit(found, mutation));
  PutChanged(name, caller.Name(), clock_(), found->revision, &found->record, mutation);
  NoteCredential(caller, resource, found->record.version());
  return absl::OkStatus();
}

}  // namespace keyferry::server
