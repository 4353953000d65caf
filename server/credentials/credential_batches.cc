// What changes many credentials in one commit: rotate many, import.
#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
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

using storage::Table;

constexpr int kMaxRotations = 100;
constexpr int kMaxEntries = 1000;
constexpr int64_t kMaxValueBytes = 64 << 10;
// Of the values that all running calls may hold at once: two of the largest imports, or thousands of usual ones.
constexpr int64_t kMaxRunningBytes = int64_t{160} << 20;

// A place among the calls that hold many values at once, so that memory stays bounded. `kept` values are read to be
// kept for rollback; they count as the largest that they can be, so that the answer tells nothing of what is stored.
class BatchPlace {
 public:
  BatchPlace(std::atomic<int64_t>* running, size_t request_bytes, int kept)
      : running_(running),
        bytes_(static_cast<int64_t>(request_bytes) + kept * kMaxValueBytes),
        fits_(running->fetch_add(bytes_) + bytes_ <= kMaxRunningBytes) {}
  ~BatchPlace() { running_->fetch_sub(bytes_); }
  BatchPlace(const BatchPlace&) = delete;
  BatchPlace& operator=(const BatchPlace&) = delete;

  absl::Status Check() const {
    if (fits_) return absl::OkStatus();
    v1::ErrorDetail detail;
    detail.set_reason("SERVER_BUSY");
    detail.set_next_step("Repeat the call after the delay.");
    detail.set_retry_delay_ms(1000);
    return MakeError(absl::StatusCode::kResourceExhausted,
                     "too many imports and batches are under way; nothing was changed", detail);
  }

 private:
  std::atomic<int64_t>* const running_;
  const int64_t bytes_;
  const bool fits_;
};

}  // namespace

struct CredentialRules::Rotation {
  ChildName name;
  // Of the message, which outlives this.
  const v1::RotateCredentialRequest* request;
  absl::Duration grace;
  // NextRotateBy.
  std::optional<int64_t> rotate_by;
  std::string field;
};

absl::StatusOr<std::vector<CredentialRules::Rotation>> CredentialRules::CheckRotations(
    const Caller& caller, const v1::BatchRotateCredentialsRequest& request) const {
  ASSIGN_OR_RETURN(const ParentName org, ParseParent(request.parent(), "parent"));
  if (org.kind != ParentName::kOrg) return InvalidField("parent", "not an organization", "Use `orgs/{org}`.");
  if (request.requests().empty()) return InvalidField("requests", "empty", "Send 1 to 100 requests.");
  if (request.requests_size() > kMaxRotations) {
    return InvalidField("requests", "more than 100", "Send at most 100 requests in one call.");
  }
  std::vector<Rotation> rotations;
  absl::flat_hash_set<absl::string_view> seen;
  for (int i = 0; i < request.requests_size(); ++i) {
    const v1::RotateCredentialRequest& one = request.requests(i);
    const std::string field = absl::StrCat("requests[", i, "].");
    ASSIGN_OR_RETURN(const ChildName name, ParseCredentialName(one.name(), field + "name"));
    if (!seen.insert(one.name()).second) {
      return InvalidField(field + "name", "named twice", "Rotate each credential once.");
    }
    RETURN_IF_ERROR(CheckValue(one.value(), field + "value"));
    ASSIGN_OR_RETURN(const absl::Duration grace, GraceFrom(one.has_grace() ? &one.grace() : nullptr, field + "grace"));
    ASSIGN_OR_RETURN(const std::optional<int64_t> rotate_by, NextRotateBy(one, field));
    rotations.push_back({name, &one, grace, rotate_by, field + "name"});
  }
  RETURN_IF_ERROR(Authorize(caller, Action::kSee, {ResourceKind::kOrg, org.org, "", "", org.Name()}));
  for (const Rotation& one : rotations) {
    if (one.name.parent.org != org.org) {
      return InvalidField(one.field, "not of the organization that `parent` names",
                          "Rotate the credentials of one organization in one call.");
    }
  }
  for (const Rotation& one : rotations) {
    RETURN_IF_ERROR(AuthorizeHeld(store_, caller, Action::kUpdate, one.name.parent, one.request->name()));
  }
  return rotations;
}

absl::StatusOr<v1::BatchRotateCredentialsResponse> CredentialRules::BatchRotateCredentials(
    const Caller& caller, const v1::BatchRotateCredentialsRequest& request) {
  ASSIGN_OR_RETURN(const std::vector<Rotation> rotations, CheckRotations(caller, request));
  const BatchPlace place(&batch_bytes_, request.ByteSizeLong(), request.requests_size());
  RETURN_IF_ERROR(place.Check());
  v1::BatchRotateCredentialsResponse response;
  RETURN_IF_ERROR(RepeatOnConflict(request.parent(), [&]() -> absl::Status {
    ASSIGN_OR_RETURN(response, RotateOnce(caller, rotations));
    return absl::OkStatus();
  }));
  return response;
}

