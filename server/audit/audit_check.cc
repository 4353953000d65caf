#include "server/audit/audit_check.h"

#include <vector>

#include "server/records.h"
#include "server/status_macros.h"
#include "storage/journal.h"
#include "storage/records/records.pb.h"

namespace keyferry::server {
namespace {

constexpr absl::Duration kPause = absl::Milliseconds(100);

}  // namespace

absl::Status AuditCheck::CheckLog(const std::string& org, const Pause& pause) {
  storage::JournalCheck check(org);
  while (true) {
    ASSIGN_OR_RETURN(const bool done, check.Follow(*store_->View(), kBlocksAtOnce, /*visit=*/nullptr));
    if (!pause()) return absl::CancelledError("the server stops");
    if (done) break;
  }
  const bool damaged = check.damage().has_value();
  // Of an org that was deleted meanwhile nothing is there any more.
  if (damaged && absl::IsNotFound(store_->GetKeyringInfo(org).status())) return absl::NotFoundError("the org is gone");
  rules_->NoteCheck(org, damaged);
  if (damaged && logger_ != nullptr) {
    logger_->Write(LogLevel::kError, "audit log damaged",
                   {{"org", org},
                    {"sequence", static_cast<int64_t>(check.damage()->sequence)},
                    {"problem", check.damage()->problem}});
  }
  return absl::OkStatus();
}

absl::Status AuditCheck::RunOnce(const Pause& pause) {
  std::vector<std::string> orgs = {""};
  ASSIGN_OR_RETURN(const auto stored,
                   ScanRecords<storage::records::OrgRecord>(*store_->View(), storage::Table::kOrg, "", ""));
  for (const auto& org : stored) orgs.push_back(org.record.id());
  absl::Status result;
  for (const std::string& org : orgs) {
    const absl::Status checked = CheckLog(org, pause);
    if (absl::IsCancelled(checked)) return checked;
    // An org that is gone took its log with it.
    if (!absl::IsNotFound(checked)) result.Update(checked);
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
