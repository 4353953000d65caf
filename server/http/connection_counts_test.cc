#include "server/http/connection_counts.h"

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

IpAddress Address(const std::string& text) {
  const auto address = ParseIpAddress(text);
  EXPECT_TRUE(address.ok()) << text;
  return address.value_or(IpAddress());
}

constexpr ConnectionCounts::Limits kLimits{/*all=*/12, /*per_address=*/2, /*per_network=*/5};

// How many of them are taken.
int TakeAll(ConnectionCounts* counts, const std::vector<std::string>& peers) {
  int taken = 0;
  for (const std::string& peer : peers) taken += counts->Take(Address(peer)) ? 1 : 0;
  return taken;
}

TEST(ConnectionCounts, OfOneAddress) {
  ConnectionCounts counts(kLimits);
  EXPECT_EQ(TakeAll(&counts, {"192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2"}), 3);
  // The same peer, by a socket that listens on IPv6.
  EXPECT_EQ(TakeAll(&counts, {"::ffff:192.0.2.1", "::ffff:192.0.2.2", "::ffff:192.0.2.2"}), 1);
}

TEST(ConnectionCounts, OfOneSubscriberAndOfOneNetwork) {
  ConnectionCounts counts(kLimits);
  EXPECT_EQ(TakeAll(&counts, {"2001:db8:1:1::1", "2001:db8:1:1::2", "2001:db8:1:1:ffff::3"}), 2) << "a /64";
  std::vector<std::string> many;
  for (int i = 2; i < 100; ++i) many.push_back(absl::StrCat("2001:db8:1:", absl::Hex(i), "::1"));
  EXPECT_EQ(TakeAll(&counts, many), 3) << "a /48";
  EXPECT_EQ(TakeAll(&counts, {"2001:db8:2:1::1", "2001:db8:0:1::1"}), 2) << "other networks";
}

TEST(ConnectionCounts, OfAll) {
  ConnectionCounts counts(kLimits);
  std::vector<std::string> many;
  for (int i = 0; i < 20; ++i) many.push_back(absl::StrCat("2001:db8:", absl::Hex(i), "::1"));
  EXPECT_EQ(TakeAll(&counts, many), 12);
  EXPECT_FALSE(counts.Take(Address("192.0.2.1")));
  counts.GiveBack(Address("2001:db8:3::1"));
  EXPECT_TRUE(counts.Take(Address("192.0.2.1")));
}

TEST(ConnectionCounts, WhatIsGivenBackIsFree) {
  ConnectionCounts counts(kLimits);
  for (int round = 0; round < 100; ++round) {
    for (const char* peer : {"2001:db8:1:1::1", "2001:db8:1:1::2", "2001:db8:1:2::1", "192.0.2.1", "192.0.2.1"}) {
      ASSERT_TRUE(counts.Take(Address(peer))) << round;
    }
    // What is refused counts nowhere.
    ASSERT_FALSE(counts.Take(Address("2001:db8:1:1::3")));
    ASSERT_FALSE(counts.Take(Address("192.0.2.1")));
    for (const char* peer : {"2001:db8:1:1::1", "2001:db8:1:1::2", "2001:db8:1:2::1", "192.0.2.1", "192.0.2.1"}) {
      counts.GiveBack(Address(peer));
    }
  }
}

}  // namespace
}  // namespace keyferry::server
