// What a RefreshRun stores.
#include <utility>

#include "absl/strings/str_cat.h"
#include "keyferry/v1/connections.pb.h"
#include "server/errors.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/refresh_outcome.h"
#include "server/oauth/refresh/refresh_run.h"
#include "server/oauth/refresh/revocations.h"
#include "server/status_macros.h"
#include "server/usage/usage_recorder.h"
#include "storage/crypto/secret_bytes.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Durability;
using storage::Table;

constexpr absl::string_view kRefreshMethod = "keyferryd/RefreshConnection";
constexpr absl::string_view kDeleteMethod = "keyferryd/DeleteConnection";
constexpr absl::string_view kStopped =
    "A server stopped in the middle of a refresh, so that the provider's answer to it was lost. ";

// What anybody sees of the change, so that etags notice it. The server is its updater, which has no name.
void NoteChange(absl::Time now, records::ConnectionRecord* connection) {
  connection->set_update_time(absl::ToUnixNanos(now));
  connection->set_change_count(connection->change_count() + 1);
}

void PutConnection(const ConnectionKey& key, const Stored<records::ConnectionRecord>& connection,
                   storage::Mutation* mutation) {
  mutation->Put(ConnectionRecordKey(Table::kConnection, key), storage::SerializeSecret(connection.record),
                connection.version + 1, connection.revision);
}

void PutToken(const ConnectionKey& key, const records::ConnectionTokenRecord& token, storage::Revision expected,
              storage::Mutation* mutation) {
  mutation->Put(ConnectionRecordKey(Table::kConnectionToken, key), storage::SerializeSecret(token),
                static_cast<uint64_t>(token.version()), expected);
}

absl::Status UnavailableUntilNext(const ConnectionKey& key, const records::ConnectionRecord& connection,
                                  absl::Time now) {
  return ProviderUnavailable(key, connection.last_error(), absl::FromUnixNanos(connection.next_attempt_time()) - now);
}

// What came of the provider and nobody has stored.
void PutTokens(const TokenResult& answer, records::ConnectionTokenRecord* token) {
  if (const auto* const grant = absl::get_if<TokenGrant>(&answer)) {
    token->set_access_token(std::string(grant->access_token.Expose()));
    token->set_refresh_token(std::string(grant->refresh_token.Expose()));
  } else if (const auto& rotated = absl::get<TokenError>(answer).rotated_refresh_token; rotated != nullptr) {
    token->set_refresh_token(std::string(rotated->Expose()));
  }
}

}  // namespace

absl::Status RefreshRun::StoreOnce() {
  return Repeat([this](LoadedConnection stored) {
    Describe(stored, context_->clock());
    result_.status = absl::OkStatus();
    const auto* const grant = absl::get_if<TokenGrant>(&answer_);
    // A grant also ends what another server, which could not wait any longer, made of its absence.
    const bool same = stored.connection.has_value() && !stored.user_gone && stored.token->version() == token_version_ &&
                      stored.connection->record.incarnation() == exchanged_.incarnation() &&
                      (grant != nullptr || (stored.connection->record.state() == v1::CONNECTION_STATE_CONNECTED &&
                                            IsSameRefreshToken(stored)));
    if (!same) return Drop(std::move(stored));
    if (grant != nullptr) return StoreGrant(*grant, std::move(stored));
    return StoreError(absl::get<TokenError>(answer_), std::move(stored));
  });
}

bool RefreshRun::IsSameRefreshToken(const LoadedConnection& stored) const {
  // Another server may have stored one that was rotated in a refresh that failed, which leaves the version.
  return storage::ConstantTimeEquals(stored.token->refresh_token(), refresh_token_.Expose());
}

void RefreshRun::ReleaseLease(const LoadedConnection& loaded, storage::Mutation* mutation) const {
  if (!loaded.lease.has_value()) return;
  const records::ConnectionLeaseRecord& lease = loaded.lease->record;
  if (lease.owner() != context_->owner || lease.expire_time() != lease_expire_time_) return;
  mutation->Delete(ConnectionRecordKey(Table::kConnectionLease, key_), loaded.lease->revision);
}

