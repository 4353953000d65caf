#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_OAUTH_SWEEPER_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_OAUTH_SWEEPER_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "server/log.h"
#include "server/oauth/protocol/token_client.h"
#include "server/oauth/refresh/work_queue.h"
#include "server/records.h"
#include "storage/records/records.pb.h"
#include "storage/store.h"

namespace keyferry::server {

// What connections leave behind: sends revocations to providers (see AddRevocation), each again and again until the
// provider has answered or a day is over, and removes attempts to connect an hour after their end. None is given up
// before a few tries, however long they had to wait for their turn, and whatever the clock says. Several servers over
// one store share the work: who tries a revocation has put its next try off first. A crash loses nothing; at worst a
// token is revoked twice.
//
// Organizations take turns, and share the places evenly with one another and with one more, which is whoever comes
// next. Within one, those that were tried least come first. What cannot be read keeps nothing else waiting.
// Thread-safe.
class OauthSweeper {
 public:
  struct Options {
    absl::Duration interval = absl::Seconds(10);
    absl::Duration timeout = absl::Seconds(30);
    // Revocations under way.
    size_t max_in_flight = 16;
    // False: nothing runs but by RunDue, for tests.
    bool background = true;
  };

  // All pointers must outlive this. `client` may answer later than that. `monotonic_clock` may be null: the machine's.
  OauthSweeper(storage::Store* store, TokenClient* client, std::function<absl::Time()> clock,
               std::function<absl::Time()> monotonic_clock, Logger* logger, Options options);
  ~OauthSweeper();
  OauthSweeper(const OauthSweeper&) = delete;
  OauthSweeper& operator=(const OauthSweeper&) = delete;

  // Revocations under way.
  size_t in_flight() const ABSL_LOCKS_EXCLUDED(mutex_);

  // For tests: what is due by the clocks.
  void RunDue();

 private:
  using Generations = std::tuple<uint64_t, uint64_t>;

  void Tick() ABSL_LOCKS_EXCLUDED(mutex_);
  // Does nothing while nothing was added since the last sweep, and nothing is due.
  absl::Status Sweep() ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status SweepAttempts(const storage::StoreView& view, const std::string& org, absl::Time now);
  // The revocations of one organization that are due: as many as there are places, in the order in which they are
  // tried.
  struct Due {
    std::string org;
    // Attempts made, when the next is due, and the id.
    std::vector<std::tuple<int32_t, int64_t, std::string>> revocations;
    size_t tried = 0;
  };
  absl::Status FindDue(const storage::StoreView& view, absl::Time now, Due* due);
  absl::Status TryInTurns(const storage::StoreView& view, std::vector<Due>& due, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Try(const storage::StoreView& view, const std::string& org, const std::string& id, absl::Time now)
      ABSL_LOCKS_EXCLUDED(mutex_);
  void OnAnswer(const std::string& org, const std::string& id, const std::string& provider, const absl::Status& answer)
      ABSL_LOCKS_EXCLUDED(mutex_);
  absl::Status Remove(const std::string& org, const std::string& id);
  // Of one organization, while these have something due.
  size_t ShareOf(const std::vector<Due>& due) const ABSL_LOCKS_EXCLUDED(mutex_);
  bool HasPlace(const std::string& org, size_t share) const ABSL_LOCKS_EXCLUDED(mutex_);

  storage::Store* const store_;
  TokenClient* const client_;
  const std::function<absl::Time()> clock_;
  const std::function<absl::Time()> monotonic_clock_;
  Logger* const logger_;
  const Options options_;
  // Shared with answers that come after the end. Its one thread does all the work.
  const std::shared_ptr<WorkQueue> queue_;
  // Of the tables before the last sweep; nullopt if there is more to do.
  std::optional<Generations> swept_;
  absl::Time next_due_ = absl::InfinitePast();
  // Which organization the next sweep begins with.
  std::string first_org_;

  mutable absl::Mutex mutex_;
  size_t in_flight_ ABSL_GUARDED_BY(mutex_) = 0;
  // By organization; none of 0.
  absl::flat_hash_map<std::string, size_t> in_flight_of_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_OAUTH_SWEEPER_H_
