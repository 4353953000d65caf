#include "server/http/address_guard.h"

#include <array>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "server/status_macros.h"

namespace keyferry::server {
namespace {

struct Block {
  std::array<uint8_t, 6> prefix;
  int bits;
};

constexpr Block kRefusedV4[] = {
    {{0}, 8},                  // "This network", RFC 791.
    {{10}, 8},                 // Private, RFC 1918.
    {{100, 64}, 10},           // Shared space of carriers, RFC 6598; metadata of Alibaba Cloud.
    {{127}, 8},                // Loopback, RFC 1122.
    {{168, 63, 129, 16}, 32},  // Metadata and agents of Azure.
    {{169, 254}, 16},          // Link-local, RFC 3927; metadata of most clouds.
    {{172, 16}, 12},           // Private, RFC 1918.
    {{192, 0, 0}, 24},         // IETF protocol assignments, RFC 6890; metadata of Oracle Cloud.
    {{192, 0, 2}, 24},         // Documentation, RFC 5737.
    {{192, 88, 99}, 24},       // 6to4 relays, RFC 7526.
    {{192, 168}, 16},          // Private, RFC 1918.
    {{198, 18}, 15},           // Benchmarking, RFC 2544.
    {{198, 51, 100}, 24},      // Documentation, RFC 5737.
    {{203, 0, 113}, 24},       // Documentation, RFC 5737.
    {{224}, 4},                // Multicast, RFC 5771.
    {{240}, 4},                // Reserved and broadcast, RFC 1112, RFC 919.
};

// The only space of global unicast, RFC 4291. All else is reserved, local, multicast or translated from IPv4.
constexpr Block kGlobalV6 = {{0x20}, 3};

constexpr Block kRefusedV6[] = {
    {{0x20, 0x01, 0x00}, 23},        // IETF protocol assignments, RFC 2928: Teredo, benchmarking, ORCHID and others.
    {{0x20, 0x01, 0x0d, 0xb8}, 32},  // Documentation, RFC 3849.
    {{0x20, 0x02}, 16},              // 6to4, RFC 3056.
    {{0x3f, 0xfe}, 16},              // The former 6bone, RFC 3701.
    {{0x3f, 0xff}, 20},              // Documentation, RFC 9637.
};

template <typename Prefix>
bool StartsWith(const IpAddress& address, const Prefix& prefix, int bits) {
  for (int i = 0; i < bits; ++i) {
    const uint8_t mask = 0x80 >> (i % 8);
    if ((address.bytes[i / 8] & mask) != (prefix[i / 8] & mask)) return false;
  }
  return true;
}

}  // namespace

bool IsGloballyReachable(const IpAddress& address) {
  if (!address.v6) {
    for (const Block& block : kRefusedV4) {
      if (StartsWith(address, block.prefix, block.bits)) return false;
    }
    return true;
  }
  if (!StartsWith(address, kGlobalV6.prefix, kGlobalV6.bits)) return false;
  for (const Block& block : kRefusedV6) {
    if (StartsWith(address, block.prefix, block.bits)) return false;
  }
  return true;
}

absl::StatusOr<AddressGuard::Entry> AddressGuard::ParseEntry(absl::string_view text) {
  const auto bad = [text](absl::string_view problem) {
    return absl::InvalidArgumentError(absl::StrCat("\"", text, "\" ", problem));
  };
  Entry entry;
  absl::string_view network = text;
  absl::string_view port;
  if (absl::ConsumePrefix(&network, "[")) {
    const size_t end = network.find(']');
    if (end == absl::string_view::npos) return bad("has no closing bracket");
    port = network.substr(end + 1);
    network = network.substr(0, end);
    if (!absl::StrContains(network, ':')) return bad("has brackets around something other than an IPv6 network");
  } else if (const size_t colon = network.find(':'); colon != absl::string_view::npos && colon == network.rfind(':')) {
    port = network.substr(colon);
    network = network.substr(0, colon);
  }
  if (!port.empty()) {
    uint32_t number = 0;
    if (!absl::ConsumePrefix(&port, ":") || port.empty() || port.find_first_not_of("0123456789") != port.npos ||
        !absl::SimpleAtoi(port, &number) || number == 0 || number > 65535) {
      return bad("has a port that is no number from 1 to 65535");
    }
    entry.port = static_cast<uint16_t>(number);
  }
  const size_t slash = network.find('/');
  const absl::StatusOr<IpAddress> address = ParseIpAddress(network.substr(0, slash));
  if (!address.ok()) return bad("is no address or network; write e.g. 10.1.2.0/24, 127.0.0.1:8443 or [fd00::/8]:443");
  entry.network = *address;
  const int all = address->v6 ? 128 : 32;
  entry.bits = all;
  if (slash != absl::string_view::npos) {
    const absl::string_view bits = network.substr(slash + 1);
    if (bits.empty() || bits.size() > 3 || bits.find_first_not_of("0123456789") != bits.npos ||
        !absl::SimpleAtoi(bits, &entry.bits) || entry.bits > all) {
      return bad("has a prefix length that does not fit the address");
    }
  }
  for (int i = entry.bits; i < all; ++i) {
    if (address->bytes[i / 8] & (0x80 >> (i % 8))) return bad("has bits set beyond its prefix length");
  }
  return entry;
}

absl::StatusOr<AddressGuard> AddressGuard::Create(const std::vector<std::string>& allowed) {
  AddressGuard guard;
  for (const std::string& text : allowed) {
    ASSIGN_OR_RETURN(const Entry entry, ParseEntry(text));
    guard.entries_.push_back(entry);
  }
  return guard;
}

AddressGuard AddressGuard::ForConfiguredHosts() {
  AddressGuard guard;
  guard.allows_all_ = true;
  return guard;
}

bool AddressGuard::Allows(const IpAddress& address, uint16_t port) const {
  if (allows_all_ || IsGloballyReachable(address)) return true;
  for (const Entry& entry : entries_) {
    if (entry.network.v6 == address.v6 && (entry.port == 0 || entry.port == port) &&
        StartsWith(address, entry.network.bytes, entry.bits)) {
      return true;
    }
  }
  return false;
}

}  // namespace keyferry::server
