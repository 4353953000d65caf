#include "server/oauth/connect/conversion.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "server/credentials/conversion.h"
#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;

absl::Status CheckParentKind(const ParentName& parent, absl::string_view field) {
  if (parent.Scope() != v1::CREDENTIAL_SCOPE_UNSPECIFIED) return absl::OkStatus();
  return InvalidField(field, "cannot hold connections",
                      "Use `orgs/{org}`, `orgs/{org}/teams/{team}` or `orgs/{org}/users/{user}`.");
}

v1::ConnectionState StateOf(const ParentName& parent, const records::ConnectionRecord& record, v1::Tier tier,
                            absl::Time now) {
  if (IsScopeSuspended(tier, parent)) return v1::CONNECTION_STATE_SUSPENDED;
  const bool ended = record.expire_time() != 0 && record.expire_time() <= absl::ToUnixNanos(now);
  // The scheduler notes the end of a token that cannot be refreshed, a moment later.
  if (ended && !record.refreshable()) return v1::CONNECTION_STATE_CONNECT_NEEDED;
  return static_cast<v1::ConnectionState>(record.state());
}

}  // namespace

absl::StatusOr<ParentName> ParseConnectionParent(absl::string_view name, absl::string_view field) {
  ASSIGN_OR_RETURN(ParentName parent, ParseParent(name, field));
  RETURN_IF_ERROR(CheckParentKind(parent, field));
  return parent;
}

absl::StatusOr<ChildName> ParseConnectionChild(absl::string_view name, absl::string_view collection,
                                               absl::string_view field) {
  ASSIGN_OR_RETURN(ChildName child, ParseChild(name, collection, field));
  RETURN_IF_ERROR(CheckParentKind(child.parent, field));
  RETURN_IF_ERROR(CheckId(child.id, field));
  return child;
}

Resource ConnectionResource(const ParentName& parent, std::string name) {
  return CredentialResource(parent, std::move(name));
}

Resource AttemptResource(const ParentName& parent, std::string name, std::string starter) {
  Resource resource = CredentialResource(parent, std::move(name));
  resource.kind = ResourceKind::kConnectionAttempt;
  resource.creator = std::move(starter);
  return resource;
}

absl::Status AuthorizeStart(storage::Store* store, const Caller& caller, const ParentName& parent,
                            const std::string& name) {
  RETURN_IF_ERROR(AuthorizeHeld(store, caller, Action::kCreate, parent, name));
  RETURN_IF_ERROR(AuthorizeHeld(store, caller, Action::kUpdate, parent, name));
  return IsScopeSuspended(caller.tier, parent) ? Suspended(name) : absl::OkStatus();
}

ConnectionKey ConnectionKeyOf(const ChildName& name) { return {name.parent.org, name.parent.RecordParent(), name.id}; }

std::string ConnectionEtag(const records::ConnectionRecord& record) {
  return RecordEtag(record.incarnation(), record.change_count());
}

v1::Connection ToConnection(const ParentName& parent, const records::ConnectionRecord& record, const LastUse& use,
                            v1::Tier tier, absl::Time now) {
  v1::Connection shown;
  shown.set_name(ChildName{parent, record.id()}.Name(kConnections));
  shown.set_oauth_provider(absl::StrCat("orgs/", parent.org, "/oauthProviders/", record.id()));
  shown.set_scope(parent.Scope());
  shown.set_state(StateOf(parent, record, tier, now));
  shown.set_version(record.version());
  shown.set_account(record.account());
  *shown.mutable_granted_scopes() = record.granted_scopes();
  for (const records::NamedValue& one : record.metadata()) (*shown.mutable_metadata())[one.name()] = one.value();
  for (const records::NamedValue& one : record.url_variables()) {
    (*shown.mutable_url_variables())[one.name()] = one.value();
  }
  if (record.expire_time() != 0) *shown.mutable_expire_time() = TimestampFrom(record.expire_time());
  if (record.last_refresh_time() != 0) *shown.mutable_last_refresh_time() = TimestampFrom(record.last_refresh_time());
  if (record.refreshable() && record.next_attempt_time() != 0 && shown.state() == v1::CONNECTION_STATE_CONNECTED) {
    *shown.mutable_next_refresh_time() = TimestampFrom(record.next_attempt_time());
  }
  shown.set_last_error(record.last_error());
  if (record.last_error_time() != 0) *shown.mutable_last_error_time() = TimestampFrom(record.last_error_time());
  shown.set_failure_count(record.failure_count());
  shown.set_etag(ConnectionEtag(record));
  *shown.mutable_create_time() = TimestampFrom(record.create_time());
  shown.set_creator(record.creator());
  *shown.mutable_update_time() = TimestampFrom(record.update_time());
  shown.set_updater(record.updater());
  if (use.count > 0) {
    *shown.mutable_last_use_time() = TimestampFrom(absl::ToUnixNanos(use.time));
    shown.set_last_use_mcp_server(use.mcp_server);
  }
  return shown;
}

v1::ConnectionAttempt ToConnectionAttempt(const ParentName& parent, const records::ConnectionAttemptRecord& record,
                                          absl::Time now) {
  v1::ConnectionAttempt shown;
  shown.set_name(ChildName{parent, record.id()}.Name(kConnectionAttempts));
  shown.set_state(static_cast<v1::ConnectionAttemptState>(record.state()));
  shown.set_connection(ChildName{parent, record.provider()}.Name(kConnections));
  shown.set_error(record.error());
  // One whose exchange was cut short by the server's end is never finished, and ends like one that nobody opened.
  if (shown.state() == v1::CONNECTION_ATTEMPT_STATE_PENDING && record.expire_time() <= absl::ToUnixNanos(now)) {
    shown.set_state(v1::CONNECTION_ATTEMPT_STATE_EXPIRED);
    shown.set_error("It was not finished in time. Start the connection again.");
  }
  *shown.mutable_expire_time() = TimestampFrom(record.expire_time());
  return shown;
}

UrlVariables UrlVariablesFrom(const google::protobuf::RepeatedPtrField<records::NamedValue>& values) {
  UrlVariables variables;
  for (const records::NamedValue& one : values) variables[one.name()] = one.value();
  return variables;
}

void SetUrlVariables(const UrlVariables& variables, google::protobuf::RepeatedPtrField<records::NamedValue>* values) {
  values->Clear();
  for (const auto& [name, value] : variables) {
    records::NamedValue* const one = values->Add();
    one->set_name(name);
    one->set_value(value);
  }
}

}  // namespace keyferry::server
