#include "injector/webhook/rewrite/resource_fit.h"

#include <optional>
#include <string>

#include "gtest/gtest.h"

namespace keyferry::injector::webhook {
namespace {

TEST(ResourceFitTest, QuantitiesAreComparedByWhatTheyMean) {
  const struct {
    const char* smaller;
    const char* larger;
  } kCases[] = {
      {"10m", "200m"},
      {"999m", "1"},
      {"0.199", "200m"},
      {"1023", "1Ki"},
      {"1000Ki", "1Mi"},
      {"1Mi", "32Mi"},
      {"1023Mi", "1Gi"},
      {"1k", "1Ki"},
      {"1M", "1Mi"},
      {"1G", "1Gi"},
      {"999M", "1G"},
      {"1.5Gi", "1537Mi"},
      {"9Mi", "10Mi"},
      {"0.000000001", "0.001"},
      {"500m", "1Mi"},
      {"100", "1000000"},
      {"8G", "8Gi"},
      {"1", "1.000001"},
      {"64Mi", "9999999999Gi"},
  };
  for (const auto& one : kCases) {
    EXPECT_TRUE(IsAbove(one.larger, one.smaller)) << one.larger << " " << one.smaller;
    EXPECT_FALSE(IsAbove(one.smaller, one.larger)) << one.larger << " " << one.smaller;
  }
  const struct {
    const char* one;
    const char* other;
  } kSame[] = {{"0.5", "500m"}, {"1.005k", "1005"}, {"1Ki", "1024"}, {"0.3", "300m"}, {"1.1G", "1100M"}, {"2", "2.0"}};
  for (const auto& same : kSame) {
    EXPECT_FALSE(IsAbove(same.one, same.other)) << same.one;
    EXPECT_FALSE(IsAbove(same.other, same.one)) << same.one;
  }
  EXPECT_FALSE(IsAbove("", "1") || IsAbove("1", ""));
}

TEST(ResourceFitTest, WhatWasNotGivenMoves) {
  const struct {
    const char* name;
    std::optional<std::string> given_request, given_limit;
    const char* request;
    const char* limit;
  } kCases[] = {
      {"nothing", std::nullopt, std::nullopt, "10m", "200m"},
      {"a lower limit", std::nullopt, "5m", "5m", "5m"},
      {"a limit that fits", std::nullopt, "20m", "10m", "20m"},
      {"a higher request", "0.5", std::nullopt, "0.5", "0.5"},
      {"a request that fits", "200m", std::nullopt, "200m", "200m"},
      {"both", "1", "2", "1", "2"},
      {"no limit", "1", "", "1", ""},
      {"no request", "", "1m", "", "1m"},
  };
  for (const auto& one : kCases) {
    std::string request = "10m", limit = "200m";
    EXPECT_TRUE(SetRequestAndLimit(one.given_request, one.given_limit, &request, &limit)) << one.name;
    EXPECT_EQ(request, one.request) << one.name;
    EXPECT_EQ(limit, one.limit) << one.name;
  }
  std::string request = "10m", limit = "200m";
  EXPECT_FALSE(SetRequestAndLimit("2", "1", &request, &limit));
  EXPECT_EQ(request + limit, "10m200m");
}

}  // namespace
}  // namespace keyferry::injector::webhook
