#include "server/metrics/call_metrics.h"

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "google/protobuf/descriptor.h"
#include "gtest/gtest.h"
#include "keyferry/v1/resolution.pb.h"
#include "server/metrics/api_methods.h"

namespace keyferry::server {
namespace {

constexpr char kResolve[] = "ResolutionService/Resolve";

std::string Written(const CallMetrics& metrics) {
  metrics::Exposition out;
  metrics.WriteTo(&out);
  return out.Take();
}

size_t CountLines(const std::string& text) { return std::count(text.begin(), text.end(), '\n'); }

TEST(CallMetricsTest, KnowsTheMethodsThatTheDescriptorsKnow) {
  const std::vector<std::string> methods = ApiMethods();
  EXPECT_GE(methods.size(), 50u);
  const auto* file = v1::ResolveRequest::descriptor()->file();
  ASSERT_EQ(file->service_count(), 1);
  for (int i = 0; i < file->service(0)->method_count(); ++i) {
    const std::string name = absl::StrCat(file->service(0)->name(), "/", file->service(0)->method(i)->name());
    EXPECT_EQ(std::count(methods.begin(), methods.end(), name), 1) << name;
  }
}

TEST(CallMetricsTest, CountsByMethodCodeAndDecision) {
  CallMetrics metrics;
  metrics.Ended(kResolve, absl::StatusCode::kOk, AccessOutcome::kAllowed, absl::Milliseconds(2));
  metrics.Ended(kResolve, absl::StatusCode::kOk, AccessOutcome::kAllowed, absl::Milliseconds(2));
  metrics.Ended(kResolve, absl::StatusCode::kNotFound, AccessOutcome::kDenied, absl::Seconds(9));
  metrics.Ended("ResolutionService/Watch", absl::StatusCode::kUnauthenticated, AccessOutcome::kUnauthenticated,
                -absl::Seconds(1));
  const std::string text = Written(metrics);
  for (const char* line :
       {"keyferry_grpc_requests_total{method=\"ResolutionService/Resolve\",code=\"OK\"} 2\n",
        "keyferry_grpc_requests_total{method=\"ResolutionService/Resolve\",code=\"NOT_FOUND\"} 1\n",
        "keyferry_grpc_requests_total{method=\"ResolutionService/Watch\",code=\"UNAUTHENTICATED\"} 1\n",
        "keyferry_grpc_requests_total{method=\"CredentialService/GetCredential\",code=\"OK\"} 0\n",
        "keyferry_grpc_request_duration_seconds_bucket{method=\"ResolutionService/Resolve\",le=\"0.0025\"} 2\n",
        "keyferry_grpc_request_duration_seconds_count{method=\"ResolutionService/Resolve\"} 3\n",
        "keyferry_access_decisions_total{method=\"ResolutionService/Resolve\",decision=\"allowed\"} 2\n",
        "keyferry_access_decisions_total{method=\"ResolutionService/Resolve\",decision=\"denied\"} 1\n",
        "keyferry_access_decisions_total{method=\"ResolutionService/Watch\",decision=\"unauthenticated\"} 1\n"}) {
    EXPECT_TRUE(absl::StrContains(text, line)) << line;
  }
  // A stream has no latency.
  EXPECT_FALSE(absl::StrContains(text, "duration_seconds_count{method=\"ResolutionService/Watch\""));
}

TEST(CallMetricsTest, WhateverNamesComeTheSeriesAreBounded) {
  CallMetrics metrics;
  metrics.Ended("no such method", absl::StatusCode::kOk, AccessOutcome::kAllowed, absl::ZeroDuration());
  const size_t lines = CountLines(Written(metrics));
  std::vector<std::string> names;
  for (int i = 0; i < 3000; ++i) names.push_back(absl::StrCat("orgs/o", i, "/Get"));
  for (const std::string& name : names) {
    metrics.Ended(name, absl::StatusCode::kOk, AccessOutcome::kAllowed, absl::ZeroDuration());
  }
  // The table of addresses is full by now, or next to it.
  metrics.Ended(kResolve, absl::StatusCode::kOk, AccessOutcome::kNone, absl::Milliseconds(-1));
  const std::string text = Written(metrics);
  EXPECT_EQ(CountLines(text), lines);
  EXPECT_FALSE(absl::StrContains(text, "orgs/"));
  EXPECT_TRUE(absl::StrContains(text, "keyferry_grpc_requests_total{method=\"other\",code=\"OK\"} 3001\n"));
  EXPECT_TRUE(absl::StrContains(text, "{method=\"ResolutionService/Resolve\",code=\"OK\"} 1\n"));
}

TEST(CallMetricsTest, AnAddressThatHoldsAnotherTextIsNoOtherMethod) {
  CallMetrics metrics;
  std::string name = "CredentialService/GetCredential";
  metrics.Ended(name, absl::StatusCode::kOk, AccessOutcome::kAllowed, absl::ZeroDuration());
  name.replace(18, 3, "Xet");
  metrics.Ended(name, absl::StatusCode::kOk, AccessOutcome::kAllowed, absl::ZeroDuration());
  const std::string text = Written(metrics);
  EXPECT_TRUE(absl::StrContains(text, "{method=\"CredentialService/GetCredential\",code=\"OK\"} 1\n"));
  EXPECT_TRUE(absl::StrContains(text, "{method=\"other\",code=\"OK\"} 1\n"));
}

TEST(CallMetricsTest, NoCallIsLostBetweenThreads) {
  CallMetrics metrics;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&metrics] {
      for (int n = 0; n < 10'000; ++n) {
        metrics.Ended(kResolve, absl::StatusCode::kOk, AccessOutcome::kAllowed, absl::Microseconds(10));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  const std::string text = Written(metrics);
  EXPECT_TRUE(absl::StrContains(text, "{method=\"ResolutionService/Resolve\",code=\"OK\"} 40000\n"));
  EXPECT_TRUE(absl::StrContains(text, "duration_seconds_sum{method=\"ResolutionService/Resolve\"} 0.4"));
}

}  // namespace
}  // namespace keyferry::server
