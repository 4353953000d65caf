#ifndef KEYFERRY_SERVER_HTTP_CONNECTION_COUNTS_H_
#define KEYFERRY_SERVER_HTTP_CONNECTION_COUNTS_H_

#include <map>
#include <string>

#include "server/http/ip_address.h"

namespace keyferry::server {

// How many connections there are, in all and of each peer, so that no peer takes all places. A peer is an IPv4 address
// or an IPv6 /64, which is what one subscriber has at least; many have a /48, whose /64 are counted together as well.
// An IPv4 address in IPv6 form (RFC 4291, section 2.5.5.2) is the IPv4 address. Not thread-safe.
class ConnectionCounts {
 public:
  struct Limits {
    int all = 512;
    int per_address = 32;
    int per_network = 128;
  };

  explicit ConnectionCounts(const Limits& limits) : limits_(limits) {}

  // Counts a connection of that peer; false, and it is not counted, if there are enough.
  bool Take(const IpAddress& peer);
  // For each that was counted, once.
  void GiveBack(const IpAddress& peer);

 private:
  const Limits limits_;
  int all_ = 0;
  // By the bytes that count.
  std::map<std::string, int> by_prefix_;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_CONNECTION_COUNTS_H_
