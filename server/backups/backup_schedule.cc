#include "server/backups/backup_schedule.h"

#include <algorithm>
#include <utility>

namespace keyferry::server {
namespace {

constexpr absl::Duration kRetryAfter = absl::Minutes(10);
// The clock may be set, and backups be made by hand, meanwhile.
constexpr absl::Duration kLookAgain = absl::Minutes(1);

}  // namespace

absl::Time NextBackupTime(absl::Time newest, const BackupState& state, absl::Duration every, absl::Time now) {
  // One from the future says only that the clock was wrong.
  if (newest > now) newest = absl::InfinitePast();
  absl::Time due = std::max({newest + every, state.last_success + every, absl::UnixEpoch()});
  if (!state.last_failure.ok()) due = std::max(due, state.last_failure_time + std::min(every, kRetryAfter));
  return due;
}

BackupSchedule::BackupSchedule(Backups* backups, absl::Duration every, std::function<absl::Time()> clock)
    : backups_(backups), every_(every), clock_(std::move(clock)), thread_([this] { Run(); }) {}

BackupSchedule::~BackupSchedule() {
  backups_->Stop();
  {
    absl::MutexLock lock(&mutex_);
    stop_ = true;
  }
  thread_.join();
}

void BackupSchedule::Run() {
  while (true) {
    const absl::Time now = clock_();
    const absl::Time due = NextBackupTime(backups_->NewestTime(), backups_->state(), every_, now);
    // What fails is logged and looked at again.
    if (due <= now) backups_->CreateScheduled().IgnoreError();
    const absl::Duration wait = due <= now ? absl::ZeroDuration() : std::min(due - now, kLookAgain);
    absl::MutexLock lock(&mutex_);
    if (mutex_.AwaitWithTimeout(absl::Condition(&stop_), wait)) return;
  }
}

}  // namespace keyferry::server
