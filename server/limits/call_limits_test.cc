#include "server/limits/call_limits.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "server/errors.h"

namespace keyferry::server {
namespace {

constexpr int64_t kMillisecond = 1000000;

Caller User(const std::string& org, const std::string& id) {
  Caller caller;
  caller.kind = PrincipalKind::kUser;
  caller.org = org;
  caller.id = id;
  return caller;
}

v1::ErrorDetail DetailOf(const absl::Status& status) {
  v1::ErrorDetail detail;
  EXPECT_TRUE(GetDetail(status, &detail)) << status;
  return detail;
}

class CallLimitsTest : public testing::Test {
 protected:
  int Admitted(const Caller& caller, int calls) {
    int admitted = 0;
    for (int i = 0; i < calls; ++i) admitted += limits_.Admit(caller).ok() ? 1 : 0;
    return admitted;
  }

  int64_t now_ = 1;
  CallLimits limits_{
      {/*identity=*/{10, 5}, /*org=*/{20, 12}, /*failed_authentication=*/{2, 3}, /*failed_verification=*/{3, 4}},
      [this] { return now_; }};
};

TEST_F(CallLimitsTest, EachIdentityHasItsOwnBucket) {
  EXPECT_EQ(Admitted(User("acme", "ada"), 20), 5);
  EXPECT_EQ(Admitted(User("acme", "bob"), 20), 5);
  Caller service = User("acme", "ada");
  service.kind = PrincipalKind::kService;
  EXPECT_EQ(Admitted(service, 2), 2) << "a service of the same id is another identity";
  EXPECT_EQ(Admitted(User("other", "ada"), 20), 5) << "so is a user of another organization";
}

TEST_F(CallLimitsTest, TheOrganizationHasOneForAll) {
  int admitted = 0;
  for (int i = 0; i < 10; ++i) admitted += Admitted(User("acme", absl::StrCat("user-", i)), 5);
  EXPECT_EQ(admitted, 12);
  EXPECT_EQ(Admitted(User("other", "ada"), 5), 5);
}

TEST_F(CallLimitsTest, WhatTheOrganizationRefusesIsNotCountedAgainstTheIdentity) {
  for (int i = 0; i < 12; ++i) (void)limits_.Admit(User("acme", absl::StrCat("user-", i)));
  EXPECT_EQ(Admitted(User("acme", "late"), 100), 0);
  now_ += 250 * kMillisecond;
  EXPECT_EQ(Admitted(User("acme", "late"), 100), 5) << "20 a second for the organization came back, 5 of them fit";
}

TEST_F(CallLimitsTest, ARefusalSaysWhenTheNextCallFits) {
  const Caller ada = User("acme", "ada");
  EXPECT_EQ(Admitted(ada, 5), 5);
  const absl::Status refused = limits_.Admit(ada);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  const v1::ErrorDetail detail = DetailOf(refused);
  EXPECT_EQ(detail.reason(), "RATE_LIMITED");
  EXPECT_EQ(detail.resource(), "orgs/acme/users/ada");
  EXPECT_NE(detail.next_step(), "");
  EXPECT_EQ(detail.retry_delay_ms(), 100);
  now_ += (detail.retry_delay_ms() - 1) * kMillisecond;
  EXPECT_EQ(DetailOf(limits_.Admit(ada)).retry_delay_ms(), 1);
  now_ += kMillisecond / 2;
  EXPECT_EQ(DetailOf(limits_.Admit(ada)).retry_delay_ms(), 1) << "rounded up, never to 0";
  now_ += kMillisecond / 2;
  EXPECT_TRUE(limits_.Admit(ada).ok());
}

TEST_F(CallLimitsTest, FailedAuthenticationIsCountedByAddress) {
  const absl::Status failure = absl::UnauthenticatedError("no");
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limits_.AfterFailure(absl::StrCat("ipv4:192.0.2.1:", i), failure), failure);
  const absl::Status refused = limits_.AfterFailure("ipv4:192.0.2.1:4711", failure);
  EXPECT_EQ(refused.code(), absl::StatusCode::kResourceExhausted);
  EXPECT_EQ(DetailOf(refused).reason(), "RATE_LIMITED");
  EXPECT_EQ(DetailOf(refused).retry_delay_ms(), 500);
  EXPECT_EQ(limits_.AfterFailure("ipv4:192.0.2.2:4711", failure), failure);
  const absl::Status store = absl::UnavailableError("disk");
  EXPECT_EQ(limits_.AfterFailure("ipv4:192.0.2.1:4711", store), store) << "not the peer's fault";
}

TEST_F(CallLimitsTest, NothingNewIsVerifiedForAnAddressOfWhichTooMuchWasVerifiedInVain) {
  for (int i = 0; i < 4; ++i) {
    EXPECT_TRUE(limits_.BeforeVerifying("ipv4:192.0.2.1:1").ok());
    EXPECT_TRUE(limits_.BeforeVerifying("ipv4:192.0.2.1:1").ok()) << "asking takes nothing";
    limits_.VerifiedInVain("ipv4:192.0.2.1:1");
  }
  const absl::Status refused = limits_.BeforeVerifying("ipv4:192.0.2.1:2");
  EXPECT_EQ(DetailOf(refused).reason(), "RATE_LIMITED");
  EXPECT_TRUE(limits_.BeforeVerifying("ipv4:192.0.2.2:1").ok());
  now_ += DetailOf(refused).retry_delay_ms() * kMillisecond;
  EXPECT_TRUE(limits_.BeforeVerifying("ipv4:192.0.2.1:2").ok());
}

TEST_F(CallLimitsTest, WhatCostsNoSignatureStandsInNobodysWay) {
  const absl::Status failure = absl::UnauthenticatedError("no");
  for (int i = 0; i < 100; ++i) (void)limits_.AfterFailure("ipv4:192.0.2.1:1", failure);
  EXPECT_TRUE(limits_.BeforeVerifying("ipv4:192.0.2.1:1").ok());
}

TEST_F(CallLimitsTest, RatesCanChange) {
  const Caller ada = User("acme", "ada");
  EXPECT_EQ(Admitted(ada, 50), 5);
  limits_.SetRates({});
  EXPECT_EQ(Admitted(ada, 5000), 5000);
}

TEST(PeerNetworkTest, LeavesOutThePortAndTheHostOfIpv6) {
  EXPECT_EQ(PeerNetwork("ipv4:192.0.2.1:4711"), "ipv4:192.0.2.1");
  EXPECT_NE(PeerNetwork("ipv4:192.0.2.1:4711"), PeerNetwork("ipv4:192.0.2.2:4711"));
  const std::string network = PeerNetwork("ipv6:[2001:db8:1:2::1]:4711");
  for (const char* same : {"ipv6:[2001:db8:1:2::1]:1", "ipv6:%5B2001:db8:1:2:ffff::9%5D:4711",
                           "ipv6:%5B2001:db8:1:2::1%25eth0%5D:80", "ipv6:[2001:0db8:0001:0002::]:1"}) {
    EXPECT_EQ(PeerNetwork(same), network) << same;
  }
  EXPECT_NE(PeerNetwork("ipv6:[2001:db8:1:3::1]:4711"), network);
  EXPECT_NE(PeerNetwork("ipv6:[::1]:4711"), network);
  for (const char* odd : {"", "unix:/run/keyferry", "ipv6:", "ipv6:[", "ipv6:[]", "ipv4:", "ipv6:[zz]:1"}) {
    (void)PeerNetwork(odd);
  }
}

}  // namespace
}  // namespace keyferry::server
