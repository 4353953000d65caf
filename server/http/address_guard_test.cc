#include "server/http/address_guard.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

IpAddress Address(const std::string& text) {
  const auto address = ParseIpAddress(text);
  EXPECT_TRUE(address.ok()) << text;
  return *address;
}

// The address before and after, so that the ends of a block are tested from both sides.
IpAddress Step(IpAddress address, int by) {
  for (int i = address.v6 ? 15 : 3; i >= 0; --i) {
    const int sum = address.bytes[i] + by;
    address.bytes[i] = static_cast<uint8_t>(sum);
    if (sum >= 0 && sum <= 255) break;
  }
  return address;
}

struct Block {
  std::string name;
  std::string first;
  std::string last;
  // Whether the addresses right before and after are global.
  bool before;
  bool after;
};

TEST(IsGloballyReachableTest, NoAddressOfASpecialBlock) {
  const std::vector<Block> blocks = {
      {"this network", "0.0.0.0", "0.255.255.255", false, true},
      {"private 10/8", "10.0.0.0", "10.255.255.255", true, true},
      {"shared", "100.64.0.0", "100.127.255.255", true, true},
      {"loopback", "127.0.0.0", "127.255.255.255", true, true},
      {"metadata of Azure", "168.63.129.16", "168.63.129.16", true, true},
      {"link-local", "169.254.0.0", "169.254.255.255", true, true},
      {"private 172.16/12", "172.16.0.0", "172.31.255.255", true, true},
      {"protocol assignments", "192.0.0.0", "192.0.0.255", true, true},
      {"documentation 1", "192.0.2.0", "192.0.2.255", true, true},
      {"6to4 relays", "192.88.99.0", "192.88.99.255", true, true},
      {"private 192.168/16", "192.168.0.0", "192.168.255.255", true, true},
      {"benchmarking", "198.18.0.0", "198.19.255.255", true, true},
      {"documentation 2", "198.51.100.0", "198.51.100.255", true, true},
      {"documentation 3", "203.0.113.0", "203.0.113.255", true, true},
      {"multicast", "224.0.0.0", "239.255.255.255", true, false},
      {"reserved and broadcast", "240.0.0.0", "255.255.255.255", false, false},
      {"before global unicast", "::", "1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, true},
      {"IETF assignments", "2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", true, true},
      {"documentation of IPv6", "2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true, true},
      {"6to4", "2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, true},
      {"6bone", "3ffe::", "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, false},
      {"newer documentation of IPv6", "3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", false, true},
      {"after global unicast", "4000::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, false},
  };
  for (const Block& block : blocks) {
    SCOPED_TRACE(block.name);
    const IpAddress first = Address(block.first);
    const IpAddress last = Address(block.last);
    EXPECT_FALSE(IsGloballyReachable(first));
    EXPECT_FALSE(IsGloballyReachable(last));
    if (block.first != "::" && block.first != "0.0.0.0") {
      EXPECT_EQ(IsGloballyReachable(Step(first, -1)), block.before);
    }
    if (block.name != "after global unicast" && block.last != "255.255.255.255") {
      EXPECT_EQ(IsGloballyReachable(Step(last, 1)), block.after);
    }
  }
}

TEST(IsGloballyReachableTest, NamedAddresses) {
  for (const char* text : {"0.0.0.0",
                           "127.0.0.1",
                           "127.255.255.254",
                           "10.0.0.1",
                           "172.20.1.2",
                           "192.168.1.1",
                           "100.100.100.200",
                           "169.254.169.254",
                           "169.254.170.2",
                           "192.0.0.192",
                           "168.63.129.16",
                           "255.255.255.255",
                           "224.0.0.251",
                           "192.0.0.9",
                           "::",
                           "::1",
                           "::7f00:1",
                           "::ffff:127.0.0.1",
                           "::ffff:8.8.8.8",
                           "::ffff:0:127.0.0.1",
                           "::8.8.8.8",
                           "64:ff9b::7f00:1",
                           "64:ff9b::808:808",
                           "64:ff9b:1::a00:1",
                           "64:ff9b:1:ffff::8.8.8.8",
                           "100::1",
                           "100:0:0:1::1",
                           "2001::1",
                           "2001:0:4136:e378:8000:63bf:3fff:fdd2",
                           "2001:2::1",
                           "2001:10::1",
                           "2001:20::1",
                           "2001:30::1",
                           "2001:db8::1",
                           "2002:7f00:1::1",
                           "2002:808:808::1",
                           "3fff::1",
                           "5f00::1",
                           "fc00::1",
                           "fd00:ec2::254",
                           "fd20:ce::254",
                           "fe80::1",
                           "fe80::a9fe:a9fe",
                           "febf::1",
                           "fec0::1",
                           "feff::1",
                           "ff02::1",
                           "ff0e::1"}) {
    EXPECT_FALSE(IsGloballyReachable(Address(text))) << text;
    EXPECT_FALSE(AddressGuard().Allows(Address(text), 443)) << text;
  }
  for (const char* text : {"1.1.1.1", "8.8.8.8", "140.82.112.3", "223.255.255.255", "2606:4700::1111",
                           "2a00:1450:4001:82a::200e", "2001:4860:4860::8888", "2400:cb00::1", "2c0f:fb50::1"}) {
    EXPECT_TRUE(IsGloballyReachable(Address(text))) << text;
    EXPECT_TRUE(AddressGuard().Allows(Address(text), 1)) << text;
  }
}

TEST(AddressGuardTest, AllowsWhatIsNamedAndNoMore) {
  struct Case {
    std::string name;
    std::string entry;
    std::string address;
    uint16_t port;
    bool allowed;
  };
  for (const Case& c : std::vector<Case>{
           {"address", "127.0.0.1", "127.0.0.1", 8443, true},
           {"next address", "127.0.0.1", "127.0.0.2", 8443, false},
           {"address before", "127.0.0.1", "127.0.0.0", 8443, false},
           {"address and port", "127.0.0.1:8443", "127.0.0.1", 8443, true},
           {"other port", "127.0.0.1:8443", "127.0.0.1", 8444, false},
           {"network", "10.1.0.0/16", "10.1.255.255", 1, true},
           {"beyond the network", "10.1.0.0/16", "10.2.0.0", 1, false},
           {"before the network", "10.1.0.0/16", "10.0.255.255", 1, false},
           {"odd bits", "10.0.0.128/25", "10.0.0.255", 1, true},
           {"beyond odd bits", "10.0.0.128/25", "10.0.0.127", 1, false},
           {"network and port", "10.1.0.0/16:443", "10.1.2.3", 443, true},
           {"network and other port", "10.1.0.0/16:443", "10.1.2.3", 80, false},
           {"all of IPv4", "0.0.0.0/0", "127.0.0.1", 1, true},
           {"all of IPv4 is nothing of IPv6", "0.0.0.0/0", "::ffff:127.0.0.1", 1, false},
           {"all of IPv4 is not the loopback of IPv6", "0.0.0.0/0", "::1", 1, false},
           {"all of IPv6 is nothing of IPv4", "::/0", "127.0.0.1", 1, false},
           {"IPv6", "::1", "::1", 8443, true},
           {"other IPv6", "::1", "::2", 8443, false},
           {"IPv6 in brackets", "[::1]", "::1", 8443, true},
           {"IPv6 and port", "[::1]:8443", "::1", 8443, true},
           {"IPv6 and other port", "[::1]:8443", "::1", 443, false},
           {"network of IPv6", "fd00::/8", "fdff::1", 443, true},
           {"beyond the network of IPv6", "fd00::/8", "fe00::1", 443, false},
           {"network of IPv6 and port", "[fd00:1::/32]:443", "fd00:1:ffff::", 443, true},
           {"a mapped address does not count as what it maps", "10.0.0.1", "::ffff:10.0.0.1", 443, false},
       }) {
    SCOPED_TRACE(c.name);
    const auto guard = AddressGuard::Create({"192.168.77.1:7", c.entry});
    ASSERT_TRUE(guard.ok()) << guard.status();
    EXPECT_EQ(guard->Allows(Address(c.address), c.port), c.allowed);
    EXPECT_TRUE(guard->Allows(Address("8.8.8.8"), 443));
  }
}

TEST(AddressGuardTest, EntriesAreReadStrictly) {
  for (const char* entry : {"",
                            " ",
                            "localhost",
                            "10.0.0.0/",
                            "10.0.0.0/33",
                            "10.0.0.0/-1",
                            "10.0.0.0/+8",
                            "10.0.0.0/8 ",
                            "10.0.0.1/8",
                            "10.0.0.0/8/8",
                            "010.0.0.1",
                            "10.1",
                            "0x0a000001",
                            "10.0.0.1:",
                            "10.0.0.1:0",
                            "10.0.0.1:65536",
                            "10.0.0.1:+1",
                            "10.0.0.1:a",
                            "fd00::/129",
                            "fd00::1/8",
                            "[fd00::/8",
                            "[fd00::/8]443",
                            "[fd00::/8]:",
                            "[10.0.0.1]:443",
                            "fe80::1%eth0",
                            "https://10.0.0.1",
                            "*",
                            "10.0.0.1,10.0.0.2"}) {
    const auto guard = AddressGuard::Create({entry});
    ASSERT_FALSE(guard.ok()) << entry;
    EXPECT_EQ(guard.status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_NE(guard.status().message().find(std::string("\"") + entry + "\""), std::string::npos) << guard.status();
  }
}

TEST(ParseListenAddressTest, IsAnAddressAndAPort) {
  EXPECT_EQ(ParseListenAddress("127.0.0.1:443")->ToString(), "127.0.0.1:443");
  EXPECT_EQ(ParseListenAddress("localhost:0")->ToString(), "127.0.0.1:0");
  EXPECT_EQ(ParseListenAddress("[::1]:8443")->ToString(), "[::1]:8443");
  EXPECT_TRUE(ParseListenAddress("[::]:1")->address.IsUnspecified());
  EXPECT_TRUE(ParseListenAddress("0.0.0.0:1")->address.IsUnspecified());
  EXPECT_TRUE(ParseListenAddress("127.1.2.3:1")->address.IsLoopback());
  EXPECT_TRUE(ParseListenAddress("[::1]:1")->address.IsLoopback());
  EXPECT_FALSE(ParseListenAddress("[::2]:1")->address.IsLoopback());
  for (const char* text : {"", "127.0.0.1", ":443", "127.0.0.1:", "127.0.0.1:65536", "::1:443", "[127.0.0.1]:1",
                           "[::1:1", "example.com:443", "127.0.0.1:-1"}) {
    EXPECT_FALSE(ParseListenAddress(text).ok()) << text;
  }
}

}  // namespace
}  // namespace keyferry::server
