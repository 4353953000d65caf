#include "server/audit/audit_check.h"

#include <optional>
#include <vector>

#include "server/records.h"
#include "server/status_macros.h"
#include "storage/journal.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(100);

}  // namespace

absl::StatusOr<std::optional<storage::JournalDamage>> AuditCheck::Follow(const std::string& org, const Pause& pause) {
  storage::JournalCheck check(org);
  while (true) {
    ASSIGN_OR_RETURN(const bool done, check.Follow(*store_->View(), kBlocksAtOnce, /*visit=*/nullptr));
    if (!pause()) return absl::CancelledError("the server stops");
    if (done) break;
  }
  // The system's log begins with whatever happens first.
  if (org.empty() || check.damage().has_value() || check.last_sequence() != 0) return check.damage();
  return storage::JournalDamage{1, "the log is empty, and the making of an organization is its first entry"};
}

absl::StatusOr<bool> AuditCheck::HasLostKeyring(const std::string& org) {
  const storage::RecordKey key{storage::Table::kOrg, "", "", org};
  ASSIGN_OR_RETURN(const auto before, ReadRecord<storage::records::OrgRecord>(*store_->View(), key));
  const absl::Status keyring = store_->GetKeyringInfo(org).status();
  if (!keyring.ok() && !absl::IsNotFound(keyring)) return keyring;
  ASSIGN_OR_RETURN(const auto after, ReadRecord<storage::records::OrgRecord>(*store_->View(), key));
  if (keyring.ok() || !before.has_value() || !after.has_value()) return false;
  return before->revision == after->revision && !after->record.deleting();
}

absl::Status AuditCheck::CheckLog(const std::string& org, const Pause& pause) {
  absl::StatusOr<std::optional<storage::JournalDamage>> damage = Follow(org, pause);
  if (!damage.ok() && !absl::IsNotFound(damage.status())) return damage.status();
  absl::Status asked;
  if (!org.empty() && (!damage.ok() || damage->has_value())) {
    const absl::StatusOr<bool> lost = HasLostKeyring(org);
    asked = lost.status();
    // Of an org that was deleted meanwhile nothing is there any more.
    if (lost.ok() && !*lost && absl::IsNotFound(store_->GetKeyringInfo(org).status())) {
      return absl::NotFoundError("the org is gone");
    }
    if (lost.ok() && *lost)
      damage = storage::JournalDamage{0, "the keyring of the organization is missing, and its record is not"};
  }
  if (!damage.ok()) return asked.ok() ? damage.status() : asked;
  // What was found is told, whatever could not be asked.
  rules_->NoteCheck(org, damage->has_value());
  if (damage->has_value() && logger_ != nullptr) {
    const storage::JournalDamage& found = **damage;
    logger_->Write(LogLevel::kError, "audit log damaged",
                   {{"org", org}, {"sequence", static_cast<int64_t>(found.sequence)}, {"problem", found.problem}});
  }
  return asked;
}

absl::Status AuditCheck::RunOnce(const Pause& pause) {
  std::vector<std::string> orgs = {""};
  ASSIGN_OR_RETURN(const auto stored,
                   ScanRecords<storage::records::OrgRecord>(*store_->View(), storage::Table::kOrg, "", ""));
  for (const auto& org : stored) orgs.push_back(org.record.id());
  rules_->KeepDamaged({orgs.begin(), orgs.end()});
  absl::Status result;
  for (const std::string& org : orgs) {
    const absl::Status checked = CheckLog(org, pause);
    if (absl::IsCancelled(checked)) return checked;
    // An org that is gone took its log with it.
    if (absl::IsNotFound(checked)) {
      rules_->ForgetDamage(org);
    } else {
      result.Update(checked);
    }
  }
  RETURN_IF_ERROR(result);
  last_run_ = absl::ToUnixNanos(clock_());
  return absl::OkStatus();
}

BackgroundAuditCheck::BackgroundAuditCheck(storage::Store* store, AuditRules* rules, std::function<absl::Time()> clock,
                                           Logger* logger, absl::Duration delay, absl::Duration interval)
    : check_(store, rules, std::move(clock), logger),
      logger_(logger),
      interval_(interval),
      thread_([this, delay] { Run(delay); }) {}

BackgroundAuditCheck::~BackgroundAuditCheck() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
  }
  thread_.join();
}

bool BackgroundAuditCheck::Wait(absl::Duration time) {
  absl::MutexLock lock(&mutex_);
  return !mutex_.AwaitWithTimeout(absl::Condition(&stopping_), time);
}

void BackgroundAuditCheck::Run(absl::Duration delay) {
  for (bool go_on = Wait(delay); go_on; go_on = Wait(interval_)) {
    const absl::Status status = check_.RunOnce([this] { return Wait(kPause); });
    if (status.ok() || absl::IsCancelled(status) || logger_ == nullptr) continue;
    logger_->Write(LogLevel::kError, "audit logs could not be checked", {{"problem", status.message()}});
  }
}

}  // namespace keyferry::server
