#include "server/backups/backup_schedule.h"

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

TEST(NextBackupTimeTest, FollowsTheNewest) {
  const absl::Time now = absl::FromUnixSeconds(1800000000);
  const absl::Duration every = absl::Hours(6);
  BackupState state;
  EXPECT_LE(NextBackupTime(absl::InfinitePast(), state, every, now), now) << "none yet: at once";
  EXPECT_EQ(NextBackupTime(now - absl::Hours(2), state, every, now), now + absl::Hours(4));
  EXPECT_LE(NextBackupTime(now - absl::Hours(7), state, every, now), now) << "overdue after a stop";
  EXPECT_LE(NextBackupTime(now + absl::Hours(900), state, every, now), now) << "the clock was wrong";
  state.last_success = now;
  EXPECT_EQ(NextBackupTime(now + absl::Hours(900), state, every, now), now + every) << "and not over and over";
}

TEST(NextBackupTimeTest, WaitsAfterAFailure) {
  const absl::Time now = absl::FromUnixSeconds(1800000000);
  BackupState state;
  state.last_failure = absl::ResourceExhaustedError("disk full");
  state.last_failure_time = now - absl::Minutes(1);
  EXPECT_EQ(NextBackupTime(absl::InfinitePast(), state, absl::Hours(6), now), now + absl::Minutes(9));
  state.last_failure_time = now - absl::Minutes(11);
  EXPECT_LE(NextBackupTime(absl::InfinitePast(), state, absl::Hours(6), now), now);
  EXPECT_EQ(NextBackupTime(now - absl::Hours(1), state, absl::Hours(6), now), now + absl::Hours(5));
}

}  // namespace
}  // namespace keyferry::server
