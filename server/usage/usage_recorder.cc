#include "server/usage/usage_recorder.h"

#include <algorithm>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/errors.h"
#include "server/log.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "server/usage/used_name.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::Durability;
using storage::Table;

// A fold commits in steps of so many credentials, so that nobody waits long behind one.
constexpr size_t kFoldStep = 64;

// Before the provider's id, in the id of a connection's record.
constexpr absl::string_view kConnections = "connections/";

std::string UseKey(absl::string_view parent, absl::string_view id) { return absl::StrCat(parent, "\n", id); }

std::string UsageId(const UsedCredential& used) {
  return used.connection ? absl::StrCat(kConnections, used.id) : used.id;
}

// What is used, by the id of its record in kCredentialUsage.
storage::RecordKey UsedKey(const std::string& org, const std::string& parent, absl::string_view usage_id) {
  const bool connection = absl::ConsumePrefix(&usage_id, kConnections);
  return {connection ? Table::kConnection : Table::kCredential, org, parent, std::string(usage_id)};
}

storage::RecordKey StateKey(const std::string& org) { return {Table::kUsageState, org, "", "state"}; }

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

absl::StatusOr<std::optional<Stored<records::CredentialUsageRecord>>> ReadUsage(const storage::StoreView& view,
                                                                                const std::string& org,
                                                                                absl::string_view parent,
                                                                                absl::string_view id) {
  return ReadRecord<records::CredentialUsageRecord>(
      view, {Table::kCredentialUsage, org, std::string(parent), std::string(id)});
}

}  // namespace

storage::RecordKey ConnectionUsageKey(absl::string_view org, absl::string_view parent, absl::string_view provider) {
  return {Table::kCredentialUsage, std::string(org), std::string(parent), absl::StrCat(kConnections, provider)};
}

UsageRecorder::UsageRecorder(storage::Store* store, AuditLog* audit, Clock clock, Logger* logger, Options options)
    : store_(store), audit_(audit), clock_(std::move(clock)), logger_(logger), options_(options) {}

absl::StatusOr<std::unique_ptr<UsageRecorder>> UsageRecorder::Start(storage::Store* store, AuditLog* audit, Clock clock,
                                                                    Logger* logger, Options options) {
  auto recorder = std::unique_ptr<UsageRecorder>(new UsageRecorder(store, audit, std::move(clock), logger, options));
  RETURN_IF_ERROR(recorder->Replay());
  audit->AddObserver([r = recorder.get()](const AuditedCall& call) { r->Observe(call); });
  if (options.background) recorder->background_ = std::thread([r = recorder.get()] { r->RunBackground(); });
  return recorder;
}

UsageRecorder::~UsageRecorder() {
  audit_->StopObserving();
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (!background_.joinable()) return;
  background_.join();
  // What is left over is counted by the next Start.
  FoldNow().IgnoreError();
}

absl::Status UsageRecorder::Record(const Caller& caller, ResolutionEvent event) {
  if (caller.record == nullptr) return RecordNow(std::move(event), "ResolutionService/Resolve");
  bool full = false;
  {
    absl::ReaderMutexLock lock(&mutex_);
    full = IsFull();
  }
  // The asker waits for the fold rather than letting memory grow.
  if (full && !FoldNow().ok()) return Overloaded();
  SetResolution(std::move(event), caller.record);
  return absl::OkStatus();
}

absl::Status UsageRecorder::RecordNow(ResolutionEvent event, absl::string_view method, const std::string& peer) {
  CallRecord record;
  Caller caller;
  caller.record = &record;
  const absl::Time now = clock_();
  record.org = event.org;
  record.entry.set_method(std::string(method));
  record.entry.set_principal(event.principal);
  record.entry.set_peer(peer);
  if (!event.identity.issuer().empty()) *record.entry.mutable_identity() = event.identity;
  record.entry.mutable_time()->set_seconds(absl::ToUnixSeconds(now));
  record.entry.mutable_time()->set_nanos(static_cast<int32_t>(absl::ToUnixNanos(now) % 1000000000));
  RETURN_IF_ERROR(Record(caller, std::move(event)));
  return audit_->Store(record);
}

