#include "injector/webhook/rewrite/rewrite_config.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace keyferry::injector::webhook {
namespace {

using testing::HasSubstr;

std::string Problem(const std::string& text) {
  const auto config = ParseRewriteConfig(text, "webhook.yaml");
  EXPECT_FALSE(config.ok()) << text;
  return std::string(config.status().message());
}

TEST(RewriteConfigTest, DefaultsAndAllSettings) {
  EXPECT_EQ(ParseRewriteConfig("", "f")->uid, 65532);
  EXPECT_THAT(ParseRewriteConfig("", "f")->image, testing::MatchesRegex("keyferry/injector:[0-9]+\\.[0-9]+\\.[0-9]+"));
  const auto config = ParseRewriteConfig(
      "address: keyferry.example:443\norg: acme\nimage: registry.example/k@sha256:00\nimagePullPolicy: Always\n"
      "caConfigMap: \"\"\ncaKey: root.pem\naudience: https://keyferry.example\ntokenExpiration: 30m\nuid: auto\n"
      "allowedImages: [mirror.example/k, 'k:2']\nmaxStale: 1h\nresources: {cpuRequest: 1m, cpuLimit: \"\", "
      "memoryRequest: 16Mi, memoryLimit: 32Mi}\n",
      "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->token_seconds, 1800);
  EXPECT_TRUE(IsAllowedImage(*config, "mirror.example/k") && IsAllowedImage(*config, "k:2"));
  EXPECT_TRUE(IsAllowedImage(*config, "registry.example/k@sha256:00"));
  EXPECT_FALSE(IsAllowedImage(*config, "k") || IsAllowedImage(RewriteConfig(), "k:2"));
  EXPECT_EQ(config->uid, std::nullopt);
  EXPECT_EQ(config->ca_config_map, "");
  EXPECT_EQ(config->resources.cpu_limit, "");
  EXPECT_EQ(config->audience, "https://keyferry.example");
}

TEST(RewriteConfigTest, ARequestIsNotAboveItsLimit) {
  EXPECT_THAT(Problem("org: acme\nresources: {cpuRequest: 10m, cpuLimit: 5m, memoryLimit: 16Mi}"),
              HasSubstr("webhook.yaml:2:12: cpuRequest and cpuLimit: the request 10m is above the limit 5m; lower"));
  EXPECT_THAT(Problem("resources: {memoryLimit: 1Gi, memoryRequest: 1025Mi}"),
              HasSubstr("memoryRequest and memoryLimit: the request 1025Mi is above the limit 1Gi"));
  // One that is not given moves.
  const auto config = ParseRewriteConfig("resources: {cpuRequest: 500m, memoryLimit: 16Mi}", "f");
  ASSERT_TRUE(config.ok()) << config.status();
  EXPECT_EQ(config->resources.cpu_limit, "500m");
  EXPECT_EQ(config->resources.memory_request, "16Mi");
  EXPECT_EQ(ParseRewriteConfig("resources: {cpuRequest: 500m, cpuLimit: ''}", "f")->resources.cpu_limit, "");
}

TEST(RewriteConfigTest, RefusesWhatItDoesNotKnow) {
  EXPECT_THAT(Problem("org: acme\nimgae: x"), HasSubstr("webhook.yaml:2:1: no such setting; use one of address"));
  EXPECT_THAT(Problem("org: a\norg: b"), HasSubstr("`org` is given twice"));
  EXPECT_THAT(Problem("resources: {cpu: 1}"), HasSubstr("no such setting"));
  for (const char* const text : {"address: keyferry",
                                 "address: host:0",
                                 "org: Acme",
                                 "image: ''",
                                 "image: 'a b'",
                                 "image: -x",
                                 "allowedImages: keyferry",
                                 "allowedImages: ['a b']",
                                 "allowedImages: [[a]]",
                                 "uid: 0",
                                 "uid: root",
                                 "tokenExpiration: 9m",
                                 "tokenExpiration: 25h",
                                 "tokenExpiration: inf",
                                 "maxStale: -1s",
                                 "imagePullPolicy: always",
                                 "caConfigMap: ../x",
                                 "caKey: a/b",
                                 "caKey: ..",
                                 "[1]",
                                 "image: {a: b}",
                                 "resources: {cpuLimit: 0}",
                                 "resources: {cpuLimit: 1.5m}",
                                 "resources: {memoryLimit: 64MB}",
                                 "resources: {memoryLimit: 1e3}",
                                 "org: ["}) {
    EXPECT_THAT(Problem(text), HasSubstr("webhook.yaml:")) << text;
  }
  EXPECT_THAT(Problem(std::string(65 << 10, '#')), HasSubstr("64 KiB"));
}

}  // namespace
}  // namespace keyferry::injector::webhook