absl::StatusOr<v1::BatchRotateCredentialsResponse> CredentialRules::RotateOnce(const Caller& caller,
                                                                               const std::vector<Rotation>& rotations) {
  const std::shared_ptr<storage::StoreView> view = store_->View();
  const absl::Time now = clock_();
  storage::Mutation mutation;
  v1::BatchRotateCredentialsResponse response;
  for (const Rotation& one : rotations) {
    const auto edit = [&](Found* found, storage::Mutation* changes) -> absl::Status {
      RETURN_IF_ERROR(AllowedNames(*view, one.name.parent.org).Check(one.name.id, one.field));
      if (one.rotate_by.has_value()) found->record.set_rotate_by(*one.rotate_by);
      return AddVersion(*view, one.name, one.request->value(), one.grace, now, &found->record, changes);
    };
    ASSIGN_OR_RETURN(Found found, Find(view, one.name));
    RETURN_IF_ERROR(AddChange(caller, one.name, one.request->etag(), edit, &found, &mutation));
    ASSIGN_OR_RETURN(*response.add_credentials(), Show(caller, one.name.parent, found.record, *view));
  }
  RETURN_IF_ERROR(CommitAudited(store_, caller, std::move(mutation)).status());
  return response;
}

struct CredentialRules::Import {
  ParentName parent;
  // The message, which outlives this.
  const v1::ImportCredentialsRequest* request;
  absl::Duration grace;
  // Of each entry in nanoseconds, 0 for none.
  std::vector<int64_t> rotate_by;

  ChildName NameOf(int index) const { return {parent, request->entries(index).credential_id()}; }
};

namespace {

absl::Status CheckEntries(const v1::ImportCredentialsRequest& request, std::vector<int64_t>* rotate_by) {
  if (request.entries().empty()) return InvalidField("entries", "empty", "Send 1 to 1000 entries.");
  if (request.entries_size() > kMaxEntries) {
    return InvalidField("entries", "more than 1000", "Send at most 1000 entries in one call.");
  }
  absl::flat_hash_set<absl::string_view> seen;
  for (int i = 0; i < request.entries_size(); ++i) {
    const v1::ImportEntry& entry = request.entries(i);
    const std::string field = absl::StrCat("entries[", i, "].");
    RETURN_IF_ERROR(CheckVariableForm(entry.credential_id(), field + "credential_id"));
    if (!seen.insert(entry.credential_id()).second) {
      return InvalidField(field + "credential_id", "named twice", "Name each credential once.");
    }
    RETURN_IF_ERROR(CheckText(entry.description(), kMaxDescriptionBytes, field + "description"));
    RETURN_IF_ERROR(CheckValue(entry.value(), field + "value"));
    rotate_by->push_back(0);
    if (entry.has_rotate_by()) {
      ASSIGN_OR_RETURN(rotate_by->back(), NanosFrom(entry.rotate_by(), field + "rotate_by"));
    }
  }
  if (!v1::ImportConflict_IsValid(request.conflict())) {
    return InvalidField("conflict", "not a way to treat what is stored",
                        "Use IMPORT_CONFLICT_FAIL, IMPORT_CONFLICT_ROTATE or IMPORT_CONFLICT_SKIP.");
  }
  return absl::OkStatus();
}

absl::Status AlreadyStored(const std::string& resource) {
  v1::ErrorDetail detail;
  detail.set_reason("ALREADY_EXISTS");
  detail.set_resource(resource);
  detail.set_next_step(
      "Import with `--on-conflict rotate` (IMPORT_CONFLICT_ROTATE) to store a new version, or with `skip` to keep what "
      "is stored.");
  return MakeError(absl::StatusCode::kAlreadyExists, resource + ": already exists; nothing was imported", detail);
}

}  // namespace

