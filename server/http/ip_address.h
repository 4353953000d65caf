#ifndef KEYFERRY_SERVER_HTTP_IP_ADDRESS_H_
#define KEYFERRY_SERVER_HTTP_IP_ADDRESS_H_

#include <array>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace keyferry::server {

// An IPv4 or IPv6 address in network byte order; an IPv4 address fills the first four bytes.
struct IpAddress {
  bool v6 = false;
  std::array<uint8_t, 16> bytes = {};

  // Text as inet_ntop prints it.
  std::string ToString() const;
  // 0.0.0.0 or ::.
  bool IsUnspecified() const;
  // 127.0.0.0/8 or ::1.
  bool IsLoopback() const;
};

// INVALID_ARGUMENT unless the text is an address as inet_pton reads it: no port, zone, leading zeros or short forms.
absl::StatusOr<IpAddress> ParseIpAddress(absl::string_view text);

struct SocketAddress {
  IpAddress address;
  uint16_t port = 0;

  // "192.0.2.1:443", "[2001:db8::1]:443".
  std::string ToString() const;
};

// An address to listen on: "127.0.0.1:443", "[::1]:443" or "localhost:443", which is 127.0.0.1. Port 0 is any free one.
// INVALID_ARGUMENT.
absl::StatusOr<SocketAddress> ParseListenAddress(absl::string_view text);

}  // namespace keyferry::server

#endif  // KEYFERRY_SERVER_HTTP_IP_ADDRESS_H_
