#include "server/oauth/connect/granted.h"

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/credentials/record_changes.h"
#include "server/credentials/record_fields.h"
#include "server/errors.h"
#include "server/oauth/connect/conversion.h"
#include "server/oauth/connection_records.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Table;

constexpr absl::Duration kUsualRetryDelay = absl::Seconds(5);

// Uniform in [0, 1).
double RandomUnit() {
  uint32_t bits = 0;
  storage::RandomBytes(absl::MakeSpan(reinterpret_cast<uint8_t*>(&bits), sizeof(bits)));
  return static_cast<double>(bits) / 4294967296.0;
}

absl::Status Unavailable(const std::string& connection, absl::string_view what, absl::Duration retry_after) {
  v1::ErrorDetail detail;
  detail.set_reason("PROVIDER_UNAVAILABLE");
  detail.set_resource(connection);
  detail.set_next_step("Repeat the call after the delay.");
  const absl::Duration delay = retry_after > absl::ZeroDuration() ? retry_after : kUsualRetryDelay;
  detail.set_retry_delay_ms(absl::ToInt64Milliseconds(delay));
  return MakeError(absl::StatusCode::kUnavailable, absl::StrCat(connection, ": ", what), detail);
}

absl::StatusOr<int64_t> UserCreateTime(const storage::StoreView& view, const ParentName& parent) {
  if (parent.kind != ParentName::kUser) return 0;
  ASSIGN_OR_RETURN(const auto user, ReadRecord<records::UserRecord>(view, {Table::kUser, parent.org, "", parent.id}));
  if (!user.has_value()) return NotFound(parent.Name());
  return user->record.create_time();
}

// Forgets what a former grant said of itself.
void ForgetGrant(records::ConnectionRecord* connection) {
  connection->clear_account();
  connection->clear_granted_scopes();
  connection->clear_metadata();
}

void PutAsAsked(const v1::OauthProvider& provider, const NewGrant& grant, records::ConnectionRecord* connection) {
  SetUrlVariables(grant.url_variables, connection->mutable_url_variables());
  connection->mutable_requested_scopes()->Assign(grant.scopes.begin(), grant.scopes.end());
  // An answer without scopes grants those that were asked for (RFC 6749, section 5.1).
  if (grant.scopes.empty()) {
    *connection->mutable_granted_scopes() = provider.authorization().scopes();
  } else {
    *connection->mutable_granted_scopes() = connection->requested_scopes();
  }
}

}  // namespace

absl::StatusOr<FoundProvider> FindProvider(const storage::StoreView& view, absl::string_view org,
                                           absl::string_view provider) {
  FoundProvider found;
  ASSIGN_OR_RETURN(auto stored, ReadRecord<records::OauthProviderRecord>(view, ProviderKey(org, provider)));
  if (!stored.has_value()) return found;
  const storage::Wiped<records::OauthProviderRecord> record(std::move(stored->record));
  found.etag = RecordEtag(record->incarnation(), record->change_count());
  found.revision = stored->revision;
  found.endpoint_epoch = record->endpoint_epoch();
  ASSIGN_OR_RETURN(found.definition, ReadProvider(view, org, provider));
  return found;
}

void RequireProvider(absl::string_view org, absl::string_view provider, const FoundProvider& found,
                     storage::Mutation* mutation) {
  mutation->Require(ProviderKey(org, provider), found.revision);
}

