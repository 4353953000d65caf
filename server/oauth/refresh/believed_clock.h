#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_BELIEVED_CLOCK_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_BELIEVED_CLOCK_H_

#include <functional>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace keyferry::server {

// The wall clock, for what cannot be undone: it is believed that a time has passed only if no jump forward says so. A
// jump counts once it has stood for a day of the monotonic clock, and so does the time at which the server started,
// which may be as wrong. A clock that is set back is believed at once, since that destroys nothing.
//
// Notices jumps between two calls of Now, so it has to be called now and then. Follows a clock that creeps.
// Thread-safe.
class BelievedClock {
 public:
  // How long a jump has to stand, and what is no jump.
  static constexpr absl::Duration kStanding = absl::Hours(24);
  static constexpr absl::Duration kSlack = absl::Minutes(1);

  BelievedClock(std::function<absl::Time()> wall, std::function<absl::Time()> monotonic);

  // Not after the wall clock's time. In the infinite past during the first day.
  absl::Time Now() ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  // A time that has gone on since with the monotonic clock.
  struct Mark {
    absl::Time wall = absl::InfinitePast();
    absl::Time monotonic;
    absl::Time At(absl::Time now) const { return wall + (now - monotonic); }
  };

  const std::function<absl::Time()> wall_;
  const std::function<absl::Time()> monotonic_;
  absl::Mutex mutex_;
  Mark believed_ ABSL_GUARDED_BY(mutex_);
  // What the clock has said since it went ahead of what is believed; of the infinite past while it has not.
  Mark doubted_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_BELIEVED_CLOCK_H_
