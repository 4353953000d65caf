#ifndef KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_CONTEXT_H_
#define KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_CONTEXT_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/time/time.h"
#include "server/log.h"
#include "server/oauth/protocol/token_client.h"
#include "server/oauth/refresh/believed_clock.h"
#include "server/oauth/refresh/work_queue.h"
#include "storage/store.h"

namespace keyferry::server {

struct RefreshOptions {
  // Exchanges under way, of all providers together.
  size_t max_in_flight = 64;
  // Threads that wait for the store. 0: nothing runs but by RunDue, for tests.
  size_t threads = 8;
  // Of one exchange, whatever the number of requests that it takes.
  absl::Duration exchange_timeout = absl::Seconds(30);
  // How long a lease is respected from when it is first seen. Longer than an exchange and all tries to store its answer
  // can take; the same on all servers of one store.
  absl::Duration lease = absl::Seconds(90);
  // A connection is looked at at least this often, due or not.
  absl::Duration look_interval = absl::Hours(24);
  // How long changes of records gather before what they may mean is looked for among all connections.
  absl::Duration debounce = absl::Seconds(2);
};

// What a refresh needs of its surroundings. All pointers outlive the work queue's Stop.
struct RefreshContext {
  storage::Store* store = nullptr;
  TokenClient* client = nullptr;
  // The wall clock, which may jump either way: what stands in records. And time that only grows, for everything else.
  std::function<absl::Time()> clock;
  std::function<absl::Time()> monotonic_clock;
  // Over both: what may destroy.
  std::shared_ptr<BelievedClock> believed_clock;
  // Uniform in [0, 1). Thread-safe.
  std::function<double()> random;
  Logger* logger = nullptr;
  // Random, of this running server.
  std::string owner;
  RefreshOptions options;
  // Shared with answers that come after the end.
  std::shared_ptr<WorkQueue> queue;
};

// For operators: since the start, and now.
struct RefreshStatus {
  int64_t refreshed = 0;
  // Exchanges that failed, by TokenErrorKind.
  int64_t invalid_grant = 0;
  int64_t rejected = 0;
  int64_t temporary = 0;
  int64_t rate_limited = 0;
  // Answers that could not be stored.
  int64_t not_stored = 0;
  // Answers for connections that were deleted or made anew meanwhile.
  int64_t dropped = 0;
  int64_t connections = 0;
  // Of them: those whose last refresh failed and is tried again, and those that somebody must consent to again.
  int64_t failing = 0;
  int64_t connect_needed = 0;
  // How long ago the one became due that has waited longest for its turn.
  absl::Duration longest_overdue;
  // Due, and waiting for their turn.
  int64_t due = 0;
  int64_t in_flight = 0;
  // Waiting for another server's exchange.
  int64_t waiting = 0;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_OAUTH_REFRESH_REFRESH_CONTEXT_H_
