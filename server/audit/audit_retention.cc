#include "server/audit/audit_retention.h"

#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "keyferry/v1/audit.pb.h"
#include "server/audit/audit_filter.h"
#include "server/records.h"
#include "server/status_macros.h"
#include "storage/journal.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

namespace records = storage::records;
using storage::JournalBlock;
using storage::JournalHead;
using storage::Table;

// As many as one commit deletes (storage::Mutation::PruneJournal).
constexpr uint64_t kBlocksPerCommit = 1000;

// The last sequence whose uses stand in the records of credentials. No use is counted from the system's journal.
absl::StatusOr<uint64_t> LastCounted(const storage::StoreView& view, const std::string& org) {
  if (org.empty()) return std::numeric_limits<uint64_t>::max();
  ASSIGN_OR_RETURN(const auto state,
                   ReadRecord<records::UsageStateRecord>(view, {Table::kUsageState, org, "", "state"}));
  return state.has_value() ? static_cast<uint64_t>(state->record.counted_sequence()) : 0;
}

absl::StatusOr<bool> IsOlder(const JournalBlock& block, absl::Time cutoff) {
  v1::AuditEntry last;
  if (!last.ParseFromString(block.entries.back().payload)) {
    return absl::DataLossError(absl::StrCat("entry ", block.last_sequence(), " of a journal is not an audit entry"));
  }
  return TimeOf(last) < cutoff;
}

// That the org is the one of the view: another that was made since under its name has a journal of its own.
absl::Status RequireOrg(const storage::StoreView& view, const std::string& org, storage::Mutation* mutation) {
  if (org.empty()) return absl::OkStatus();
  const storage::RecordKey key{Table::kOrg, "", "", org};
  ASSIGN_OR_RETURN(const auto stored, ReadRecord<records::OrgRecord>(view, key));
  if (!stored.has_value()) return absl::NotFoundError(absl::StrCat("orgs/", org, " is gone"));
  mutation->Require(key, stored->revision);
  return absl::OkStatus();
}

std::string PruneEntry(const std::string& org, absl::Time now) {
  v1::AuditEntry entry;
  const timespec time = absl::ToTimespec(now);
  entry.mutable_time()->set_seconds(time.tv_sec);
  entry.mutable_time()->set_nanos(static_cast<int32_t>(time.tv_nsec));
  entry.set_method("keyferryd/PruneAudit");
  if (!org.empty()) entry.set_resource(absl::StrCat("orgs/", org));
  return entry.SerializeAsString();
}

}  // namespace

absl::StatusOr<uint64_t> AuditRetention::PruneSome(const std::string& org, absl::Time now, bool* more) {
  *more = false;
  auto view = store_->View();
  storage::Mutation mutation;
  RETURN_IF_ERROR(RequireOrg(*view, org, &mutation));
  ASSIGN_OR_RETURN(const JournalHead head, storage::ReadJournalHead(*view, org));
  ASSIGN_OR_RETURN(const uint64_t counted, LastCounted(*view, org));
  uint64_t next = head.first_block;
  uint64_t next_sequence = head.first_sequence;
  storage::Sha256Digest previous_hash = head.first_previous_hash;
  // The newest block stays: the head names it.
  for (; next < head.last_block && next - head.first_block < kBlocksPerCommit; ++next) {
    ASSIGN_OR_RETURN(const JournalBlock block, storage::ReadJournalBlock(*view, org, next));
    if (block.first_sequence != next_sequence || block.previous_hash != previous_hash) {
      return absl::DataLossError(absl::StrCat("block ", next, " of a journal does not follow the one before it"));
    }
    ASSIGN_OR_RETURN(const bool older, IsOlder(block, now - keep_));
    if (!older || block.last_sequence() > counted) break;
    next_sequence = block.last_sequence() + 1;
    previous_hash = block.last_hash();
  }
  if (next == head.first_block) return 0;
  *more = next - head.first_block == kBlocksPerCommit;
  // It would keep the files of an org alive that is being deleted.
  view.reset();
  mutation.PruneJournal(org, next, next_sequence, previous_hash);
  mutation.Append(org, PruneEntry(org, now));
  RETURN_IF_ERROR(store_->Commit(mutation, storage::Durability::kSynced).status());
  return next_sequence - head.first_sequence;
}

absl::StatusOr<uint64_t> AuditRetention::RunOnce() {
  const absl::Time now = clock_();
  std::vector<std::string> orgs = {""};
  ASSIGN_OR_RETURN(const auto stored, ScanRecords<records::OrgRecord>(*store_->View(), Table::kOrg, "", ""));
  for (const auto& org : stored) orgs.push_back(org.record.id());
  uint64_t pruned = 0;
  absl::Status result;
  for (const std::string& org : orgs) {
    for (bool more = true; more;) {
      const absl::StatusOr<uint64_t> some = PruneSome(org, now, &more);
      if (some.ok()) pruned += *some;
      // A damaged journal is left as evidence, and must not keep the others from being pruned. An org that is gone took
      // its own with it; one that was changed or made anew meanwhile has its turn in the next run.
      if (!some.ok() && !absl::IsNotFound(some.status()) && !absl::IsAborted(some.status())) {
        result.Update(some.status());
      }
      more = more && some.ok();
    }
  }
  RETURN_IF_ERROR(result);
  return pruned;
}

BackgroundAuditRetention::BackgroundAuditRetention(storage::Store* store, Clock clock, absl::Duration keep,
                                                   Logger* logger, absl::Duration interval)
    : retention_(store, std::move(clock), keep), logger_(logger), interval_(interval) {
  if (keep < absl::InfiniteDuration()) thread_ = std::thread([this] { Run(); });
}

BackgroundAuditRetention::~BackgroundAuditRetention() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  if (thread_.joinable()) thread_.join();
}

void BackgroundAuditRetention::Run() {
  while (true) {
    const absl::StatusOr<uint64_t> pruned = retention_.RunOnce();
    if (logger_ != nullptr && !pruned.ok()) {
      logger_->Write(LogLevel::kError, "audit entries could not be pruned", {{"error", pruned.status().ToString()}});
    } else if (logger_ != nullptr && *pruned > 0) {
      logger_->Write(LogLevel::kInfo, "audit entries pruned", {{"entries", static_cast<int64_t>(*pruned)}});
    }
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stopping_), interval_)) return;
  }
}

}  // namespace keyferry::server
