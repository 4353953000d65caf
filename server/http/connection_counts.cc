#include "server/http/connection_counts.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace keyferry::server {
namespace {

constexpr size_t kAddressBytes = 4;
constexpr size_t kSubscriberBytes = 8;
constexpr size_t kNetworkBytes = 6;
constexpr size_t kMappedPrefixBytes = 12;
constexpr std::array<uint8_t, kMappedPrefixBytes> kMappedPrefix = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};

// The prefixes that a peer is counted by, with their limits. Their sizes differ, so that none is another's.
std::vector<std::pair<std::string, int>> CountedAs(const IpAddress& peer, const ConnectionCounts::Limits& limits) {
  const std::string bytes(peer.bytes.begin(), peer.bytes.end());
  if (!peer.v6) return {{bytes.substr(0, kAddressBytes), limits.per_address}};
  if (std::equal(kMappedPrefix.begin(), kMappedPrefix.end(), peer.bytes.begin())) {
    return {{bytes.substr(kMappedPrefixBytes), limits.per_address}};
  }
  return {{bytes.substr(0, kSubscriberBytes), limits.per_address},
          {bytes.substr(0, kNetworkBytes), limits.per_network}};
}

}  // namespace

bool ConnectionCounts::Take(const IpAddress& peer) {
  if (all_ >= limits_.all) return false;
  const auto counted = CountedAs(peer, limits_);
  for (const auto& [prefix, limit] : counted) {
    const auto found = by_prefix_.find(prefix);
    if (found != by_prefix_.end() && found->second >= limit) return false;
  }
  for (const auto& [prefix, limit] : counted) ++by_prefix_[prefix];
  ++all_;
  return true;
}

void ConnectionCounts::GiveBack(const IpAddress& peer) {
  for (const auto& [prefix, limit] : CountedAs(peer, limits_)) {
    const auto found = by_prefix_.find(prefix);
    if (--found->second == 0) by_prefix_.erase(found);
  }
  --all_;
}

}  // namespace keyferry::server
