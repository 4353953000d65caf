#include "metrics/certificate_end.h"

#include <string>

#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "server/http/testing_tls.h"

namespace keyferry::metrics {
namespace {

using server::TestCa;

// A certificate says whole seconds.
constexpr absl::Duration kRounding = absl::Seconds(1);

TEST(CertificateEndTest, IsThatOfTheFirstOfTheChainToEnd) {
  const TestCa ca;
  TestCa::Form form;
  const absl::Time before = absl::Now();
  form.valid_for = absl::Hours(30);
  const std::string longer = ca.Issue(form).certificate;
  form.valid_for = absl::Hours(2);
  const std::string shorter = ca.Issue(form).certificate;
  const absl::Time after = absl::Now();
  for (const std::string& chain : {shorter, shorter + longer, longer + shorter}) {
    EXPECT_GE(EndOfChain(chain), before + absl::Hours(2) - kRounding);
    EXPECT_LE(EndOfChain(chain), after + absl::Hours(2) + kRounding);
  }
  EXPECT_GE(EndOfChain(longer), before + absl::Hours(30) - kRounding);
}

TEST(CertificateEndTest, WithoutACertificateThereIsNone) {
  EXPECT_EQ(EndOfChain(""), absl::InfiniteFuture());
  EXPECT_EQ(EndOfChain("nonsense"), absl::InfiniteFuture());
}

}  // namespace
}  // namespace keyferry::metrics
