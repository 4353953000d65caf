#include "server/oauth/refresh/oauth_sweeper.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/escaping.h"
#include "server/oauth/connection_records.h"
#include "server/oauth/refresh/revocations.h"
#include "server/status_macros.h"
#include "storage/records/typed.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Durability;
using storage::Table;

constexpr absl::Duration kAttemptKept = absl::Hours(1);
constexpr absl::Duration kFirstBackoff = absl::Minutes(1);
constexpr absl::Duration kMaxBackoff = absl::Hours(1);
constexpr int kMaxDoublings = 10;
// Of attempts that are removed in one commit.
constexpr size_t kMaxAttempts = 256;

absl::Time MonotonicNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

absl::Duration BackoffAfter(int attempts) {
  return std::min(kFirstBackoff * (1 << std::min(attempts, kMaxDoublings)), kMaxBackoff);
}

TokenClient::RefreshInput InputOf(const records::RevocationRecord& record) {
  TokenClient::RefreshInput input;
  input.refresh_token = storage::SecretBytes::CopyOf(record.refresh_token());
  input.access_token = storage::SecretBytes::CopyOf(record.access_token());
  for (const records::NamedValue& variable : record.url_variables())
    input.variables[variable.name()] = variable.value();
  return input;
}

}  // namespace

OauthSweeper::OauthSweeper(storage::Store* store, TokenClient* client, std::function<absl::Time()> clock,
                           std::function<absl::Time()> monotonic_clock, Logger* logger, Options options)
    : store_(store),
      client_(client),
      clock_(std::move(clock)),
      monotonic_clock_(monotonic_clock != nullptr ? std::move(monotonic_clock) : MonotonicNow),
      logger_(logger),
      options_(options),
      queue_(std::make_shared<WorkQueue>(options.background ? 1 : 0, monotonic_clock_)) {
  queue_->Post([this] { Tick(); });
}

OauthSweeper::~OauthSweeper() { queue_->Stop(); }

size_t OauthSweeper::in_flight() const {
  absl::MutexLock lock(&mutex_);
  return in_flight_;
}

void OauthSweeper::RunDue() { queue_->RunDue(); }

void OauthSweeper::Tick() {
  const absl::Status status = Sweep();
  if (!status.ok() && logger_ != nullptr) {
    logger_->Write(LogLevel::kError, "revocations and connection attempts could not be swept",
                   {{"error", status.ToString()}});
  }
  queue_->PostAt(monotonic_clock_() + options_.interval, [this] { Tick(); });
}

size_t OauthSweeper::Places() const { return options_.max_in_flight - std::min(options_.max_in_flight, in_flight()); }

absl::Status OauthSweeper::Sweep() {
  const absl::Time now = clock_();
  // Before the view, so that what is added meanwhile is looked at the next time.
  const Generations generations = {store_->Generation(Table::kRevocation),
                                   store_->Generation(Table::kConnectionAttempt)};
  if (swept_ == generations && now < next_due_) return absl::OkStatus();
  const auto view = store_->View();
  ASSIGN_OR_RETURN(const auto orgs, ScanRecords<records::OrgRecord>(*view, Table::kOrg, "", ""));
  next_due_ = absl::InfiniteFuture();
  swept_.reset();
  for (const auto& org : orgs) {
    absl::Status status = SweepAttempts(*view, org.record.id(), now);
    if (status.ok()) status = SweepRevocations(*view, org.record.id(), now);
    // The org was destroyed and its own record is about to go.
    if (!absl::IsNotFound(status)) RETURN_IF_ERROR(status);
  }
  swept_ = generations;
  return absl::OkStatus();
}

absl::Status OauthSweeper::SweepAttempts(const storage::StoreView& view, const std::string& org, absl::Time now) {
  storage::Mutation mutation;
  size_t found = 0;
  absl::Status decoded;
  RETURN_IF_ERROR(view.ScanAll(Table::kConnectionAttempt, org, [&](storage::Record stored) {
    storage::Wiped<records::ConnectionAttemptRecord> attempt;
    decoded = storage::ParseSecretInto(stored.payload, *attempt);
    if (!decoded.ok()) return false;
    const absl::Time due = absl::FromUnixNanos(attempt->expire_time()) + kAttemptKept;
    if (due > now || found == kMaxAttempts) {
      next_due_ = std::min(next_due_, due);
      return true;
    }
    ++found;
    // What has ended so long ago no longer changes, so its revision does not matter.
    mutation.Delete({Table::kConnectionAttempt, org, attempt->parent(), attempt->id()}, std::nullopt);
    for (const std::string& hash : {attempt->start_hash(), attempt->state_hash()}) {
      if (hash.empty()) continue;
      mutation.Delete({Table::kConnectionAttemptIndex, "", "", absl::BytesToHexString(hash)}, std::nullopt);
    }
    return true;
  }));
  RETURN_IF_ERROR(decoded);
  // What a crash undoes is swept again.
  return found == 0 ? absl::OkStatus() : store_->Commit(mutation, Durability::kBuffered).status();
}

