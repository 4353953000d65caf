#include "server/certificates/served_certificate.h"

#include <fstream>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/http/testing_tls.h"
#include "storage/testing_store.h"

namespace keyferry::server {
namespace {

class ServedCertificateTest : public testing::Test {
 protected:
  ServedCertificateTest() : directory_(storage::MakeTestDirectory()) {
    Write(ca_.Issue());
    served_ = std::make_unique<ServedCertificate>(Files(), absl::InfiniteFuture(), absl::Now,
                                                  [this](const LoadedCertificate& loaded) {
                                                    if (refusal_.ok()) used_.push_back(loaded.certificate);
                                                    return refusal_;
                                                  });
  }

  CertificateFiles Files() const { return {directory_ + "/cert.pem", directory_ + "/key.pem", ""}; }
  void WriteText(const std::string& name, const std::string& text) const {
    std::ofstream(absl::StrCat(directory_, "/", name)) << text;
  }
  void Write(const TestIdentity& identity) const {
    WriteText("cert.pem", identity.certificate);
    WriteText("key.pem", identity.key);
  }

  const std::string directory_;
  const TestCa ca_;
  absl::Status refusal_;
  std::vector<std::string> used_;
  std::unique_ptr<ServedCertificate> served_;
};

TEST_F(ServedCertificateTest, ANewPairIsUsedAndItsEndKnown) {
  TestCa::Form form;
  form.valid_for = absl::Hours(24 * 30);
  const TestIdentity identity = ca_.Issue(form);
  Write(identity);
  const absl::Status reloaded = served_->Reload();
  ASSERT_TRUE(reloaded.ok()) << reloaded;
  EXPECT_EQ(used_, std::vector<std::string>{identity.certificate});
  EXPECT_GT(served_->not_after(), absl::Now() + absl::Hours(24 * 29));
  EXPECT_LT(served_->not_after(), absl::Now() + absl::Hours(24 * 31));
}

// The listener may take its time to use it.
TEST_F(ServedCertificateTest, ItsEndIsKnownWhileAnotherIsRead) {
  absl::Time known;
  ServedCertificate slow(Files(), absl::UnixEpoch(), absl::Now, [&](const LoadedCertificate&) {
    std::thread other([&] { known = slow.not_after(); });
    other.join();
    return absl::OkStatus();
  });
  ASSERT_TRUE(slow.Reload().ok());
  EXPECT_EQ(known, absl::UnixEpoch());
  EXPECT_GT(slow.not_after(), absl::Now());
}

TEST_F(ServedCertificateTest, TheFirstEndOfTheChainCounts) {
  TestCa::Form sooner;
  sooner.valid_for = absl::Minutes(30);
  TestCa::Form later;
  later.valid_for = absl::Hours(24);
  const TestIdentity identity = ca_.Issue(later);
  Write({identity.certificate + ca_.Issue(sooner).certificate, identity.key});
  ASSERT_TRUE(served_->Reload().ok());
  EXPECT_LT(served_->not_after(), absl::Now() + absl::Minutes(31));
}

TEST_F(ServedCertificateTest, WhatCannotBeUsedChangesNothingAndIsNamed) {
  ASSERT_TRUE(served_->Reload().ok());
  const absl::Time end = served_->not_after();
  const TestIdentity good = ca_.Issue();
  TestCa::Form ended;
  ended.valid_from = -absl::Hours(2);
  ended.valid_for = -absl::Hours(1);
  struct Case {
    const char* name;
    TestIdentity identity;
    const char* problem;
  };
  for (const Case& c : {Case{"no certificate", {"", good.key}, "cert.pem"},
                        Case{"no PEM", {"-----BEGIN CERTIFICATE-----\nAAAA\n", good.key}, "cert.pem"},
                        Case{"half a key", {good.certificate, good.key.substr(0, good.key.size() / 2)}, "key.pem"},
                        Case{"the key of another", {good.certificate, ca_.Issue().key}, "does not belong"},
                        Case{"ended", ca_.Issue(ended), "ended at"}}) {
    SCOPED_TRACE(c.name);
    Write(c.identity);
    const absl::Status status = served_->Reload();
    EXPECT_FALSE(status.ok());
    EXPECT_TRUE(absl::StrContains(status.message(), c.problem)) << status;
    EXPECT_FALSE(absl::StrContains(status.message(), "PRIVATE")) << status;
    EXPECT_EQ(used_.size(), 1u);
    EXPECT_EQ(served_->not_after(), end);
  }
}

TEST_F(ServedCertificateTest, WhatTheListenerRefusesIsNotCountedAsShown) {
  refusal_ = absl::InvalidArgumentError("no");
  EXPECT_EQ(served_->Reload(), refusal_);
  EXPECT_EQ(served_->not_after(), absl::InfiniteFuture());
}

TEST_F(ServedCertificateTest, OtherFilesAreReadFromThenOn) {
  served_->SetFiles({directory_ + "/none.pem", directory_ + "/key.pem", ""});
  EXPECT_TRUE(absl::StrContains(served_->Reload().message(), "none.pem"));
  served_->SetFiles(Files());
  EXPECT_TRUE(served_->Reload().ok());
}

TEST_F(ServedCertificateTest, TheCaOfClientsIsPartOfIt) {
  CertificateFiles files = Files();
  files.client_ca_file = directory_ + "/ca.pem";
  WriteText("ca.pem", "nothing");
  EXPECT_TRUE(absl::StrContains(LoadCertificate(files).status().message(), "ca.pem"));
  WriteText("ca.pem", ca_.certificate());
  const auto loaded = LoadCertificate(files);
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(loaded->client_ca, ca_.certificate());
  EXPECT_EQ(files.Paths().size(), 3u);
}

}  // namespace
}  // namespace keyferry::server
