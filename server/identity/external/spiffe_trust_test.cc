#include "server/identity/external/spiffe_trust.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "server/http/testing_tls.h"
#include "server/identity/external/spiffe_id.h"
#include "server/identity/external/testing_identity.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

constexpr char kId[] = "spiffe://prod.example.com/tools/mcp";

TEST(SpiffeIdTest, HasADomainAndAPath) {
  EXPECT_EQ(TrustDomainOf(kId), "prod.example.com");
  EXPECT_EQ(TrustDomainOf("spiffe://a/b"), "a");
  for (const char* text :
       {"", "spiffe://", "spiffe://a", "spiffe://a/", "spiffe:///b", "spiffe://A/b", "SPIFFE://a/b", "https://a/b",
        "spiffe://a/b/", "spiffe://a//b", "spiffe://a/../b", "spiffe://a/./b", "spiffe://a/b?c", "spiffe://a/b#c",
        "spiffe://a:1/b", "spiffe://u@a/b", "spiffe://a/b%41", "spiffe://../b", "spiffe://a/b c"}) {
    EXPECT_EQ(TrustDomainOf(text), "") << text;
  }
  EXPECT_EQ(TrustDomainOf("spiffe://a/" + std::string(2048, 'b')), "");
}

class SpiffeTrustTest : public ::testing::Test {
 protected:
  SpiffeTrustTest()
      : bundle_(storage::MakeTestDirectory() + "/bundle.pem"), trust_("prod.example.com", bundle_, &log_) {
    WriteBundle(ca_);
  }
  void WriteBundle(const TestCa& ca) { std::ofstream(bundle_) << ca.certificate(); }
  static TestCa::Form Form(const std::string& names = absl::StrCat("URI:", kId)) {
    TestCa::Form form;
    form.names = names;
    return form;
  }

  const absl::Time now_ = absl::Now();
  const TestCa ca_;
  const std::string bundle_;
  KeptLog log_;
  SpiffeTrust trust_;
};

TEST_F(SpiffeTrustTest, TakesACertificateOfItsCas) {
  const std::string pem = ca_.Issue(Form()).certificate;
  EXPECT_EQ(trust_.Verify(pem, now_), absl::OkStatus());
  const auto claims = ReadCertificateClaims(pem);
  ASSERT_TRUE(claims.ok()) << claims.status();
  EXPECT_EQ(claims->spiffe_id, kId);
  EXPECT_EQ(claims->trust_domain, "prod.example.com");
  EXPECT_GT(claims->expire_time, now_ + absl::Minutes(50));
  EXPECT_LT(claims->expire_time, now_ + absl::Minutes(70));
}

TEST_F(SpiffeTrustTest, RefusesEveryOther) {
  EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify(TestCa().Issue(Form()).certificate, now_)));
  const std::string pem = ca_.Issue(Form()).certificate;
  EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify(pem, now_ + absl::Hours(2))));
  EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify(pem, now_ - absl::Hours(2))));
  EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify(ca_.certificate(), now_)));
  EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify("", now_)));
  EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify(pem.substr(0, pem.size() / 2), now_)));
  TestCa::Form servers = Form();
  servers.usage = "serverAuth";
  EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify(ca_.Issue(servers).certificate, now_)));
  // What follows must lead somewhere too: a stranger's certificate in front of a good one.
  EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify(TestCa().Issue(Form()).certificate + pem, now_)));
  std::string long_chain = pem;
  for (int i = 0; i < 10; ++i) long_chain += pem;
  EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify(long_chain, now_)));
}

TEST_F(SpiffeTrustTest, OneUriAlone) {
  for (const std::string& names : {std::string("DNS:localhost"), absl::StrCat("URI:", kId, ",URI:spiffe://b/c"),
                                   std::string("URI:https://prod.example.com/x"), std::string("")}) {
    EXPECT_TRUE(absl::IsPermissionDenied(ReadCertificateClaims(ca_.Issue(Form(names)).certificate).status())) << names;
  }
  EXPECT_TRUE(ReadCertificateClaims(ca_.Issue(Form(absl::StrCat("DNS:a.b,URI:", kId))).certificate).ok());
}