absl::Status RefreshRun::StoreGrant(const TokenGrant& grant, LoadedConnection stored) {
  records::ConnectionRecord& connection = stored.connection->record;
  const bool recovered = connection.failure_count() > 0;
  // From when it came: it may have waited for the disk.
  ApplyGrant(provider_->provider, grant, answer_time_, context_->random(), &connection, &*stored.token);
  NoteChange(answer_time_, &connection);
  storage::Mutation mutation;
  PutToken(key_, *stored.token, stored.token_revision, &mutation);
  PutConnection(key_, *stored.connection, &mutation);
  ReleaseLease(stored, &mutation);
  mutation.Append(key_.org,
                  ConnectionEntry(key_, kRefreshMethod, connection.version(), answer_time_, absl::OkStatus()));
  ASSIGN_OR_RETURN(result_.revision, context_->store->Commit(mutation, Durability::kSynced));
  Describe(connection, /*provider_update_time=*/0, context_->clock());
  if (recovered) Log(LogLevel::kInfo, "a connection is refreshed again", "");
  return absl::OkStatus();
}

absl::Status RefreshRun::StoreError(const TokenError& error, LoadedConnection stored) {
  result_.failure = error.kind;
  if (error.kind == TokenErrorKind::kInvalidGrant) {
    return CommitConnectNeeded(absl::StrCat(took_over_ ? kStopped : "", error.message), &stored);
  }
  records::ConnectionRecord& connection = stored.connection->record;
  const bool first = connection.failure_count() == 0;
  ApplyFailure(error, answer_time_, context_->random(), &connection);
  NoteChange(answer_time_, &connection);
  storage::Mutation mutation;
  PutConnection(key_, *stored.connection, &mutation);
  if (error.rotated_refresh_token != nullptr) {
    // The access token, and so the version, stays.
    storage::WipeString(*stored.token->mutable_refresh_token());
    stored.token->set_refresh_token(std::string(error.rotated_refresh_token->Expose()));
    PutToken(key_, *stored.token, stored.token_revision, &mutation);
  } else {
    mutation.Require(ConnectionRecordKey(Table::kConnectionToken, key_), stored.token_revision);
  }
  ReleaseLease(stored, &mutation);
  ASSIGN_OR_RETURN(result_.revision, context_->store->Commit(mutation, Durability::kSynced));
  const absl::Time now = context_->clock();
  Describe(connection, /*provider_update_time=*/0, now);
  result_.status = UnavailableUntilNext(key_, connection, now);
  if (first) Log(LogLevel::kWarning, "a connection could not be refreshed", error.message);
  return absl::OkStatus();
}

absl::Status RefreshRun::Drop(LoadedConnection stored) {
  storage::Mutation mutation;
  const bool gone = !stored.connection.has_value() || stored.user_gone;
  const auto* const grant = absl::get_if<TokenGrant>(&answer_);
  result_.dropped = grant != nullptr;
  // Where a connection stands, many providers would end its grant with the one that is dropped.
  if (gone) {
    storage::Wiped<records::ConnectionTokenRecord> token;
    PutTokens(answer_, &*token);
    AddRevocation(key_.org, *provider_record_, exchanged_, *token, context_->clock(), &mutation);
  }
  ReleaseLease(stored, &mutation);
  if (!mutation.empty()) {
    const absl::Status status = context_->store->Commit(mutation, Durability::kSynced).status();
    // Nothing can be kept for an organization that is gone.
    if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status);
  }
  if (result_.dropped) Log(LogLevel::kInfo, "a connection was changed while it was refreshed", "");
  const absl::Time now = context_->clock();
  if (gone) {
    result_.status = NotFound(ConnectionName(key_));
  } else if (stored.connection->record.state() != v1::CONNECTION_STATE_CONNECTED) {
    result_.status = ConnectNeeded(key_, stored.connection->record.last_error());
  } else if (!HasValidToken(stored.connection->record, now)) {
    result_.status = UnavailableUntilNext(key_, stored.connection->record, now);
  }
  return absl::OkStatus();
}

