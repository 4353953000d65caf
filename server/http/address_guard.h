#ifndef KEYFERRY_SERVER_HTTP_ADDRESS_GUARD_H_
#define KEYFERRY_SERVER_HTTP_ADDRESS_GUARD_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "server/http/ip_address.h"

namespace keyferry::server {

// True for globally reachable unicast only: what is neither in the IANA special-purpose address registries (RFC 6890
// and its updates), nor multicast, reserved or unassigned space of IPv6 (outside 2000::/3), nor a form that carries an
// IPv4 address (mapped, compatible, translated, 6to4, Teredo), nor an address under which a cloud offers metadata to
// its virtual machines. Where a registry lists a globally reachable exception within a block that is not (anycast
// services of 192.0.0.0/24 and 2001::/23), the block counts.
bool IsGloballyReachable(const IpAddress& address);

// Which addresses the server may connect to on behalf of those who name a host. Immutable.
class AddressGuard {
 public:
  // Globally reachable addresses only.
  AddressGuard() = default;

  // Besides those, what the entries name: "ADDRESS[/BITS][:PORT]", an IPv6 network in brackets if a port follows, e.g.
  // "10.1.2.0/24", "127.0.0.1:8443", "[fd00::/8]:443". INVALID_ARGUMENT names the entry. Bits beyond the prefix must be
  // zero, so that a slip is seen.
  static absl::StatusOr<AddressGuard> Create(const std::vector<std::string>& allowed);

  // Every address: for hosts that the operator's own configuration names, such as an API server inside of a cluster,
  // and never for one that an organization or an answer from elsewhere names.
  static AddressGuard ForConfiguredHosts();

  bool Allows(const IpAddress& address, uint16_t port) const;

 private:
  struct Entry {
    IpAddress network;
    int bits = 0;
    uint16_t port = 0;  // 0: any.
  };

  static absl::StatusOr<Entry> ParseEntry(absl::string_view text);

  std::vector<Entry> entries_;
  bool allows_all_ = false;
};

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_ADDRESS_GUARD_H_