void UsageRecorder::Observe(const AuditedCall& call) {
  // The system's log tells of nobody's uses, and no counter could be kept for it.
  if (call.org.empty()) return;
  absl::MutexLock lock(&mutex_);
  OrgPending& pending = pending_[call.org];
  pending.sequence = call.sequence;
  if (call.resolution == nullptr) return;
  const LastUse use = {call.time, call.resolution->mcp_server, 1};
  for (const UsedCredential& used : call.resolution->credentials) {
    Add(UseKey(used.parent, UsageId(used)), use, pending);
  }
}

void UsageRecorder::Add(const std::string& key, const LastUse& use, OrgPending& pending) {
  const auto [entry, added] = pending.uses.try_emplace(key);
  if (added) ++pending_credentials_;
  Merge(use, &entry->second);
}

absl::StatusOr<LastUse> UsageRecorder::Find(const storage::StoreView& view, absl::string_view org,
                                            absl::string_view parent, absl::string_view id, absl::Time created) const {
  LastUse found;
  ASSIGN_OR_RETURN(const auto stored, ReadUsage(view, std::string(org), parent, id));
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

absl::StatusOr<LastUse> UsageRecorder::FindOfConnection(const storage::StoreView& view, absl::string_view org,
                                                        absl::string_view parent, absl::string_view provider,
                                                        absl::Time created) const {
  return Find(view, org, parent, absl::StrCat(kConnections, provider), created);
}

absl::Status UsageRecorder::FoldNow() {
  absl::MutexLock fold_lock(&fold_mutex_);
  Pending taken;
  {
    absl::MutexLock lock(&mutex_);
    folding_ = std::move(pending_);
    pending_.clear();
    pending_credentials_ = 0;
    taken = folding_;
  }
  absl::Status result;
  std::vector<std::string> refused;
  for (auto& [org, pending] : taken) {
    const absl::Status folded = FoldOrg(org, &pending);
    // A destroyed org has taken its uses with it.
    if (folded.ok() || absl::IsNotFound(folded)) continue;
    refused.push_back(org);
    result = folded;
  }
  if (!taken.empty()) result.Update(store_->Sync());
  absl::MutexLock lock(&mutex_);
  for (const std::string& org : refused) MergeBack(org, taken[org]);
  folding_.clear();
  return result;
}

void UsageRecorder::MergeBack(const std::string& org, const OrgPending& refused) {
  OrgPending& pending = pending_[org];
  pending.sequence = std::max(pending.sequence, refused.sequence);
  for (const auto& [key, use] : refused.uses) Add(key, use, pending);
}

absl::Status UsageRecorder::FoldOrg(const std::string& org, OrgPending* pending) {
  const std::unique_ptr<storage::StoreView> view = store_->View();
  while (pending->uses.size() > kFoldStep) {
    storage::Mutation mutation;
    RETURN_IF_ERROR(FoldStep(*view, org, *pending, &mutation));
    RETURN_IF_ERROR(store_->Commit(mutation, Durability::kBuffered).status());
    pending->uses.erase(pending->uses.begin(), std::next(pending->uses.begin(), kFoldStep));
  }
  storage::Mutation mutation;
  RETURN_IF_ERROR(FoldStep(*view, org, *pending, &mutation));
  records::UsageStateRecord state;
  state.set_counted_sequence(pending->sequence);
  mutation.Put(StateKey(org), storage::SerializeSecret(state), /*version=*/1, /*expected=*/std::nullopt);
  return store_->Commit(mutation, Durability::kBuffered).status();
}

absl::Status UsageRecorder::FoldStep(const storage::StoreView& view, const std::string& org, const OrgPending& pending,
                                     storage::Mutation* mutation) const {
  size_t left = kFoldStep;
  for (const auto& [key, use] : pending.uses) {
    if (left-- == 0) break;
    const size_t newline = key.find('\n');
    const std::string parent = key.substr(0, newline);
    const std::string id = key.substr(newline + 1);
    ASSIGN_OR_RETURN(const bool exists, view.Contains(UsedKey(org, parent, id)));
    if (!exists) continue;
    ASSIGN_OR_RETURN(const auto stored, ReadUsage(view, org, parent, id));
    LastUse total;
    if (stored.has_value()) {
      const records::CredentialUsageRecord& before = stored->record;
      total = {absl::FromUnixNanos(before.last_use_time()), before.mcp_server(), before.count()};
    }
    Merge(use, &total);
    records::CredentialUsageRecord record;
    record.set_parent(parent);
    record.set_id(id);
    record.set_last_use_time(absl::ToUnixNanos(total.time));
    record.set_mcp_server(total.mcp_server);
    record.set_count(total.count);
    record.set_counted_sequence(pending.sequence);
    mutation->Put({Table::kCredentialUsage, org, parent, id}, storage::SerializeSecret(record), /*version=*/1,
                  /*expected=*/std::nullopt);
  }
  return absl::OkStatus();
}

absl::Status UsageRecorder::Replay() {
  const std::unique_ptr<storage::StoreView> view = store_->View();
  ASSIGN_OR_RETURN(const auto orgs, ScanRecords<records::OrgRecord>(*view, Table::kOrg, "", ""));
  for (const auto& org : orgs) {
    const absl::Status replayed = ReplayOrg(*view, org.record.id());
    // The org was destroyed and its own record is about to go.
    if (!replayed.ok() && !absl::IsNotFound(replayed)) return replayed;
  }
  {
    absl::ReaderMutexLock lock(&mutex_);
    if (pending_.empty()) return absl::OkStatus();
  }
  return FoldNow();
}

absl::Status UsageRecorder::ReplayOrg(const storage::StoreView& view, const std::string& org) {
  ASSIGN_OR_RETURN(const auto state, ReadRecord<records::UsageStateRecord>(view, StateKey(org)));
  ASSIGN_OR_RETURN(const storage::JournalHead head, storage::ReadJournalHead(view, org));
  const int64_t counted = state.has_value() ? state->record.counted_sequence() : 0;
  const uint64_t first = std::max<uint64_t>(counted + 1, head.first_sequence);
  if (first > head.last_sequence) return absl::OkStatus();
  ASSIGN_OR_RETURN(storage::JournalBlock block, storage::FindJournalBlock(view, org, head, first));
  while (true) {
    for (const storage::JournalEntry& entry : block.entries) {
      if (entry.sequence >= first) RETURN_IF_ERROR(ReplayEntry(view, org, entry));
    }
    if (block.number == head.last_block) return absl::OkStatus();
    ASSIGN_OR_RETURN(block, storage::ReadJournalBlock(view, org, block.number + 1));
  }
}

absl::Status UsageRecorder::ReplayEntry(const storage::StoreView& view, const std::string& org,
                                        const storage::JournalEntry& entry) {
  v1::AuditEntry call;
  if (!call.ParseFromString(entry.payload)) return absl::DataLossError("an audit entry does not parse");
  const bool resolution = call.code() == 0 && absl::StartsWith(call.method(), "ResolutionService/");
  const absl::Time time = absl::FromUnixSeconds(call.time().seconds()) + absl::Nanoseconds(call.time().nanos());
  const int64_t sequence = static_cast<int64_t>(entry.sequence);
  if (!resolution) call.clear_credentials();
  for (const v1::AuditedCredential& used : call.credentials()) {
    ASSIGN_OR_RETURN(const UsedCredential name, ParseUsedName(used.credential()));
    const std::string id = UsageId(name);
    ASSIGN_OR_RETURN(const auto stored, ReadUsage(view, org, name.parent, id));
    if (stored.has_value() && stored->record.counted_sequence() >= sequence) continue;
    absl::MutexLock lock(&mutex_);
    Add(UseKey(name.parent, id), {time, call.resource(), 1}, pending_[org]);
  }
  absl::MutexLock lock(&mutex_);
  pending_[org].sequence = sequence;
  return absl::OkStatus();
}

void UsageRecorder::RunBackground() {
  for (bool failing = false;;) {
    {
      absl::MutexLock lock(&mutex_);
      mutex_.AwaitWithTimeout(failing ? absl::Condition(&stopping_) : absl::Condition(this, &UsageRecorder::ShouldFold),
                              options_.fold_interval);
      if (stopping_) return;
      if (pending_.empty()) continue;
    }
    const absl::Status folded = FoldNow();
    if (!folded.ok() && !failing && logger_ != nullptr) {
      logger_->Write(LogLevel::kError, "uses could not be folded", {{"error", folded.ToString()}});
    }
    failing = !folded.ok();
  }
}

}  // namespace keyferry::server