absl::StatusOr<v1::ImportCredentialsResponse> CredentialRules::ImportCredentials(
    const Caller& caller, const v1::ImportCredentialsRequest& request) {
  Import import;
  import.request = &request;
  ASSIGN_OR_RETURN(import.parent, ParseCredentialParent(request.parent(), "parent"));
  RETURN_IF_ERROR(CheckEntries(request, &import.rotate_by));
  ASSIGN_OR_RETURN(import.grace, GraceFrom(request.has_grace() ? &request.grace() : nullptr, "grace"));
  RETURN_IF_ERROR(AuthorizeHeld(store_, caller, Action::kCreate, import.parent, request.parent()));
  if (request.conflict() == v1::IMPORT_CONFLICT_ROTATE) {
    RETURN_IF_ERROR(AuthorizeHeld(store_, caller, Action::kUpdate, import.parent, request.parent()));
  }
  if (IsScopeSuspended(caller.tier, import.parent)) return Suspended(request.parent());
  const bool keeps = request.conflict() == v1::IMPORT_CONFLICT_ROTATE && import.grace > absl::ZeroDuration();
  const BatchPlace place(&batch_bytes_, request.ByteSizeLong(), keeps ? request.entries_size() : 0);
  RETURN_IF_ERROR(place.Check());
  v1::ImportCredentialsResponse response;
  RETURN_IF_ERROR(RepeatOnConflict(request.parent(), [&]() -> absl::Status {
    ASSIGN_OR_RETURN(response, ImportOnce(caller, import));
    return absl::OkStatus();
  }));
  return response;
}

absl::StatusOr<v1::ImportCredentialsResponse> CredentialRules::ImportOnce(const Caller& caller, const Import& import) {
  const std::shared_ptr<storage::StoreView> view = store_->View();
  AllowedNames allowed(*view, import.parent.org);
  storage::Mutation mutation;
  RETURN_IF_ERROR(RequireParent(*view, import.parent, &mutation));
  v1::ImportCredentialsResponse response;
  int creates = 0;
  for (int i = 0; i < import.request->entries_size(); ++i) {
    RETURN_IF_ERROR(
        allowed.Check(import.request->entries(i).credential_id(), absl::StrCat("entries[", i, "].credential_id")));
    v1::ImportResult* const result = response.add_results();
    RETURN_IF_ERROR(AddImported(caller, import, i, view, result, &mutation));
    if (result->action() == v1::IMPORT_ACTION_CREATE) ++creates;
  }
  RETURN_IF_ERROR(CommitCreates(caller, import.parent, creates, import.request->validate_only(), std::move(mutation)));
  return response;
}

absl::Status CredentialRules::AddImported(const Caller& caller, const Import& import, int index,
                                          const std::shared_ptr<storage::StoreView>& view, v1::ImportResult* result,
                                          storage::Mutation* mutation) const {
  const v1::ImportEntry& entry = import.request->entries(index);
  const ChildName name = import.NameOf(index);
  const absl::Time now = clock_();
  result->set_name(name.Name("credentials"));
  absl::StatusOr<Found> found = Find(view, name);
  if (absl::IsNotFound(found.status())) {
    const NewCredential what = {entry.description(), import.rotate_by[index], caller.Name()};
    AddCredential(name, MakeCredentialRecord(name, what, now), entry.value(), mutation);
    NoteCredential(caller, result->name(), /*version=*/1);
    result->set_action(v1::IMPORT_ACTION_CREATE);
    result->set_version(1);
    return absl::OkStatus();
  }
  RETURN_IF_ERROR(found.status());
  if (import.request->conflict() == v1::IMPORT_CONFLICT_SKIP) {
    // What the answer says of it holds at the commit too.
    mutation->Require(CredentialKey(Table::kCredential, name), found->revision);
    result->set_action(v1::IMPORT_ACTION_SKIP);
    result->set_version(found->record.version());
    return absl::OkStatus();
  }
  if (import.request->conflict() != v1::IMPORT_CONFLICT_ROTATE) return AlreadyStored(result->name());
  const auto edit = [&](Found* one, storage::Mutation* changes) -> absl::Status {
    if (!entry.description().empty()) one->record.set_description(entry.description());
    if (entry.has_rotate_by()) one->record.set_rotate_by(import.rotate_by[index]);
    return AddVersion(*view, name, entry.value(), import.grace, now, &one->record, changes);
  };
  RETURN_IF_ERROR(AddChange(caller, name, /*etag=*/"", edit, &*found, mutation));
  result->set_action(v1::IMPORT_ACTION_ROTATE);
  result->set_version(found->record.version());
  return absl::OkStatus();
}

absl::Status CredentialRules::CommitCreates(const Caller& caller, const ParentName& parent, int creates,
                                            bool validate_only, storage::Mutation mutation) {
  const std::string record_parent = parent.RecordParent();
  if (creates > 0) RETURN_IF_ERROR(counts_.Take(parent.org, record_parent, parent.Name(), creates));
  const bool writes = std::any_of(mutation.changes().begin(), mutation.changes().end(), [](const auto& change) {
    return change.kind != storage::Mutation::Change::kRequire;
  });
  const absl::Status committed =
      validate_only || !writes ? absl::OkStatus() : CommitAudited(store_, caller, std::move(mutation)).status();
  if (creates > 0 && (validate_only || !committed.ok())) counts_.GiveBack(parent.org, record_parent, creates);
  return committed;
}

}  // namespace keyferry::server