absl::Status RefreshRun::CommitConnectNeeded(absl::string_view why, LoadedConnection* loaded) {
  const absl::Time now = context_->clock();
  records::ConnectionRecord& connection = loaded->connection->record;
  ApplyConnectNeeded(why, now, &connection, &*loaded->token);
  NoteChange(now, &connection);
  const absl::Status status = ConnectNeeded(key_, connection.last_error());
  storage::Mutation mutation;
  PutConnection(key_, *loaded->connection, &mutation);
  if (loaded->token_revision != 0) PutToken(key_, *loaded->token, loaded->token_revision, &mutation);
  ReleaseLease(*loaded, &mutation);
  mutation.Append(key_.org, ConnectionEntry(key_, kRefreshMethod, connection.version(), now, status));
  ASSIGN_OR_RETURN(result_.revision, context_->store->Commit(mutation, Durability::kSynced));
  Describe(connection, /*provider_update_time=*/0, now);
  result_.status = status;
  Log(LogLevel::kWarning, "somebody has to connect again", why);
  return absl::OkStatus();
}

absl::Status RefreshRun::CommitOutdated(LoadedConnection* loaded) {
  const absl::Time now = context_->clock();
  records::ConnectionRecord& connection = loaded->connection->record;
  ApplyOutdated(kEndpointsMoved, now, &connection, &*loaded->token);
  NoteChange(now, &connection);
  const absl::Status status = ConnectNeeded(key_, connection.last_error());
  storage::Mutation mutation;
  PutConnection(key_, *loaded->connection, &mutation);
  if (loaded->token_revision != 0) PutToken(key_, *loaded->token, loaded->token_revision, &mutation);
  ReleaseLease(*loaded, &mutation);
  mutation.Append(key_.org, ConnectionEntry(key_, kRefreshMethod, connection.version(), now, status));
  ASSIGN_OR_RETURN(result_.revision, context_->store->Commit(mutation, Durability::kSynced));
  Describe(connection, /*provider_update_time=*/0, now);
  // Who only asked for a valid token has it.
  if (reason_ == RefreshReason::kForced || !HasValidToken(connection, now)) result_.status = status;
  Log(LogLevel::kWarning, "a connection was made for endpoints that have moved", "");
  return absl::OkStatus();
}

absl::Status RefreshRun::CommitDelete(LoadedConnection* loaded) {
  const absl::Time now = context_->clock();
  storage::Mutation mutation;
  mutation.Delete(ConnectionRecordKey(Table::kConnection, key_), loaded->connection->revision);
  mutation.Delete(ConnectionRecordKey(Table::kConnectionToken, key_), loaded->token_revision);
  mutation.Delete(ConnectionRecordKey(Table::kConnectionLease, key_), std::nullopt);
  mutation.Delete(ConnectionUsageKey(key_.org, key_.parent, key_.provider), std::nullopt);
  mutation.Require({Table::kUser, key_.org, "", key_.parent.substr(key_.parent.find('/') + 1)}, loaded->user_revision);
  AddRevocation(key_.org, *loaded->provider_record, loaded->connection->record, *loaded->token, now, &mutation);
  mutation.Append(key_.org,
                  ConnectionEntry(key_, kDeleteMethod, loaded->connection->record.version(), now, absl::OkStatus()));
  RETURN_IF_ERROR(context_->store->Commit(mutation, Durability::kSynced).status());
  result_.absent = true;
  result_.status = NotFound(ConnectionName(key_));
  Log(LogLevel::kInfo, "deleted the connection of a user who is no more", "");
  return absl::OkStatus();
}

}  // namespace keyferry::server
