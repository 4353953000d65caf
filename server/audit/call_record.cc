#include "server/audit/call_record.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/errors.h"
#include "server/usage/used_name.h"

namespace keyferry::server {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr size_t kMaxResourceBytes = 512;

std::string TextField(const Message& message, const char* name) {
  const FieldDescriptor* const field = message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || field->is_repeated() || field->type() != FieldDescriptor::TYPE_STRING) return "";
  std::string scratch;
  const std::string& text = message.GetReflection()->GetStringReference(message, field, &scratch);
  return IsResourceName(text) ? text : "";
}

void FillEntry(const ResolutionEvent& event, v1::AuditEntry* entry) {
  entry->set_resource(event.mcp_server);
  entry->set_user(event.user);
  if (!event.team.empty()) entry->set_team(absl::StrCat("orgs/", event.org, "/teams/", event.team));
  entry->set_session(event.session);
  if (!event.process.process_id().empty()) *entry->mutable_process() = event.process;
  entry->set_revision(event.revision);
  entry->clear_credentials();
  for (const UsedCredential& used : event.credentials) {
    v1::AuditedCredential* const credential = entry->add_credentials();
    credential->set_credential(UsedName(event.org, used));
    credential->set_version(used.version);
  }
}

}  // namespace

bool IsResourceName(absl::string_view text) {
  if (text.size() > kMaxResourceBytes || !absl::StartsWith(text, "orgs/")) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '/' || c == '.' || c == '_' || c == '-';
  });
}

std::string ResourceOf(const Message& request) {
  for (const char* name : {"name", "mcp_server", "parent"}) {
    if (std::string text = TextField(request, name); !text.empty()) return text;
  }
  const Descriptor* const descriptor = request.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* const field = descriptor->field(i);
    if (field->is_repeated() || field->type() != FieldDescriptor::TYPE_MESSAGE) continue;
    const Message& nested = request.GetReflection()->GetMessage(request, field);
    for (const char* name : {"name", "mcp_server"}) {
      if (std::string text = TextField(nested, name); !text.empty()) return text;
    }
  }
  return "";
}

void SetResolution(ResolutionEvent event, CallRecord* record) {
  FillEntry(event, &record->entry);
  record->resolution = std::move(event);
}

void SetConfirmation(const ResolutionEvent& event, CallRecord* record) {
  FillEntry(event, &record->entry);
  record->confirms = true;
}

v1::CallerIdentity ToCallerIdentity(const ExternalIdentity& identity) {
  v1::CallerIdentity shown;
  shown.set_issuer(identity.issuer);
  shown.set_subject(identity.subject);
  shown.set_pod(identity.pod);
  shown.set_pod_uid(identity.pod_uid);
  return shown;
}

void NoteCaller(const Caller& caller, CallRecord* record) {
  record->org = caller.org;
  record->entry.set_principal(caller.Name());
  if (caller.external != nullptr) *record->entry.mutable_identity() = ToCallerIdentity(*caller.external);
}

void SetOutcome(const absl::Status& status, v1::AuditEntry* entry) {
  entry->set_code(static_cast<int>(status.code()));
  v1::ErrorDetail detail;
  if (!status.ok() && GetDetail(status, &detail)) entry->set_reason(detail.reason());
}

absl::StatusOr<storage::Revision> CommitAudited(storage::Store* store, const Caller& caller, storage::Mutation mutation,
                                                storage::Durability durability) {
  CallRecord* const record = caller.record;
  if (record == nullptr) return store->Commit(mutation, durability);
  SetOutcome(absl::OkStatus(), &record->entry);
  mutation.Append(record->org, record->entry.SerializeAsString());
  absl::StatusOr<storage::Revision> revision = store->Commit(mutation, durability);
  if (revision.ok()) record->committed = true;
  return revision;
}

void NoteCredential(const Caller& caller, const std::string& credential, int64_t version) {
  if (caller.record == nullptr) return;
  // A change that lost a race is made again.
  for (const v1::AuditedCredential& noted : caller.record->entry.credentials()) {
    if (noted.credential() == credential && noted.version() == version) return;
  }
  v1::AuditedCredential* const noted = caller.record->entry.add_credentials();
  noted->set_credential(credential);
  noted->set_version(version);
}

void NoteProcess(const Caller& caller, const v1::ProcessInfo& process) {
  if (caller.record != nullptr) *caller.record->entry.mutable_process() = process;
}

void NoteResource(const Caller& caller, const std::string& resource) {
  if (caller.record != nullptr) caller.record->entry.set_resource(resource);
}

}  // namespace keyferry::server
