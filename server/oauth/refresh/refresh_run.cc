#include "server/oauth/refresh/refresh_run.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "keyferry/v1/connections.pb.h"
#include "server/errors.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/refresh_outcome.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Durability;
using storage::Table;

// Until another commit, or the rewrap of a data key, no longer comes in between.
constexpr int kMaxRaces = 100;
// A look that changes nothing is not repeated at once, whatever the records say.
constexpr absl::Duration kIdle = absl::Minutes(1);
// After the store has failed.
constexpr absl::Duration kStoreBackoff = absl::Seconds(30);
// While the clock that says that a token has ended is not believed.
constexpr absl::Duration kDoubt = absl::Hours(1);

UrlVariables VariablesOf(const records::ConnectionRecord& connection) {
  UrlVariables variables;
  for (const records::NamedValue& variable : connection.url_variables()) variables[variable.name()] = variable.value();
  return variables;
}

TokenClient::RefreshInput InputOf(const LoadedConnection& loaded) {
  TokenClient::RefreshInput input;
  input.refresh_token = storage::SecretBytes::CopyOf(loaded.token->refresh_token());
  input.access_token = storage::SecretBytes::CopyOf(loaded.token->access_token());
  input.variables = VariablesOf(loaded.connection->record);
  input.scopes.assign(loaded.connection->record.requested_scopes().begin(),
                      loaded.connection->record.requested_scopes().end());
  return input;
}

}  // namespace

RefreshRun::RefreshRun(const RefreshContext* context, const ConnectionKey& key, RefreshReason reason,
                       absl::Time paused_until, std::optional<SeenLease> seen, Done done)
    : context_(context),
      key_(key),
      reason_(reason),
      paused_until_(paused_until),
      seen_(std::move(seen)),
      done_(std::move(done)) {}

void RefreshRun::Start(const RefreshContext* context, const ConnectionKey& key, RefreshReason reason,
                       absl::Time paused_until, std::optional<SeenLease> seen, Done done) {
  std::shared_ptr<RefreshRun> run(new RefreshRun(context, key, reason, paused_until, std::move(seen), std::move(done)));
  run->Look();
}

void RefreshRun::Look() {
  absl::StatusOr<LoadedConnection> loaded = LoadConnection(*context_->store->View(), key_);
  if (!loaded.ok()) return FinishWith(loaded.status());
  const absl::Time now = context_->clock();
  Describe(*loaded, now);
  const absl::Duration pause = std::max(paused_until_, result_.paused_until) - context_->monotonic_clock();
  const Need need = Assess(*loaded, now, reason_, pause > absl::ZeroDuration());
  Act(need, *std::move(loaded), now, std::max(pause, absl::ZeroDuration()));
}

bool RefreshRun::IsOver(const LoadedConnection& loaded) const {
  const int64_t end = loaded.connection->record.expire_time();
  return (loaded.outdated && end == 0) || end <= absl::ToUnixNanos(context_->believed_clock->Now());
}

void RefreshRun::Act(Need need, LoadedConnection loaded, absl::Time now, absl::Duration pause) {
  if (need == Need::kEnded && IsOver(loaded)) {
    return FinishWith(CommitConnectNeeded(loaded.outdated ? kEndpointsMoved : kTokenEnded, &loaded));
  }
  if (std::optional<absl::Status> answer = AnswerAtOnce(need, key_, loaded, now, pause)) {
    result_.status = *std::move(answer);
    if (need == Need::kSuspended) result_.next = now + context_->options.look_interval;
    if (need == Need::kEnded) result_.next = now + kDoubt;
    if (need == Need::kBackoff) result_.next = std::max(result_.next, now + pause);
    // Somebody who asked was content with a token that is due nevertheless.
    const bool is_due = need == Need::kNothing && reason_ != RefreshReason::kSchedule;
    if (result_.next <= now && !is_due) result_.next = now + (pause > absl::ZeroDuration() ? pause : kIdle);
    return Finish();
  }
  if (need == Need::kDelete) return FinishWith(CommitDelete(&loaded));
  if (need == Need::kOutdated) return FinishWith(CommitOutdated(&loaded));
  TakeLease(std::move(loaded));
}

std::optional<SeenLease> RefreshRun::Blocking(const LoadedConnection& loaded) const {
  if (!loaded.lease.has_value()) return std::nullopt;
  const records::ConnectionLeaseRecord& lease = loaded.lease->record;
  // Ours, and none of our runs is at it; or of a token that is no more.
  if (lease.owner() == context_->owner || lease.token_version() != loaded.token->version()) return std::nullopt;
  const absl::Time now = context_->monotonic_clock();
  if (!seen_.has_value() || seen_->owner != lease.owner() || seen_->expire_time != lease.expire_time() ||
      seen_->token_version != lease.token_version()) {
    return SeenLease{lease.owner(), lease.expire_time(), lease.token_version(), now};
  }
  if (now - seen_->since < context_->options.lease) return seen_;
  return std::nullopt;
}

