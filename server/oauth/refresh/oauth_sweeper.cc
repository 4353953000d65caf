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
// Before a revocation is given up.
constexpr int kLeastTries = 5;
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
      queue_(std::make_shared<WorkQueue>("oauth-sweep", options.background ? 1 : 0, monotonic_clock_)) {
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
  std::vector<Due> due;
  absl::Status status;
  for (const auto& org : orgs) {
    Due found;
    found.org = org.record.id();
    absl::Status swept = SweepAttempts(*view, found.org, now);
    swept.Update(FindDue(*view, now, &found));
    if (!found.revocations.empty()) due.push_back(std::move(found));
    // The org was destroyed and its own record is about to go.
    if (!absl::IsNotFound(swept)) status.Update(swept);
  }
  status.Update(TryInTurns(*view, due, now));
  if (status.ok()) swept_ = generations;
  return status;
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

absl::Status OauthSweeper::FindDue(const storage::StoreView& view, absl::Time now, Due* due) {
  absl::Status decoded;
  const absl::Status scanned = view.Scan(Table::kRevocation, due->org, "", [&](storage::Record stored) {
    storage::Wiped<records::RevocationRecord> record;
    const absl::Status parsed = storage::ParseSecretInto(stored.payload, *record);
    decoded.Update(parsed);
    if (!parsed.ok()) return true;
    const absl::Time next = absl::FromUnixNanos(record->next_attempt_time());
    if (next > now) {
      next_due_ = std::min(next_due_, next);
      return true;
    }
    due->revocations.emplace_back(record->attempts(), record->next_attempt_time(), record->id());
    std::push_heap(due->revocations.begin(), due->revocations.end());
    if (due->revocations.size() > options_.max_in_flight) {
      std::pop_heap(due->revocations.begin(), due->revocations.end());
      due->revocations.pop_back();
      next_due_ = absl::InfinitePast();
    }
    return true;
  });
  std::sort(due->revocations.begin(), due->revocations.end());
  return scanned.ok() ? decoded : scanned;
}

size_t OauthSweeper::ShareOf(const std::vector<Due>& due) const {
  absl::MutexLock lock(&mutex_);
  size_t active = due.size();
  for (const auto& [org, count] : in_flight_of_) {
    if (std::none_of(due.begin(), due.end(), [&org = org](const Due& d) { return d.org == org; })) ++active;
  }
  return std::max<size_t>(options_.max_in_flight / (active + 1), 1);
}

bool OauthSweeper::HasPlace(const std::string& org, size_t share) const {
  absl::MutexLock lock(&mutex_);
  const auto own = in_flight_of_.find(org);
  return in_flight_ < options_.max_in_flight && (own == in_flight_of_.end() || own->second < share);
}

absl::Status OauthSweeper::TryInTurns(const storage::StoreView& view, std::vector<Due>& due, absl::Time now) {
  if (due.empty()) return absl::OkStatus();
  const auto first = std::find_if(due.begin(), due.end(), [this](const Due& d) { return d.org == first_org_; });
  if (first != due.end()) std::rotate(due.begin(), first, due.end());
  // Whoever comes second now, or else whoever was left without a place.
  first_org_ = due[due.size() > 1 ? 1 : 0].org;
  const size_t share = ShareOf(due);
  absl::Status status;
  bool left_out = false;
  for (Due& one : due) {
    while (one.tried < one.revocations.size() && HasPlace(one.org, share)) {
      const absl::Status tried = Try(view, one.org, std::get<2>(one.revocations[one.tried++]), now);
      // Another server was faster, or the org is gone.
      if (!absl::IsAborted(tried) && !absl::IsNotFound(tried)) status.Update(tried);
    }
    if (one.tried < one.revocations.size()) next_due_ = absl::InfinitePast();
    if (one.tried > 0 || left_out) continue;
    left_out = true;
    first_org_ = one.org;
  }
  return status;
}

absl::Status OauthSweeper::Try(const storage::StoreView& view, const std::string& org, const std::string& id,
                               absl::Time now) {
  ASSIGN_OR_RETURN(const auto stored, view.Get({Table::kRevocation, org, "", id}));
  if (!stored.has_value()) return absl::OkStatus();
  storage::Wiped<records::RevocationRecord> wiped;
  records::RevocationRecord& record = *wiped;
  RETURN_IF_ERROR(storage::ParseSecretInto(stored->payload, record));
  const auto provider = DefinitionOf(record.provider());
  const bool over = now >= absl::FromUnixNanos(record.create_time()) + kRevocationPeriod;
  if ((over && record.attempts() >= kLeastTries) || !provider.ok()) {
    if (logger_ != nullptr) {
      logger_->Write(LogLevel::kWarning,
                     provider.ok() ? "a token could not be revoked at its provider for a day: given up"
                                   : "a token cannot be revoked, since its provider cannot be read: given up",
                     {{"org", org}, {"oauth_provider", record.provider().id()}});
    }
    return Remove(org, record.id());
  }
  const absl::Time next = now + BackoffAfter(record.attempts());
  record.set_attempts(record.attempts() + 1);
  record.set_next_attempt_time(absl::ToUnixNanos(next));
  storage::Mutation mutation;
  mutation.Put({Table::kRevocation, org, "", record.id()}, storage::SerializeSecret(record),
               static_cast<uint64_t>(record.attempts()) + 1, stored->revision);
  RETURN_IF_ERROR(store_->Commit(mutation, Durability::kBuffered).status());
  next_due_ = std::min(next_due_, next);
  {
    absl::MutexLock lock(&mutex_);
    ++in_flight_;
    ++in_flight_of_[org];
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
    --in_flight_;
    const auto own = in_flight_of_.find(org);
    left = --own->second;
    if (left == 0) in_flight_of_.erase(own);
  }
  if (absl::IsFailedPrecondition(answer) && logger_ != nullptr) {
    logger_->Write(LogLevel::kWarning, "a provider refuses to revoke a token: given up",
                   {{"org", org}, {"oauth_provider", provider}, {"why", answer.message()}});
  }
  absl::Status status;
  if (answer.ok() || absl::IsFailedPrecondition(answer)) status = Remove(org, id);
  // Others of the organization may have waited for a place.
  if (status.ok() && left == 0 && next_due_ <= clock_()) status = Sweep();
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
