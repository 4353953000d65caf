#include "server/usage/usage_recorder.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "server/errors.h"
#include "server/log.h"
#include "server/names.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Durability;
using storage::Table;

std::string UseKey(absl::string_view parent, absl::string_view id) { return absl::StrCat(parent, "\n", id); }

std::string CredentialName(absl::string_view org, const UsedCredential& used) {
  return absl::StrCat("orgs/", org, used.parent.empty() ? "" : "/", used.parent, "/credentials/", used.id);
}

void Merge(const LastUse& newer, LastUse* use) {
  use->count += newer.count;
  if (newer.time < use->time) return;
  use->time = newer.time;
  use->mcp_server = newer.mcp_server;
}

absl::Status Overloaded() {
  v1::ErrorDetail detail;
  detail.set_reason("USAGE_BACKLOG");
  detail.set_next_step("Repeat the call.");
  detail.set_retry_delay_ms(1000);
  return MakeError(absl::StatusCode::kUnavailable, "too many uses wait to be recorded; nothing was given out", detail);
}

}  // namespace

UsageRecorder::UsageRecorder(storage::Store* store, Clock clock, Logger* logger, Options options)
    : store_(store), clock_(std::move(clock)), logger_(logger), options_(options) {}

absl::StatusOr<std::unique_ptr<UsageRecorder>> UsageRecorder::Start(storage::Store* store, Clock clock, Logger* logger,
                                                                    Options options) {
  auto recorder = std::unique_ptr<UsageRecorder>(new UsageRecorder(store, std::move(clock), logger, options));
  // Events stay in the order of their ids across restarts.
  recorder->next_sequence_ = static_cast<uint64_t>(std::max<int64_t>(1, absl::ToUnixMicros(recorder->clock_())));
  RETURN_IF_ERROR(recorder->Replay());
  if (options.background) recorder->background_ = std::thread([r = recorder.get()] { r->RunBackground(); });
  return recorder;
}

UsageRecorder::~UsageRecorder() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (!background_.joinable()) return;
  background_.join();
  // Left over events are folded by the next Start.
  FoldNow().IgnoreError();
}

absl::Status UsageRecorder::Record(const ResolutionEvent& event) {
  bool full = false;
  {
    absl::ReaderMutexLock lock(&mutex_);
    full = IsFull();
  }
  // The asker waits for the fold rather than letting memory grow.
  if (full && !FoldNow().ok()) return Overloaded();
  const absl::Time now = clock_();
  std::string sequence = absl::StrFormat("%016x", next_sequence_.fetch_add(1));
  records::UsageEventRecord record;
  record.set_time(absl::ToUnixNanos(now));
  record.set_mcp_server(event.mcp_server);
  record.set_principal(event.principal);
  record.set_user(event.user);
  record.set_team(event.team);
  record.set_sequence(sequence);
  for (const UsedCredential& used : event.credentials) {
    records::CredentialUse* use = record.add_credentials();
    use->set_credential(CredentialName(event.org, used));
    use->set_version(used.version);
  }
  storage::Mutation mutation;
  // No sequence number comes twice, so there is nothing to look for first.
  mutation.Put({Table::kUsageEvent, event.org, "", sequence}, storage::SerializeSecret(record), /*version=*/1,
               /*expected=*/std::nullopt);
  RETURN_IF_ERROR(store_->Commit(mutation, Durability::kBuffered).status());
  absl::MutexLock lock(&mutex_);
  Add(event.org, event.credentials, event.mcp_server, now, std::move(sequence));
  return absl::OkStatus();
}

bool UsageRecorder::IsFull() const {
  return pending_events_ >= options_.max_pending_events || pending_credentials_ >= options_.max_pending_credentials;
}

void UsageRecorder::Add(const std::string& org, const std::vector<UsedCredential>& credentials,
                        absl::string_view mcp_server, absl::Time time, std::string event) {
  OrgPending& pending = pending_[org];
  const LastUse use = {time, std::string(mcp_server), 1};
  for (const UsedCredential& used : credentials) {
    const auto [entry, added] = pending.uses.try_emplace(UseKey(used.parent, used.id));
    if (added) ++pending_credentials_;
    Merge(use, &entry->second);
  }
  pending.events.push_back(std::move(event));
  ++pending_events_;
  dirty_ = true;
}

absl::StatusOr<LastUse> UsageRecorder::Find(const storage::StoreView& view, absl::string_view org,
                                            absl::string_view parent, absl::string_view id, absl::Time created) const {
  LastUse found;
  ASSIGN_OR_RETURN(const auto stored,
                   ReadRecord<records::CredentialUsageRecord>(
                       view, {Table::kCredentialUsage, std::string(org), std::string(parent), std::string(id)}));
  if (stored.has_value()) {
    const records::CredentialUsageRecord& record = stored->record;
    found = {absl::FromUnixNanos(record.last_use_time()), record.mcp_server(), record.count()};
  }
  {
    const std::string key = UseKey(parent, id);
    absl::ReaderMutexLock lock(&mutex_);
    for (const Pending* table : {&folding_, &pending_}) {
      const auto of_org = table->find(org);
      if (of_org == table->end()) continue;
      const auto use = of_org->second.uses.find(key);
      if (use != of_org->second.uses.end()) Merge(use->second, &found);
    }
  }
  return found.time < created ? LastUse() : found;
}