TEST_F(SpiffeTrustTest, TheBundleIsReadAgain) {
  const TestCa next;
  const std::string old_pem = ca_.Issue(Form()).certificate;
  ASSERT_EQ(trust_.Verify(old_pem, now_), absl::OkStatus());
  const uint64_t generation = trust_.Generation(now_);
  WriteBundle(next);
  EXPECT_EQ(trust_.Verify(old_pem, now_ + absl::Seconds(4)), absl::OkStatus());
  EXPECT_NE(trust_.Generation(now_ + absl::Seconds(5)), generation);
  EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify(old_pem, now_ + absl::Seconds(5))));
  EXPECT_EQ(trust_.Verify(next.Issue(Form()).certificate, now_ + absl::Seconds(5)), absl::OkStatus());
}

TEST_F(SpiffeTrustTest, AFileWithABrokenCertificateOrNoFileReplacesNothing) {
  const std::string pem = ca_.Issue(Form()).certificate;
  ASSERT_EQ(trust_.Verify(pem, now_), absl::OkStatus());
  const std::string next = TestCa().certificate();
  absl::Time now = now_;
  std::string many;
  for (int i = 0; i < 101; ++i) many += next;
  for (const std::string& broken : {next + ca_.certificate().substr(0, 100),
                                    next + "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
                                    next + std::string(64 << 10, ' '), many}) {
    std::ofstream(bundle_) << broken;
    now += absl::Seconds(5);
    EXPECT_EQ(trust_.Verify(pem, now), absl::OkStatus());
    EXPECT_NE(log_.Take().find("the last one stays"), std::string::npos);
    WriteBundle(ca_);
    now += absl::Seconds(5);
    EXPECT_EQ(trust_.Verify(pem, now), absl::OkStatus());
  }
  std::ofstream(bundle_) << many;
  now += absl::Seconds(5);
  EXPECT_EQ(trust_.Verify(pem, now), absl::OkStatus());
  EXPECT_NE(log_.Take(), "");
  now += absl::Seconds(5);
  EXPECT_EQ(trust_.Verify(pem, now), absl::OkStatus());
  EXPECT_EQ(log_.Take(), "") << "the same is told once";
  ASSERT_EQ(unlink(bundle_.c_str()), 0);
  now += absl::Seconds(5);
  EXPECT_EQ(trust_.Verify(pem, now), absl::OkStatus());
  EXPECT_NE(log_.Take().find("the last one stays"), std::string::npos);
}

TEST_F(SpiffeTrustTest, AFileWithoutCertificatesTrustsNobody) {
  const std::string pem = ca_.Issue(Form()).certificate;
  ASSERT_EQ(trust_.Verify(pem, now_), absl::OkStatus());
  absl::Time now = now_;
  for (const char* empty : {"", "no certificate\n"}) {
    WriteBundle(ca_);
    now += absl::Seconds(5);
    ASSERT_EQ(trust_.Verify(pem, now), absl::OkStatus());
    const uint64_t generation = trust_.Generation(now);
    std::ofstream(bundle_) << empty;
    now += absl::Seconds(5);
    EXPECT_TRUE(absl::IsPermissionDenied(trust_.Verify(pem, now))) << empty;
    EXPECT_NE(trust_.Generation(now), generation);
    EXPECT_NE(log_.Take().find("nobody of it is trusted"), std::string::npos);
  }
}

TEST(SpiffeTrustWithoutBundleTest, IsUnavailable) {
  KeptLog log;
  SpiffeTrust trust("a", storage::MakeTestDirectory() + "/none.pem", &log);
  EXPECT_TRUE(absl::IsUnavailable(trust.Verify(TestCa().Issue().certificate, absl::Now())));
}

}  // namespace
}  // namespace keyferry::server
