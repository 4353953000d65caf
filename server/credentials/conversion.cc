#include "server/credentials/conversion.h"

#include <utility>

#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

absl::Status CheckParentKind(const ParentName& parent, absl::string_view field) {
  if (parent.Scope() != v1::CREDENTIAL_SCOPE_UNSPECIFIED) return absl::OkStatus();
  return InvalidField(field, "cannot hold credentials",
                      "Use `orgs/{org}`, `orgs/{org}/teams/{team}` or `orgs/{org}/users/{user}`.");
}

}  // namespace

absl::StatusOr<ChildName> ParseCredentialName(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(ChildName child, ParseChild(name, "credentials", field));
  RETURN_IF_ERROR(CheckParentKind(child.parent, field));
  RETURN_IF_ERROR(CheckVariableForm(child.id, field));
  return child;
}

absl::StatusOr<ParentName> ParseCredentialParent(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(ParentName parent, ParseParent(name, field));
  RETURN_IF_ERROR(CheckParentKind(parent, field));
  return parent;
}

Resource CredentialResource(const ParentName& parent, std::string name) {
  Resource resource;
  resource.org = parent.org;
  resource.name = std::move(name);
  switch (parent.kind) {
    case ParentName::kTeam:
      resource.kind = ResourceKind::kTeamCredential;
      resource.team = parent.id;
      break;
    case ParentName::kUser:
      resource.kind = ResourceKind::kUserCredential;
      resource.user = parent.id;
      break;
    default:
      resource.kind = ResourceKind::kOrgCredential;
  }
  return resource;
}

absl::Status AuthorizeHeld(storage::Store* store, const Caller& caller, Action action, const ParentName& parent,
                           std::string name) {
  absl::Status decision = Authorize(caller, action, CredentialResource(parent, std::move(name)));
  if (parent.kind != ParentName::kTeam || !absl::IsPermissionDenied(decision)) return decision;
  const auto exists = store->View()->Contains({storage::Table::kTeam, parent.org, /*parent=*/"", parent.id});
  if (!exists.ok()) return FromStore(exists.status(), parent.Name());
  return *exists ? decision : NotFound(parent.Name());
}

storage::RecordKey CredentialKey(storage::Table table, const ChildName& name) {
  return {table, name.parent.org, name.parent.RecordParent(), name.id};
}

bool IsScopeSuspended(v1::Tier tier, const ParentName& parent) {
  return parent.kind == ParentName::kTeam && IsTeamSuspended(tier, parent.id);
}

bool HasPrevious(const storage::records::CredentialRecord& record, absl::Time now) {
  return record.previous_version() != 0 && record.previous_destroy_time() > absl::ToUnixNanos(now);
}

bool IsRotationOverdue(const storage::records::CredentialRecord& record, absl::Time now) {
  return record.rotate_by() != 0 && record.rotate_by() < absl::ToUnixNanos(now);
}

std::string CredentialEtag(const storage::records::CredentialRecord& record) {
  return RecordEtag(record.incarnation(), record.change_count());
}

v1::Credential ToCredential(const ParentName& parent, const storage::records::CredentialRecord& record,
                            const LastUse& use, v1::Tier tier, absl::Time now) {
  v1::Credential shown;
  shown.set_name(ChildName{parent, record.id()}.Name("credentials"));
  shown.set_description(record.description());
  shown.set_scope(parent.Scope());
  shown.set_source(static_cast<v1::CredentialSource>(record.source()));
  shown.set_status(IsScopeSuspended(tier, parent) ? v1::CREDENTIAL_STATUS_SUSPENDED : v1::CREDENTIAL_STATUS_ACTIVE);
  shown.set_version(record.version());
  shown.set_etag(CredentialEtag(record));
  *shown.mutable_create_time() = TimestampFrom(record.create_time());
  shown.set_creator(record.creator());
  *shown.mutable_update_time() = TimestampFrom(record.update_time());
  shown.set_updater(record.updater());
  if (use.count > 0) {
    *shown.mutable_last_use_time() = TimestampFrom(absl::ToUnixNanos(use.time));
    shown.set_last_use_mcp_server(use.mcp_server);
  }
  if (record.rotate_by() != 0) *shown.mutable_rotate_by() = TimestampFrom(record.rotate_by());
  shown.set_rotation_overdue(IsRotationOverdue(record, now));
  if (HasPrevious(record, now)) {
    shown.set_previous_version(record.previous_version());
    *shown.mutable_previous_version_destroy_time() = TimestampFrom(record.previous_destroy_time());
  }
  return shown;
}

}  // namespace keyferry::server
