#include "server/config/identity_config.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "server/config/config.h"

namespace keyferry::server {
namespace {

constexpr char kGood[] = R"(identity:
  issuers:
    - name: cluster
      kind: kubernetes
      issuer: https://kubernetes.default.svc
      discovery: true
      ca_file: /ca.pem
      token_file: /token
      orgs: [acme, 'rival=tools-*,ml']
      token_review:
        url: https://kubernetes.default.svc/
        token_file: /token
    - {name: other, kind: kubernetes, issuer: other, jwks_file: /jwks.json, audience: kf, algorithms: [EdDSA]}
  spiffe:
    - {trust_domain: prod.example.com, bundle_file: /bundle.pem}
)";

absl::StatusOr<config::Identity> Read(const std::string& yaml) {
  config::Config config;
  const absl::Status read = ReadConfigYaml(yaml, "test.yaml", &config);
  if (!read.ok()) return read;
  const absl::Status completed = CompleteIdentity(config.mutable_identity());
  if (!completed.ok()) return completed;
  return config.identity();
}

TEST(IdentityConfigTest, ReadsAndCompletes) {
  const auto identity = Read(kGood);
  ASSERT_TRUE(identity.ok()) << identity.status();
  ASSERT_EQ(identity->issuers_size(), 2);
  const config::Issuer& cluster = identity->issuers(0);
  EXPECT_EQ(cluster.name(), "cluster");
  EXPECT_TRUE(cluster.discovery());
  ASSERT_EQ(cluster.audience_size(), 1);
  EXPECT_EQ(cluster.audience(0), "keyferry");
  EXPECT_EQ(cluster.algorithms_size(), 3);
  ASSERT_EQ(cluster.orgs_size(), 2);
  EXPECT_EQ(cluster.orgs(1), "rival=tools-*,ml");
  EXPECT_EQ(cluster.token_review().url(), "https://kubernetes.default.svc");
  EXPECT_EQ(cluster.token_review().cache_seconds(), 10u);
  EXPECT_EQ(identity->issuers(1).audience(0), "kf");
  EXPECT_EQ(identity->issuers(1).algorithms_size(), 1);
  EXPECT_FALSE(identity->issuers(1).has_token_review());
  EXPECT_EQ(identity->spiffe(0).trust_domain(), "prod.example.com");
}

TEST(IdentityConfigTest, SaysWhatIsWrong) {
  const struct {
    const char* from;
    const char* to;
    const char* problem;
  } cases[] = {
      {"name: cluster", "name: Cluster", "identity.issuers[0].name` must be 1 to 63"},
      {"kind: kubernetes\n", "kind: github\n", "identity.issuers[0].kind` must be kubernetes or oidc"},
      {"kind: kubernetes\n", "kind: kubernetes\n      people: {users: create}\n",
       "issuers[0].people` goes with `kind: oidc`"},
      {"audience: kf", "audience: [a, b]", "identity.issuers[1].audience` must be one"},
      {"issuer: other", "issuer: https://kubernetes.default.svc/", "identity.issuers[1].issuer` is that of another"},
      {"discovery: true", "discovery: 1", "`identity.issuers[0].discovery` must be true or false"},
      {"discovery: true", "discovery: false", "needs exactly one of"},
      {"discovery: true", "discovery: true\n      jwks_url: https://a.example", "needs exactly one of"},
      {"discovery: true", "jwks_url: http://a.example", "identity.issuers[0].jwks_url"},
      {"issuer: https://kubernetes.default.svc", "issuer: cluster.local", "needs an issuer that is an https URL"},
      {"issuer: https://kubernetes.default.svc", "issuer: ''", "identity.issuers[0].issuer` is not set"},
      {"orgs: [acme, 'rival=tools-*,ml']", "orgs: ['A C']", "identity.issuers[0].orgs"},
      {"orgs: [acme, 'rival=tools-*,ml']", "orgs: ['acme=']", "identity.issuers[0].orgs"},
      {"orgs: [acme, 'rival=tools-*,ml']", "orgs: ['acme=a,']", "identity.issuers[0].orgs"},
      {"orgs: [acme, 'rival=tools-*,ml']", "orgs: ['acme=t*s']", "identity.issuers[0].orgs"},
      {"orgs: [acme, 'rival=tools-*,ml']", "orgs: ['=tools']", "identity.issuers[0].orgs"},
      {"/bundle.pem}", "/bundle.pem, orgs: ['acme=tools']}", "which SPIFFE does not have"},
      {"url: https://kubernetes.default.svc/", "url: http://a", "identity.issuers[0].token_review.url"},
      {"url: https://kubernetes.default.svc/", "url: https://a/b", "identity.issuers[0].token_review.url"},
      {"        token_file: /token\n", "        cache_seconds: 9\n", "token_review.token_file` is not set"},
      {"        token_file: /token\n", "        token_file: /t\n        cache_seconds: 0\n", "must be 1 to 60"},
      {"        token_file: /token\n", "        token_file: /t\n        cache_seconds: 61\n", "must be 1 to 60"},
      {"[EdDSA]", "[HS256]", "identity.issuers[1].algorithms"},
      {"[EdDSA]", "[none]", "identity.issuers[1].algorithms"},
      {"name: other", "name: cluster", "is that of another issuer"},
      {"issuer: other", "issuer: https://kubernetes.default.svc", "identity.issuers[1].issuer` is that of another"},
      {"jwks_file: /jwks.json", "jwks_file: /j, ca_file: /c", "is asked of no server"},
      {"jwks_file: /jwks.json", "jwks: /j", "unknown key `identity.issuers[1].jwks`"},
      {"prod.example.com", "Prod.example.com", "identity.spiffe[0].trust_domain"},
      {", bundle_file: /bundle.pem", "", "identity.spiffe[0].bundle_file` is not set"},
      {"  spiffe:\n    - {", "  spiffe:\n    {", "`identity.spiffe` must be a list"},
  };
  for (const auto& c : cases) {
    const std::string yaml = absl::StrReplaceAll(kGood, {{c.from, c.to}});
    ASSERT_NE(yaml, kGood) << c.from;
    const auto identity = Read(yaml);
    ASSERT_FALSE(identity.ok()) << c.to;
    EXPECT_NE(identity.status().message().find(c.problem), absl::string_view::npos) << identity.status();
  }
}

TEST(IdentityConfigTest, IsNoFlag) {
  for (const ConfigKey& key : ConfigKeys()) EXPECT_NE(key.path.substr(0, 8), "identity") << key.path;
}

}  // namespace
}  // namespace keyferry::server