absl::Status UsageRecorder::FoldNow() {
  absl::MutexLock fold_lock(&fold_mutex_);
  Pending taken;
  {
    absl::MutexLock lock(&mutex_);
    folding_ = std::move(pending_);
    pending_.clear();
    pending_events_ = 0;
    pending_credentials_ = 0;
    taken = folding_;
  }
  absl::Status result;
  std::vector<std::string> refused;
  for (const auto& [org, pending] : taken) {
    const absl::Status folded = FoldOrg(org, pending);
    // A destroyed org has taken its events with it.
    if (folded.ok() || absl::IsNotFound(folded)) continue;
    refused.push_back(org);
    result = folded;
  }
  if (!taken.empty()) result.Update(store_->Sync());
  absl::MutexLock lock(&mutex_);
  for (const std::string& org : refused) MergeBack(org, std::move(taken[org]));
  folding_.clear();
  return result;
}

void UsageRecorder::MergeBack(const std::string& org, OrgPending refused) {
  OrgPending& pending = pending_[org];
  for (const auto& [key, use] : refused.uses) {
    const auto [entry, added] = pending.uses.try_emplace(key);
    if (added) ++pending_credentials_;
    Merge(use, &entry->second);
  }
  pending_events_ += refused.events.size();
  pending.events.insert(pending.events.end(), std::make_move_iterator(refused.events.begin()),
                        std::make_move_iterator(refused.events.end()));
}

absl::Status UsageRecorder::FoldOrg(const std::string& org, const OrgPending& pending) {
  const std::unique_ptr<storage::StoreView> view = store_->View();
  storage::Mutation mutation;
  for (const auto& [key, use] : pending.uses) {
    const size_t newline = key.find('\n');
    const std::string parent = key.substr(0, newline);
    const std::string id = key.substr(newline + 1);
    ASSIGN_OR_RETURN(const bool exists, view->Contains({Table::kCredential, org, parent, id}));
    if (!exists) continue;
    storage::RecordKey usage_key = {Table::kCredentialUsage, org, parent, id};
    ASSIGN_OR_RETURN(const auto stored, ReadRecord<records::CredentialUsageRecord>(*view, usage_key));
    LastUse total = use;
    if (stored.has_value()) {
      Merge({absl::FromUnixNanos(stored->record.last_use_time()), stored->record.mcp_server(), stored->record.count()},
            &total);
    }
    records::CredentialUsageRecord record;
    record.set_parent(parent);
    record.set_id(id);
    record.set_last_use_time(absl::ToUnixNanos(total.time));
    record.set_mcp_server(total.mcp_server);
    record.set_count(total.count);
    mutation.Put(std::move(usage_key), storage::SerializeSecret(record), /*version=*/1, /*expected=*/std::nullopt);
  }
  for (const std::string& event : pending.events) {
    mutation.Delete({Table::kUsageEvent, org, "", event}, /*expected=*/std::nullopt);
  }
  return store_->Commit(mutation, Durability::kBuffered).status();
}

absl::Status UsageRecorder::Replay() {
  const std::unique_ptr<storage::StoreView> view = store_->View();
  ASSIGN_OR_RETURN(const auto orgs, ScanRecords<records::OrgRecord>(*view, Table::kOrg, "", ""));
  for (const auto& org : orgs) RETURN_IF_ERROR(ReplayOrg(*view, org.record.id()));
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (pending_.empty()) return absl::OkStatus();
  }
  return FoldNow();
}

absl::Status UsageRecorder::ReplayOrg(const storage::StoreView& view, const std::string& org) {
  auto events = ScanRecords<records::UsageEventRecord>(view, Table::kUsageEvent, org, "");
  // The org was destroyed and its own record is about to go.
  if (absl::IsNotFound(events.status())) return absl::OkStatus();
  RETURN_IF_ERROR(events.status());
  for (const auto& event : *events) {
    std::vector<UsedCredential> credentials;
    for (const records::CredentialUse& use : event.record.credentials()) {
      const absl::StatusOr<ChildName> name = ParseChild(use.credential(), "credentials", "credential");
      if (name.ok()) credentials.push_back({name->parent.RecordParent(), name->id, use.version()});
    }
    uint64_t sequence = 0;
    if (absl::SimpleHexAtoi(event.record.sequence(), &sequence) && sequence >= next_sequence_) {
      next_sequence_ = sequence + 1;
    }
    absl::MutexLock lock(&mutex_);
    Add(org, credentials, event.record.mcp_server(), absl::FromUnixNanos(event.record.time()), event.record.sequence());
  }
  return absl::OkStatus();
}

void UsageRecorder::RunBackground() {
  absl::Time last_fold = absl::Now();
  bool failing = false;
  while (true) {
    bool fold = false;
    {
      absl::MutexLock lock(&mutex_);
      mutex_.Await(absl::Condition(this, &UsageRecorder::ShouldWake));
      // After a failure nothing but the end cuts the wait short.
      mutex_.AwaitWithTimeout(failing ? absl::Condition(&stopping_) : absl::Condition(this, &UsageRecorder::ShouldFold),
                              failing ? absl::Seconds(1) : options_.sync_interval);
      if (stopping_) return;
      fold = ShouldFold() || absl::Now() - last_fold >= options_.fold_interval;
      if (!fold && !dirty_) continue;
      dirty_ = false;
    }
    const absl::Status done = fold ? FoldNow() : store_->Sync();
    if (fold) last_fold = absl::Now();
    if (!done.ok()) {
      absl::MutexLock lock(&mutex_);
      dirty_ = true;
    }
    if (!done.ok() && !failing && logger_ != nullptr) {
      logger_->Write(LogLevel::kError, "uses could not be made durable", {{"error", done.ToString()}});
    }
    failing = !done.ok();
  }
}

}  // namespace keyferry::server
