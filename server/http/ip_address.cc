#include "server/http/ip_address.h"

#include <arpa/inet.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace keyferry::server {

std::string IpAddress::ToString() const {
  std::array<char, INET6_ADDRSTRLEN> text = {};
  inet_ntop(v6 ? AF_INET6 : AF_INET, bytes.data(), text.data(), text.size());
  return text.data();
}

bool IpAddress::IsUnspecified() const {
  for (const uint8_t byte : bytes) {
    if (byte != 0) return false;
  }
  return true;
}

bool IpAddress::IsLoopback() const { return v6 ? ToString() == "::1" : bytes[0] == 127; }

std::string SocketAddress::ToString() const {
  return address.v6 ? absl::StrCat("[", address.ToString(), "]:", port) : absl::StrCat(address.ToString(), ":", port);
}

absl::StatusOr<IpAddress> ParseIpAddress(absl::string_view text) {
  IpAddress address;
  address.v6 = absl::StrContains(text, ':');
  if (absl::StrContains(text, '\0') ||
      inet_pton(address.v6 ? AF_INET6 : AF_INET, std::string(text).c_str(), address.bytes.data()) != 1) {
    return absl::InvalidArgumentError("not an IP address");
  }
  return address;
}

absl::StatusOr<SocketAddress> ParseListenAddress(absl::string_view text) {
  const auto bad = [] {
    return absl::InvalidArgumentError("must be an IP address and a port, e.g. 0.0.0.0:8443 or [::]:8443");
  };
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return bad();
  absl::string_view host = text.substr(0, colon);
  const absl::string_view port = text.substr(colon + 1);
  SocketAddress listen;
  uint32_t number = 0;
  if (port.empty() || port.size() > 5 || port.find_first_not_of("0123456789") != absl::string_view::npos ||
      !absl::SimpleAtoi(port, &number) || number > 65535) {
    return bad();
  }
  listen.port = static_cast<uint16_t>(number);
  if (host == "localhost") host = "127.0.0.1";
  const bool brackets = absl::ConsumePrefix(&host, "[") && absl::ConsumeSuffix(&host, "]");
  const absl::StatusOr<IpAddress> address = ParseIpAddress(host);
  if (!address.ok() || address->v6 != brackets) return bad();
  listen.address = *address;
  return listen;
}

}  // namespace keyferry::server
