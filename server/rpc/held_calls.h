#ifndef KEYFERRY_SERVER_RPC_HELD_CALLS_H_
#define KEYFERRY_SERVER_RPC_HELD_CALLS_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"

namespace keyferry::server {

// What the rule of a unary call may ask for instead of answering: to be run again once something has happened.
struct Hold {
  // The call was held. The rule now answers with what there is.
  bool over = false;
  // Set by a rule that returns an error: called once, with what ends the hold. That may be called at once, later, from
  // any thread, more than once, or never, also after the server has gone; it does not block.
  std::function<void(std::function<void()> end)> until;
};

// Calls that wait, with no thread, for something that is under way elsewhere. Bounded. Thread-safe.
class HeldCalls {
 public:
  struct Limits {
    size_t total = 4096;
    // Of one organization (or network, of callers who are not known yet), so that a provider that does not answer it
    // holds nobody else's.
    size_t per_org = 1024;
    // No call is held longer.
    absl::Duration longest = absl::Seconds(20);
    // How often it is looked whether the caller has gone.
    absl::Duration look = absl::Milliseconds(500);
  };

  explicit HeldCalls(const Limits& limits) : limits_(limits) {}
  // Waits until every call was run again.
  ~HeldCalls();
  HeldCalls(const HeldCalls&) = delete;
  HeldCalls& operator=(const HeldCalls&) = delete;

  // `org` is what the call counts as: an organization, or another text where none is known.
  //
  // Runs `again` once, on a thread of gRPC's: when the hold is ended, at the latest at `deadline`, when `cancelled`
  // says so, or when the server drains: then with UNAVAILABLE, reason SERVER_DRAINING, instead of OK. An error means
  // that neither is called: RESOURCE_EXHAUSTED with reason SERVER_BUSY if too many are held, or that UNAVAILABLE.
  absl::Status TryHold(const std::string& org, absl::Time deadline, std::function<bool()> cancelled,
                       const std::function<void(std::function<void()> end)>& until,
                       std::function<void(const absl::Status&)> again) ABSL_LOCKS_EXCLUDED(mutex_);

  // Ends every hold, and lets no new one begin.
  void Drain() ABSL_LOCKS_EXCLUDED(mutex_);

  size_t held() const ABSL_LOCKS_EXCLUDED(mutex_);

 private:
  struct Held;
  using HeldSet = absl::flat_hash_set<std::shared_ptr<Held>>;

  // Looks again after a while, or as soon as the hold is ended.
  void Arm(const std::shared_ptr<Held>& held) ABSL_LOCKS_EXCLUDED(mutex_);
  void Look(const std::shared_ptr<Held>& held) ABSL_LOCKS_EXCLUDED(mutex_);
  bool IsEmpty() const ABSL_SHARED_LOCKS_REQUIRED(mutex_) { return held_.empty(); }

  const Limits limits_;
  mutable absl::Mutex mutex_;
  HeldSet held_ ABSL_GUARDED_BY(mutex_);
  absl::flat_hash_map<std::string, size_t> by_org_ ABSL_GUARDED_BY(mutex_);
  bool draining_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_RPC_HELD_CALLS_H_
