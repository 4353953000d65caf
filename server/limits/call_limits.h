#ifndef KEYFERRY_SERVER_LIMITS_CALL_LIMITS_H_
#define KEYFERRY_SERVER_LIMITS_CALL_LIMITS_H_

#include <cstdint>
#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "server/identity/caller.h"
#include "server/limits/rate_limiter.h"
#include "storage/counters.h"

namespace keyferry::server {

struct CallRates {
  // Of one user, service or workload, whatever token it shows.
  Rate identity;
  // Of all identities of one organization together.
  Rate org;
  // Of one peer address: calls whose token is refused.
  Rate failed_authentication;
  // Of one peer address: tokens of platforms and issuers that were verified in vain.
  Rate failed_verification = {500, 1000};
};

// Nanoseconds that never go back.
using MonotonicClock = std::function<int64_t()>;
int64_t SteadyNanos();

// How many calls the server takes, from whom. Asked once for each call, right after authentication, before anything is
// done for it. Thread-safe. Memory is bounded (RateLimiter).
//
// Every refusal is RESOURCE_EXHAUSTED with reason RATE_LIMITED and, as retry delay, when the next call fits.
class CallLimits {
 public:
  explicit CallLimits(const CallRates& rates, MonotonicClock clock = SteadyNanos);

  // Counts a call of the caller against its identity and its organization, or against neither and refuses it.
  absl::Status Admit(const Caller& caller);

  // What to answer a call from `peer` (as gRPC names it: "ipv4:192.0.2.1:4711") whose authentication failed with
  // `failure`: that, or a refusal if the address has had too many. An IPv6 address counts with all of its /64. A call
  // with a good token that is known is never refused for its address: many callers can share one.
  absl::Status AfterFailure(absl::string_view peer, const absl::Status& failure);

  // Whether a token of a platform that is not known yet may be verified for a call from `peer`, which costs a
  // signature: not while too many of the address were verified in vain. Counts nothing. Whatever costs no signature
  // stands in nobody's way.
  absl::Status BeforeVerifying(absl::string_view peer);
  // Counts a token from `peer` that was verified in vain.
  void VerifiedInVain(absl::string_view peer);

  void SetRates(const CallRates& rates);

  // Refusals so far, by the rate that was exceeded.
  uint64_t refused_by_identity() const { return refused_by_identity_.Value(); }
  uint64_t refused_by_org() const { return refused_by_org_.Value(); }
  uint64_t refused_by_address() const { return refused_by_address_.Value(); }

 private:
  absl::Status TooManyFailures(absl::Duration wait);

  const MonotonicClock clock_;
  storage::Counter refused_by_identity_;
  storage::Counter refused_by_org_;
  storage::Counter refused_by_address_;
  RateLimiter identities_;
  RateLimiter orgs_;
  RateLimiter peers_;
  RateLimiter verifications_;
};

// What a peer is counted as: its address without the port, of IPv6 the first 64 bits; any other text as it is.
std::string PeerNetwork(absl::string_view peer);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_LIMITS_CALL_LIMITS_H_
