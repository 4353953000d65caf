#include "server/config/config.h"

#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "gtest/gtest.h"

namespace keyferry::server {
namespace {

TEST(ReadConfigTest, ReadsEveryLevel) {
  config::Config config;
  const absl::Status status = ReadConfigYaml(
      "listen: 0.0.0.0:7443\ndata_dir: /var/lib/keyferry\ntls:\n  cert_file: c.pem\n  key_file: k.pem\n"
      "key_provider: {file: kek}\nlimits:\n  change_threads: 8\n",
      "f.yaml", &config);
  ASSERT_TRUE(status.ok()) << status;
  EXPECT_EQ(config.listen(), "0.0.0.0:7443");
  EXPECT_EQ(config.tls().cert_file(), "c.pem");
  EXPECT_EQ(config.key_provider().file(), "kek");
  EXPECT_EQ(config.limits().change_threads(), 8u);
}

TEST(ReadConfigTest, ErrorsNameTheLineAndChangeNothing) {
  struct Case {
    std::string name;
    std::string yaml;
    std::string message;
  };
  for (const Case& c :
       {Case{"unknown key", "listen: a\nlisten_to: b\n", "f.yaml:2: unknown key `listen_to`; known are listen, "},
        Case{"unknown inner key", "tls:\n  cert_file: a\n  cert: b\n",
             "f.yaml:3: unknown key `tls.cert`; known are cert_file, key_file, client_ca_file"},
        Case{"repeated key", "listen: a\nlisten: b\n", "f.yaml:2: key `listen` is given twice"},
        Case{"map for a scalar", "listen: {a: b}\n", "f.yaml:1: `listen` must be a single value"},
        Case{"scalar for a map", "\ntls: yes\n", "f.yaml:2: expected keys and values"},
        Case{"list", "- a\n", "f.yaml:1: expected keys and values"},
        Case{"map for a list", "outbound:\n  allowed_addresses: {a: b}\n",
             "f.yaml:2: `outbound.allowed_addresses` must be a list"},
        Case{"list of lists", "outbound:\n  allowed_addresses:\n    - [a]\n",
             "f.yaml:3: `outbound.allowed_addresses` must be a list of single values"},
        Case{"word for a number", "limits:\n  change_threads: many\n",
             "f.yaml:2: `limits.change_threads` must be a whole number of 0 or more"},
        Case{"negative", "limits: {drain_seconds: -1}\n",
             "f.yaml:1: `limits.drain_seconds` must be a whole number of 0 or more"}}) {
    SCOPED_TRACE(c.name);
    config::Config config;
    const absl::Status status = ReadConfigYaml(c.yaml, "f.yaml", &config);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_TRUE(absl::StartsWith(status.message(), c.message)) << status;
    EXPECT_EQ(config.SerializeAsString(), "");
  }
}

TEST(ReadConfigTest, BrokenYamlIsAnErrorWithItsLine) {
  config::Config config;
  const absl::Status status = ReadConfigYaml("listen: a\n  x: [\n", "f.yaml", &config);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(status.message().substr(0, 7), "f.yaml:");
  EXPECT_FALSE(ReadConfigYaml("a: 1\n---\nb: 2\n", "f.yaml", &config).ok());
  EXPECT_TRUE(ReadConfigYaml("", "f.yaml", &config).ok());
}

TEST(ConfigKeysTest, EveryKeyHasAUniqueFlagAndHelp) {
  std::set<std::string> flags;
  for (const ConfigKey& key : ConfigKeys()) {
    EXPECT_FALSE(key.help.empty()) << key.path;
    EXPECT_TRUE(flags.insert(key.flag).second) << key.flag;
    EXPECT_EQ(key.environment.substr(0, 10), "KEYFERRYD_");
  }
  EXPECT_EQ(flags.size(), 39u);
  EXPECT_EQ(flags.count("--tls-cert-file"), 1u);
}

TEST(SetConfigKeyTest, SetsAndNamesItsSource) {
  config::Config config;
  EXPECT_TRUE(SetConfigKey("tls.cert_file", "x", "--tls-cert-file", &config).ok());
  EXPECT_EQ(config.tls().cert_file(), "x");
  EXPECT_EQ(SetConfigKey("limits.change_threads", "x", "KEYFERRYD_LIMITS_CHANGE_THREADS", &config).message(),
            "KEYFERRYD_LIMITS_CHANGE_THREADS: must be a whole number of 0 or more");
}

TEST(CompleteConfigTest, MonitoringHasTheCertificateOfTheApiUnlessItHasItsOwn) {
  config::Config config;
  ASSERT_TRUE(ReadConfigYaml("data_dir: d\nkey_provider: {file: k}\ntls: {cert_file: c, key_file: e}\n"
                             "metrics: {listen: '0.0.0.0:9443'}",
                             "test", &config)
                  .ok());
  ASSERT_TRUE(CompleteConfig(&config).ok());
  EXPECT_EQ(config.metrics().tls().cert_file(), "c");
  EXPECT_EQ(config.metrics().tls().key_file(), "e");
  config.mutable_metrics()->mutable_tls()->clear_key_file();
  EXPECT_TRUE(absl::StrContains(CompleteConfig(&config).message(), "metrics.tls.key_file"));
  config.mutable_metrics()->mutable_tls()->set_key_file("own");
  config.mutable_metrics()->set_listen("everywhere");
  EXPECT_TRUE(absl::StrContains(CompleteConfig(&config).message(), "`metrics.listen`"));
}

TEST(ReadConfigTest, AListIsASequenceOrOneTextWithCommas) {
  for (const auto& [name, yaml] :
       {std::pair("block", "outbound:\n  allowed_addresses:\n    - 10.0.0.0/8\n    - '[::1]:443'\n"),
        std::pair("flow", "outbound: {allowed_addresses: [10.0.0.0/8, '[::1]:443']}"),
        std::pair("text", "outbound: {allowed_addresses: '10.0.0.0/8, [::1]:443'}")}) {
    config::Config config;
    ASSERT_TRUE(ReadConfigYaml(yaml, "f.yaml", &config).ok()) << name;
    ASSERT_EQ(config.outbound().allowed_addresses_size(), 2) << name;
    EXPECT_EQ(config.outbound().allowed_addresses(0), "10.0.0.0/8") << name;
    EXPECT_EQ(config.outbound().allowed_addresses(1), "[::1]:443") << name;
    // What a flag says replaces what the file says.
    const auto set = [&config = config](const std::string& text) {
      return SetConfigKey("outbound.allowed_addresses", text, "--outbound-allowed-addresses", &config);
    };
    ASSERT_TRUE(set("127.0.0.1:1,127.0.0.1:2, 127.0.0.1:3").ok());
    ASSERT_EQ(config.outbound().allowed_addresses_size(), 3);
    EXPECT_EQ(config.outbound().allowed_addresses(2), "127.0.0.1:3");
    ASSERT_TRUE(set("").ok());
    EXPECT_EQ(config.outbound().allowed_addresses_size(), 0);
  }
}

config::Config Complete(const std::string& yaml, absl::Status* status) {
  config::Config config;
  *status = ReadConfigYaml("data_dir: d\nkey_provider: {file: kek}\n" + yaml, "f.yaml", &config);
  if (status->ok()) *status = CompleteConfig(&config);
  return config;
}

TEST(CompleteConfigTest, BrowsersAreServedWhereItIsSaid) {
  struct Case {
    std::string name;
    std::string yaml;
    std::string public_url;
    std::string cert_file;
  };
  for (const Case& c : {
           Case{"nowhere", "tls: {cert_file: c, key_file: k}", "", ""},
           Case{"address", "tls: {cert_file: c, key_file: k}\nhttp: {listen: 127.0.0.1:8443}", "https://127.0.0.1:8443",
                "c"},
           Case{"localhost", "http: {listen: localhost:8443}", "https://localhost:8443", ""},
           Case{"usual port", "http: {listen: 192.0.2.1:443}", "https://192.0.2.1", ""},
           Case{"IPv6", "http: {listen: '[::1]:8443'}", "https://[::1]:8443", ""},
           Case{"any port", "http: {listen: 127.0.0.1:0}", "", ""},
           Case{"name", "http: {listen: 0.0.0.0:8443, public_url: 'https://Keyferry.example.com:443/'}",
                "https://keyferry.example.com", ""},
           Case{"own certificate",
                "tls: {cert_file: c, key_file: k}\n"
                "http: {listen: 127.0.0.1:1, tls: {cert_file: own, key_file: own-key}}",
                "https://127.0.0.1:1", "own"},
       }) {
    SCOPED_TRACE(c.name);
    absl::Status status;
    const config::Config config = Complete(c.yaml, &status);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(config.http().public_url(), c.public_url);
    EXPECT_EQ(config.http().tls().cert_file(), c.cert_file);
  }
}

TEST(CompleteConfigTest, SaysWhatIsWrongAboutBrowsersAndProviders) {
  struct Case {
    std::string name;
    std::string yaml;
    std::string message;
  };
  for (const Case& c : {
           Case{"host name", "http: {listen: keyferry.example.com:443}",
                "`http.listen` must be an IP address and a port, e.g. 0.0.0.0:8443 or [::]:8443"},
           Case{"no name for browsers", "http: {listen: 0.0.0.0:443}",
                "`http.public_url` is not set, and `http.listen` is no address that browsers can reach; set it in the "
                "configuration file or with --http-public-url"},
           Case{"path", "http: {public_url: 'https://keyferry.example.com/x'}",
                "`http.public_url`: the URL has a path or a query; it is e.g. https://keyferry.example.com"},
           Case{"plain", "http: {public_url: 'http://keyferry.example.com'}",
                "`http.public_url`: the URL does not start with https://; it is e.g. https://keyferry.example.com"},
           Case{"certificate without key", "http: {tls: {cert_file: c}}",
                "of `http.tls.cert_file` and `http.tls.key_file` one is set and the other is not; set both or none"},
           Case{"no address", "outbound: {allowed_addresses: [10.0.0.0/8, localhost]}",
                "`outbound.allowed_addresses`: \"localhost\" is no address or network; write e.g. 10.1.2.0/24, "
                "127.0.0.1:8443 or [fd00::/8]:443"},
           Case{"bits too many", "outbound: {allowed_addresses: 10.0.0.1/8}",
                "`outbound.allowed_addresses`: \"10.0.0.1/8\" has bits set beyond its prefix length"},
       }) {
    SCOPED_TRACE(c.name);
    absl::Status status;
    Complete(c.yaml, &status);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(status.message(), c.message);
  }
}

TEST(CompleteConfigTest, SaysWhatIsMissing) {
  config::Config config;
  EXPECT_EQ(CompleteConfig(&config).message(),
            "`data_dir` is not set; set it in the configuration file or with --data-dir");
  config.set_data_dir("d");
  EXPECT_EQ(CompleteConfig(&config).code(), absl::StatusCode::kInvalidArgument);
  config.mutable_key_provider()->set_file("kek");
  EXPECT_TRUE(CompleteConfig(&config).ok());
  EXPECT_EQ(config.listen(), "127.0.0.1:7443");
  config.mutable_key_provider()->set_passphrase_file("p");
  EXPECT_EQ(CompleteConfig(&config).code(), absl::StatusCode::kInvalidArgument);
}

TEST(CompleteConfigTest, AuditEntriesAreKeptForAWhileUnlessItIsSaidHowLong) {
  for (const auto& [yaml, days] : {std::pair("", 400u), std::pair("audit: {retention_days: 0, stream: off}", 0u),
                                   std::pair("audit: {retention_days: 7}", 7u)}) {
    config::Config config;
    config.set_data_dir("d");
    config.mutable_key_provider()->set_file("kek");
    ASSERT_TRUE(ReadConfigYaml(yaml, "f.yaml", &config).ok());
    ASSERT_TRUE(CompleteConfig(&config).ok());
    EXPECT_EQ(config.audit().retention_days(), days) << yaml;
    EXPECT_EQ(config.audit().stream(), "off") << yaml;
  }
}

TEST(CompleteConfigTest, RatesHaveDefaultsAndZeroIsNone) {
  config::Config config;
  ASSERT_TRUE(ReadConfigYaml("data_dir: d\nkey_provider: {file: kek}\n"
                             "limits: {calls_per_second_per_org: 0, calls_per_second_per_identity: 7}\n",
                             "f.yaml", &config)
                  .ok());
  ASSERT_TRUE(CompleteConfig(&config).ok());
  EXPECT_EQ(config.limits().calls_per_second_per_identity(), 7u);
  EXPECT_EQ(config.limits().call_burst_per_identity(), 14u);
  EXPECT_EQ(config.limits().calls_per_second_per_org(), 0u);
  EXPECT_EQ(config.limits().failed_calls_per_second_per_address(), 20u);
  EXPECT_EQ(config.limits().failed_call_burst_per_address(), 200u);
  config.mutable_limits()->set_call_burst_per_org(1000001);
  EXPECT_EQ(CompleteConfig(&config).message(),
            "`limits.call_burst_per_org` is more than 1000000; lower it, or take a rate of 0 for no limit");
}

TEST(CompleteConfigTest, GenerousRatesByDefault) {
  config::Config config;
  config.set_data_dir("d");
  config.mutable_key_provider()->set_file("kek");
  ASSERT_TRUE(CompleteConfig(&config).ok());
  EXPECT_EQ(config.limits().calls_per_second_per_identity(), 2000u);
  EXPECT_EQ(config.limits().call_burst_per_identity(), 4000u);
  EXPECT_EQ(config.limits().calls_per_second_per_org(), 20000u);
  EXPECT_EQ(config.limits().call_burst_per_org(), 40000u);
}

}  // namespace
}  // namespace keyferry::server