absl::Status OauthSweeper::SweepRevocations(const storage::StoreView& view, const std::string& org, absl::Time now) {
  std::vector<storage::Wiped<records::RevocationRecord>> due;
  std::vector<storage::Revision> revisions;
  const size_t places = Places();
  absl::Status decoded;
  RETURN_IF_ERROR(view.Scan(Table::kRevocation, org, "", [&](storage::Record stored) {
    storage::Wiped<records::RevocationRecord> record;
    decoded = storage::ParseSecretInto(stored.payload, *record);
    if (!decoded.ok()) return false;
    const absl::Time next = absl::FromUnixNanos(record->next_attempt_time());
    if (next > now || due.size() == places) {
      next_due_ = std::min(next_due_, next);
      return true;
    }
    due.push_back(std::move(record));
    revisions.push_back(stored.revision);
    return true;
  }));
  RETURN_IF_ERROR(decoded);
  for (size_t i = 0; i < due.size(); ++i) {
    const absl::Status status = Try(org, *due[i], revisions[i], now);
    // Another server was faster.
    if (!absl::IsAborted(status)) RETURN_IF_ERROR(status);
  }
  return absl::OkStatus();
}

absl::Status OauthSweeper::Try(const std::string& org, records::RevocationRecord& record, storage::Revision revision,
                               absl::Time now) {
  const auto provider = DefinitionOf(record.provider());
  if (now >= absl::FromUnixNanos(record.create_time()) + kRevocationPeriod || !provider.ok()) {
    if (logger_ != nullptr) {
      logger_->Write(LogLevel::kWarning, "a token could not be revoked at its provider for a day: given up",
                     {{"org", org}, {"oauth_provider", record.provider().id()}});
    }
    return Remove(org, record.id());
  }
  const absl::Time next = now + BackoffAfter(record.attempts());
  record.set_attempts(record.attempts() + 1);
  record.set_next_attempt_time(absl::ToUnixNanos(next));
  storage::Mutation mutation;
  mutation.Put({Table::kRevocation, org, "", record.id()}, storage::SerializeSecret(record),
               static_cast<uint64_t>(record.attempts()) + 1, revision);
  RETURN_IF_ERROR(store_->Commit(mutation, Durability::kBuffered).status());
  next_due_ = std::min(next_due_, next);
  {
    absl::MutexLock lock(&mutex_);
    ++in_flight_;
  }
  client_->Revoke(*provider, InputOf(record), options_.timeout,
                  [this, queue = queue_, org, id = record.id(), name = record.provider().id()](absl::Status answer) {
                    // On the client's thread, which is not to wait for the disk.
                    queue->Post([this, org, id, name, answer] { OnAnswer(org, id, name, answer); });
                  });
  return absl::OkStatus();
}

void OauthSweeper::OnAnswer(const std::string& org, const std::string& id, const std::string& provider,
                            const absl::Status& answer) {
  size_t left = 0;
  {
    absl::MutexLock lock(&mutex_);
    left = --in_flight_;
  }
  if (absl::IsFailedPrecondition(answer) && logger_ != nullptr) {
    logger_->Write(LogLevel::kWarning, "a provider refuses to revoke a token: given up",
                   {{"org", org}, {"oauth_provider", provider}, {"why", answer.message()}});
  }
  absl::Status status;
  if (answer.ok() || absl::IsFailedPrecondition(answer)) status = Remove(org, id);
  // Others may have waited for a place.
  if (status.ok() && left == 0) status = Sweep();
  if (!status.ok() && logger_ != nullptr) {
    logger_->Write(LogLevel::kError, "a revocation could not be removed", {{"error", status.ToString()}});
  }
}

absl::Status OauthSweeper::Remove(const std::string& org, const std::string& id) {
  storage::Mutation mutation;
  mutation.Delete({Table::kRevocation, org, "", id}, std::nullopt);
  const absl::Status status = store_->Commit(mutation, Durability::kBuffered).status();
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

}  // namespace keyferry::server