void RefreshRun::TakeLease(LoadedConnection loaded) {
  result_.waits_for = Blocking(loaded);
  if (result_.waits_for.has_value()) return Finish();
  took_over_ = loaded.lease.has_value() && loaded.lease->record.token_version() == loaded.token->version();
  records::ConnectionLeaseRecord lease;
  lease.set_owner(context_->owner);
  lease.set_expire_time(absl::ToUnixNanos(context_->clock() + context_->options.lease));
  lease.set_token_version(loaded.token->version());
  storage::Mutation mutation;
  mutation.Put(ConnectionRecordKey(Table::kConnectionLease, key_), storage::SerializeSecret(lease), /*version=*/1,
               loaded.lease.has_value() ? loaded.lease->revision : 0);
  mutation.Require(ConnectionRecordKey(Table::kConnectionToken, key_), loaded.token_revision);
  // Power loss may take it: then there is nobody left who holds it.
  const absl::Status taken = context_->store->Commit(mutation, Durability::kBuffered).status();
  if (!taken.ok()) return FinishWith(taken);
  if (took_over_) Log(LogLevel::kWarning, "took over a refresh that a server left unfinished", "");
  lease_expire_time_ = lease.expire_time();
  Exchange(std::move(loaded));
}

void RefreshRun::Exchange(LoadedConnection loaded) {
  exchanged_ = loaded.connection->record;
  token_version_ = loaded.token->version();
  refresh_token_ = storage::SecretBytes::CopyOf(loaded.token->refresh_token());
  provider_ = loaded.provider;
  provider_record_ = std::move(loaded.provider_record);
  result_.exchanged = true;
  context_->client->Refresh(provider_, InputOf(loaded), context_->options.exchange_timeout,
                            [self = shared_from_this(), queue = context_->queue](TokenResult answer) {
                              // The client's thread is not to wait for the disk; and after the end of the queue
                              // nothing of `self` may be used.
                              auto kept = std::make_shared<TokenResult>(std::move(answer));
                              queue->Post([self, kept] {
                                self->answer_ = std::move(*kept);
                                self->answer_time_ = self->context_->clock();
                                self->StoreAnswer(/*tries=*/0);
                              });
                            });
}

void RefreshRun::StoreAnswer(int tries) {
  if (const auto* const error = absl::get_if<TokenError>(&answer_); error != nullptr && tries == 0) {
    // Also if it cannot be stored.
    result_.paused_until = context_->monotonic_clock() + PauseOf(*error, context_->random());
  }
  const absl::Status status = StoreOnce();
  constexpr int kMaxTries = 6;
  const bool may_pass = absl::IsUnavailable(status) || absl::IsResourceExhausted(status) || absl::IsAborted(status) ||
                        absl::IsDeadlineExceeded(status);
  if (may_pass && tries + 1 < kMaxTries) {
    if (tries == 0) Log(LogLevel::kError, "a refreshed token could not be stored yet", status.ToString());
    context_->queue->PostAt(context_->monotonic_clock() + absl::Seconds(1 << tries),
                            [self = shared_from_this(), tries] { self->StoreAnswer(tries + 1); });
    return;
  }
  if (!status.ok()) {
    result_.not_stored = true;
    Log(LogLevel::kError, "a refreshed token could not be stored", status.ToString());
    return FinishWith(status);
  }
  Finish();
}

absl::Status RefreshRun::Repeat(const std::function<absl::Status(LoadedConnection)>& attempt) {
  absl::Status status;
  for (int race = 0; race < kMaxRaces; ++race) {
    absl::StatusOr<LoadedConnection> loaded = LoadConnection(*context_->store->View(), key_);
    if (!loaded.ok()) return loaded.status();
    status = attempt(*std::move(loaded));
    if (!absl::IsAborted(status)) return status;
  }
  return status;
}

void RefreshRun::Describe(const LoadedConnection& loaded, absl::Time now) {
  result_.absent = !loaded.connection.has_value();
  result_.revision = loaded.revision;
  if (!result_.absent) Describe(loaded.connection->record, loaded.provider_record->update_time(), now);
}

void RefreshRun::Describe(const records::ConnectionRecord& connection, int64_t provider_update_time, absl::Time now) {
  result_.failing = connection.failure_count() > 0;
  result_.connect_needed = connection.state() == v1::CONNECTION_STATE_CONNECT_NEEDED;
  result_.next = NextLook(connection, provider_update_time, now, context_->options.look_interval, context_->random());
  const absl::Duration pause = PauseLeft(connection, provider_update_time, now);
  if (pause > absl::ZeroDuration()) {
    result_.paused_until = std::max(result_.paused_until, context_->monotonic_clock() + pause);
  }
}

void RefreshRun::FinishWith(const absl::Status& status) {
  if (absl::IsAborted(status) && !result_.exchanged) {
    // Lost to another server, or to whatever else changed: what that was decides. By way of the queue, so that the
    // others get their turn.
    context_->queue->Post([self = shared_from_this()] { self->Look(); });
    return;
  }
  if (!status.ok()) {
    Log(LogLevel::kError, "a connection cannot be read or stored", status.ToString());
    result_.status = FromStore(status, ConnectionName(key_));
    result_.next = context_->clock() + kStoreBackoff;
  }
  Finish();
}

void RefreshRun::Finish() { done_(std::move(result_)); }

void RefreshRun::Log(LogLevel level, absl::string_view message, absl::string_view why) const {
  if (context_->logger == nullptr) return;
  context_->logger->Write(level, message, {{"connection", ConnectionName(key_)}, {"why", why}});
}

}  // namespace keyferry::server
