#include "server/limits/call_limits.h"

#include <arpa/inet.h>

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

// Each takes about 30 bytes, so 2 MiB for all.
constexpr size_t kMaxIdentities = 65536;
constexpr size_t kMaxOrgs = 16384;
constexpr size_t kMaxPeers = 16384;

absl::Status RateLimited(absl::string_view resource, absl::string_view what, absl::Duration wait) {
  v1::ErrorDetail detail;
  detail.set_reason("RATE_LIMITED");
  detail.set_resource(std::string(resource));
  detail.set_next_step("Repeat the call after the delay, and send fewer at a time.");
  // Rounded up: a call that is repeated after exactly this long fits.
  detail.set_retry_delay_ms(absl::ToInt64Milliseconds(absl::Ceil(wait, absl::Milliseconds(1))));
  return MakeError(absl::StatusCode::kResourceExhausted,
                   resource.empty() ? std::string(what) : absl::StrCat(resource, ": ", what), detail);
}

}  // namespace

int64_t SteadyNanos() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string PeerNetwork(absl::string_view peer) {
  const size_t port = peer.rfind(':');
  if (absl::StartsWith(peer, "ipv4:") && port > 4) return std::string(peer.substr(0, port));
  if (!absl::StartsWith(peer, "ipv6:")) return std::string(peer);
  // "ipv6:[2001:db8::1]:4711", with the brackets percent-encoded by some versions of gRPC.
  const std::string text = absl::StrReplaceAll(peer.substr(5), {{"%5B", "["}, {"%5D", "]"}, {"%25", "%"}});
  const size_t end = text.find_first_of("]%");
  in6_addr address;
  if (text.empty() || text[0] != '[' || end == std::string::npos ||
      inet_pton(AF_INET6, text.substr(1, end - 1).c_str(), &address) != 1) {
    return std::string(peer.substr(0, port));
  }
  constexpr size_t kNetworkBytes = 8;
  return absl::StrCat("ipv6:", absl::string_view(reinterpret_cast<const char*>(&address), kNetworkBytes));
}

CallLimits::CallLimits(const CallRates& rates, MonotonicClock clock)
    : clock_(std::move(clock)),
      identities_(rates.identity, kMaxIdentities),
      orgs_(rates.org, kMaxOrgs),
      peers_(rates.failed_authentication, kMaxPeers),
      verifications_(rates.failed_verification, kMaxPeers) {}

absl::Status CallLimits::Admit(const Caller& caller) {
  const int64_t now = clock_();
  const uint64_t identity = absl::HashOf(caller.org, static_cast<int>(caller.kind), caller.id);
  absl::Duration wait = identities_.Take(identity, now);
  if (wait > absl::ZeroDuration()) {
    refused_by_identity_.Add();
    return RateLimited(caller.Name(), "calls too often", wait);
  }
  wait = orgs_.Take(absl::HashOf(caller.org), now);
  if (wait == absl::ZeroDuration()) return absl::OkStatus();
  identities_.GiveBack(identity, now);
  refused_by_org_.Add();
  return RateLimited(absl::StrCat("orgs/", caller.org), "calls too often, all of its callers together", wait);
}

absl::Status CallLimits::AfterFailure(absl::string_view peer, const absl::Status& failure) {
  // Nothing else is the peer's fault, e.g. a store that cannot be read.
  if (!absl::IsUnauthenticated(failure)) return failure;
  const absl::Duration wait = peers_.Take(absl::HashOf(PeerNetwork(peer)), clock_());
  if (wait == absl::ZeroDuration()) return failure;
  return TooManyFailures(wait);
}

absl::Status CallLimits::BeforeVerifying(absl::string_view peer) {
  const absl::Duration wait = verifications_.WaitOf(absl::HashOf(PeerNetwork(peer)), clock_());
  return wait == absl::ZeroDuration() ? absl::OkStatus() : TooManyFailures(wait);
}

void CallLimits::VerifiedInVain(absl::string_view peer) {
  (void)verifications_.Take(absl::HashOf(PeerNetwork(peer)), clock_());
}

absl::Status CallLimits::TooManyFailures(absl::Duration wait) {
  refused_by_address_.Add();
  return RateLimited("", "too many calls from this address with tokens that were refused", wait);
}

void CallLimits::SetRates(const CallRates& rates) {
  identities_.SetRate(rates.identity);
  orgs_.SetRate(rates.org);
  peers_.SetRate(rates.failed_authentication);
  verifications_.SetRate(rates.failed_verification);
}

}  // namespace keyferry::server
