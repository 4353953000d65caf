#include "server/oauth/refresh/refresh_outcome.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "keyferry/v1/audit.pb.h"
#include "keyferry/v1/connections.pb.h"
#include "server/audit/call_record.h"
#include "server/errors.h"
#include "storage/crypto/secret_bytes.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;

constexpr absl::Duration kFirstBackoff = absl::Seconds(5);
constexpr absl::Duration kMaxBackoff = absl::Minutes(5);
constexpr absl::Duration kFirstRejectedBackoff = absl::Minutes(5);
constexpr absl::Duration kMaxRejectedBackoff = absl::Hours(1);
constexpr double kRetryJitter = 0.1;
constexpr int kMaxDoublings = 16;

absl::Status InBackoff(const ConnectionKey& key, const records::ConnectionRecord& connection, absl::Time now,
                       absl::Duration pause) {
  if (connection.failure_count() == 0) {
    return ProviderUnavailable(key, "the provider asked to be left alone for a while", pause);
  }
  const absl::Duration backoff = absl::FromUnixNanos(connection.next_attempt_time()) - now;
  return ProviderUnavailable(key, connection.last_error(), std::max(backoff, pause));
}

}  // namespace

absl::Duration BackoffOf(const TokenError& error, int failures, double random) {
  const bool rejected = error.kind == TokenErrorKind::kRejected;
  const absl::Duration first = rejected ? kFirstRejectedBackoff : kFirstBackoff;
  const absl::Duration most = rejected ? kMaxRejectedBackoff : kMaxBackoff;
  const int doublings = std::clamp(failures - 1, 0, kMaxDoublings);
  const absl::Duration backoff = std::min(first * (1 << doublings), most) * (1 + random) / 2;
  // After the end of the pause, so that a connection which is limited by itself does not begin the next one at once.
  return std::max(backoff, std::min(error.retry_after, kMaxPause) * (1 + random * kRetryJitter));
}

absl::Duration PauseOf(const TokenError& error, double random) {
  if (error.retry_after > absl::ZeroDuration()) return std::min(error.retry_after, kMaxPause);
  return error.kind == TokenErrorKind::kRateLimited ? kFirstBackoff * (1 + random) / 2 : absl::ZeroDuration();
}

void ApplyFailure(const TokenError& error, absl::Time now, double random, records::ConnectionRecord* connection) {
  connection->set_failure_count(connection->failure_count() + 1);
  connection->set_last_error(error.message);
  connection->set_last_error_time(absl::ToUnixNanos(now));
  connection->set_next_attempt_time(absl::ToUnixNanos(now + BackoffOf(error, connection->failure_count(), random)));
  const absl::Duration pause = PauseOf(error, random);
  connection->set_pause_time(pause > absl::ZeroDuration() ? absl::ToUnixNanos(now + pause) : 0);
}

void ApplyConnectNeeded(absl::string_view why, absl::Time now, records::ConnectionRecord* connection,
                        records::ConnectionTokenRecord* token) {
  connection->set_state(v1::CONNECTION_STATE_CONNECT_NEEDED);
  connection->set_last_error(std::string(why));
  connection->set_last_error_time(absl::ToUnixNanos(now));
  connection->set_next_attempt_time(0);
  connection->set_refreshable(false);
  storage::WipeString(*token->mutable_access_token());
  storage::WipeString(*token->mutable_refresh_token());
}

void ApplyOutdated(absl::string_view why, absl::Time now, records::ConnectionRecord* connection,
                   records::ConnectionTokenRecord* token) {
  connection->set_last_error(std::string(why));
  connection->set_last_error_time(absl::ToUnixNanos(now));
  connection->clear_failure_count();
  connection->clear_pause_time();
  connection->set_next_attempt_time(connection->expire_time());
  connection->set_refreshable(false);
  storage::WipeString(*token->mutable_refresh_token());
}

absl::Status ConnectNeeded(const ConnectionKey& key, absl::string_view why) {
  v1::ErrorDetail detail;
  detail.set_reason("CONNECT_NEEDED");
  detail.set_resource(ConnectionName(key));
  detail.set_next_step(absl::StrCat("Connect to ", key.provider, " again."));
  return MakeError(absl::StatusCode::kFailedPrecondition,
                   absl::StrCat(ConnectionName(key), ": somebody has to connect again", why.empty() ? "" : ": ", why),
                   detail);
}

absl::Status ProviderUnavailable(const ConnectionKey& key, absl::string_view why, absl::Duration delay) {
  v1::ErrorDetail detail;
  detail.set_reason("PROVIDER_UNAVAILABLE");
  detail.set_resource(ConnectionName(key));
  detail.set_next_step("Repeat the call later; the connection's last_error says what the provider answered.");
  detail.set_retry_delay_ms(std::max<int64_t>(absl::ToInt64Milliseconds(delay), 1));
  return MakeError(absl::StatusCode::kUnavailable,
                   absl::StrCat(ConnectionName(key), ": no fresh token could be had", why.empty() ? "" : ": ", why),
                   detail);
}

std::optional<absl::Status> AnswerAtOnce(Need need, const ConnectionKey& key, const LoadedConnection& loaded,
                                         absl::Time now, absl::Duration pause) {
  switch (need) {
    case Need::kAbsent:
      return NotFound(ConnectionName(key));
    case Need::kSuspended:
      return Suspended(ConnectionName(key));
    case Need::kConnectNeeded:
    case Need::kCannotRefresh:
      return ConnectNeeded(key, loaded.connection->record.last_error());
    case Need::kEnded:
      return ConnectNeeded(key, loaded.outdated ? kEndpointsMoved : kTokenEnded);
    case Need::kBackoff:
      return InBackoff(key, loaded.connection->record, now, pause);
    case Need::kNothing:
      return absl::OkStatus();
    case Need::kDelete:
    case Need::kOutdated:
    case Need::kExchange:
      return std::nullopt;
  }
  return std::nullopt;
}

std::string ConnectionEntry(const ConnectionKey& key, absl::string_view method, int64_t version, absl::Time now,
                            const absl::Status& status) {
  v1::AuditEntry entry;
  const timespec time = absl::ToTimespec(now);
  entry.mutable_time()->set_seconds(time.tv_sec);
  entry.mutable_time()->set_nanos(static_cast<int32_t>(time.tv_nsec));
  entry.set_method(std::string(method));
  entry.set_resource(ConnectionName(key));
  SetOutcome(status, &entry);
  v1::AuditedCredential* const credential = entry.add_credentials();
  credential->set_credential(ConnectionName(key));
  credential->set_version(version);
  return entry.SerializeAsString();
}

}  // namespace keyferry::server