absl::Status AddGranted(const storage::StoreView& view, const FoundProvider& provider, const NewGrant& grant,
                        const TokenGrant& tokens, absl::Time now, storage::Mutation* mutation,
                        records::ConnectionRecord* connection) {
  RETURN_IF_ERROR(RequireParent(view, grant.parent, mutation));
  const ConnectionKey key = {grant.parent.org, grant.parent.RecordParent(), grant.provider};
  ASSIGN_OR_RETURN(auto stored,
                   ReadRecord<records::ConnectionRecord>(view, ConnectionRecordKey(Table::kConnection, key)));
  ASSIGN_OR_RETURN(auto stored_token,
                   ReadRecord<records::ConnectionTokenRecord>(view, ConnectionRecordKey(Table::kConnectionToken, key)));
  storage::Wiped<records::ConnectionTokenRecord> token;
  if (stored_token.has_value()) token->Swap(&stored_token->record);
  connection->Clear();
  if (stored.has_value()) {
    *connection = stored->record;
    const bool same_account = !tokens.account.empty() && tokens.account == connection->account();
    const bool same_endpoints = connection->endpoint_epoch() == provider.endpoint_epoch;
    if (!same_account || !same_endpoints) storage::WipeString(*token->mutable_refresh_token());
    ForgetGrant(connection);
  } else {
    connection->set_parent(key.parent);
    connection->set_id(key.provider);
    connection->set_create_time(absl::ToUnixNanos(now));
    connection->set_creator(grant.starter);
    connection->set_incarnation(NewIncarnation());
  }
  connection->set_endpoint_epoch(provider.endpoint_epoch);
  PutAsAsked(provider.definition->provider, grant, connection);
  token->set_parent(key.parent);
  token->set_id(key.provider);
  ASSIGN_OR_RETURN(const int64_t user_create_time, UserCreateTime(view, grant.parent));
  token->set_user_create_time(user_create_time);
  connection->set_user_create_time(user_create_time);
  // Of both, so that neither goes back should one have been lost.
  token->set_version(std::max(token->version(), connection->version()));
  ApplyGrant(provider.definition->provider, tokens, now, RandomUnit(), connection, &*token);
  connection->set_update_time(absl::ToUnixNanos(now));
  connection->set_updater(grant.starter);
  connection->set_change_count(connection->change_count() + 1);
  mutation->Put(ConnectionRecordKey(Table::kConnection, key), storage::SerializeSecret(*connection), /*version=*/1,
                stored.has_value() ? stored->revision : 0);
  mutation->Put(ConnectionRecordKey(Table::kConnectionToken, key), storage::SerializeSecret(*token),
                static_cast<uint64_t>(token->version()), stored_token.has_value() ? stored_token->revision : 0);
  mutation->Delete(ConnectionRecordKey(Table::kConnectionLease, key), /*expected=*/std::nullopt);
  return absl::OkStatus();
}

absl::Status ConnectFailed(const std::string& connection, absl::string_view why, absl::string_view next_step) {
  v1::ErrorDetail detail;
  detail.set_reason("CONNECT_FAILED");
  detail.set_resource(connection);
  detail.set_next_step(std::string(next_step));
  return MakeError(absl::StatusCode::kFailedPrecondition, absl::StrCat(connection, ": ", why), detail);
}

absl::Status StatusOf(const TokenError& error, const std::string& connection) {
  const std::string message = ShowableText(error.message, 1024);
  switch (error.kind) {
    case TokenErrorKind::kTemporary:
    case TokenErrorKind::kRateLimited:
      return Unavailable(connection, message, error.retry_after);
    case TokenErrorKind::kInvalidGrant:
    case TokenErrorKind::kRejected:
      break;
  }
  return ConnectFailed(connection, message, "Correct the provider's definition, then start the connection again.");
}

absl::Status NoAnswer(const std::string& connection) {
  return Unavailable(connection, "the provider did not answer in time", kUsualRetryDelay);
}

std::string ShowableText(absl::string_view text, size_t max_bytes) {
  std::string shown(text.substr(0, max_bytes));
  // A cut may have gone through a character.
  while (!shown.empty() && shown.size() < text.size() &&
         (static_cast<unsigned char>(text[shown.size()]) & 0xC0) == 0x80) {
    shown.pop_back();
  }
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c == '\n' || c == '\r' || c == '\t'; }, ' ');
  if (CheckText(shown, max_bytes, "text").ok()) return shown;
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return !absl::ascii_isprint(static_cast<unsigned char>(c)); }, '?');
  return shown;
}

}  // namespace keyferry::server
